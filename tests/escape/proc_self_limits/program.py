from pathlib import Path

from attack import attempt

attempt("oom_score_adj", lambda: Path("/proc/self/oom_score_adj").write_text("-1000"))
attempt("attr", lambda: Path("/proc/self/attr/current").write_text("unconfined"))
attempt("timens", lambda: Path("/proc/self/timens_offsets").write_text("monotonic 86400 0"))
