"""Draws. Matplotlib is in the environment that programs run in, so that its interpreter draws and we need none.

`draw(name, data, folder)` writes `folder/name.json` and, by running this very file there, `folder/name.png`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def draw(name: str, data: dict[str, Any], folder: Path) -> Path:
    """Path of the picture. Raises OSError, CalledProcessError."""
    from benchmarks.cluster import environment_root  # noqa: PLC0415 (not there when this file is the program)

    folder.mkdir(parents=True, exist_ok=True)
    source, picture = folder / f"{name}.json", folder / f"{name}.png"
    source.write_text(json.dumps(data, indent=1) + "\n")
    python = environment_root() / "bin" / "python3"
    command = [python, "-I", Path(__file__).resolve(), name, source, picture]
    with tempfile.TemporaryDirectory() as cache:
        subprocess.run([str(part) for part in command], check=True, env={"MPLCONFIGDIR": cache})
    return picture


def autoscale(plt: Any, data: dict[str, Any]) -> Any:
    """Load, replicas and latency over one time axis."""
    figure, (load, count, latency) = plt.subplots(
        3, 1, figsize=(9, 8), sharex=True, height_ratios=(1, 1.2, 1.6), constrained_layout=True
    )
    every, moments = data["seconds"], data["moments"]
    at = [one["at_s"] for one in every]
    load.plot(at, [one["offered"] for one in every], color="tab:gray")
    load.set_ylabel("offered, per second")
    load.set_ylim(bottom=0)
    busy = load.twinx()
    busy.plot([one["at_s"] for one in moments], [100 * one["busy"] for one in moments], color="tab:olive", linewidth=1)
    busy.set_ylabel("processors busy, %", color="tab:olive")
    busy.set_ylim(0, 100)
    times = [one["at_s"] for one in moments]
    count.step(times, [one["wanted"] for one in moments], where="post", label="wanted by the HPA", color="tab:blue")
    count.step(
        times, [one["ready"] for one in moments], where="post", label="ready", color="tab:green", linestyle="--"
    )
    count.set_ylabel("workers")
    count.set_ylim(0, max(one["wanted"] for one in moments) + 2)
    count.legend(loc="upper right")
    latency.plot(at, [one["p99_ms"] for one in every], label="p99 of each second", color="tab:red", linewidth=1)
    latency.plot(at, [one["p50_ms"] for one in every], label="p50 of each second", color="tab:blue")
    latency.axhline(100, color="black", linewidth=1, linestyle=":", label="target, 100 ms")
    latency.set_yscale("log")
    latency.set_yticks([50, 100, 200, 500, 1000, 2000], labels=["50", "100", "200", "500", "1,000", "2,000"])
    latency.minorticks_off()
    latency.set_ylim(top=1.3 * max(200, *(one["p99_ms"] for one in every)))
    latency.set_ylabel("latency, ms")
    latency.set_xlabel(f"seconds (the autoscaler's time passes {data['factor']:g} times as fast)")
    latency.legend(loc="upper right")
    for one in (load, count, latency):
        one.grid(alpha=0.3)
        one.axvline(data["killed_at_s"], color="tab:orange", linewidth=1)
    count.annotate("kill -9 of a worker", (data["killed_at_s"], 0.5), color="tab:orange", ha="right")
    load.set_title("The ScaledObject's queries on a real Prometheus, the HPA's algorithm, real workers")
    return figure


def capacity(plt: Any, data: dict[str, Any]) -> Any:
    """p99 against how full the workers are; a burst and a loss over time."""
    figure, (full, burst, loss) = plt.subplots(1, 3, figsize=(12, 4), constrained_layout=True)
    for curve in data["fullness"]:
        at, p99 = zip(*curve["points"], strict=True)
        full.plot([100 * one for one in at], [1000 * one for one in p99], marker=".", label=f"{curve['rate']:,}/s")
    full.set_title("p99 against how full workers are")
    full.set_xlabel("full, %")
    full.legend(title="evals")
    for axis, events, title in (
        (burst, data["events"][:6:2], "a burst of 1,000 at 1,000/s"),
        (loss, data["events"][1:6:2], "a third of the workers dies at 10,000/s"),
    ):
        for event in events:
            at, p99 = zip(*event["curve"], strict=True)
            axis.plot(at, [1000 * one for one in p99], label=f"{event['full'] * 100:.0f} % full before")
        axis.set_title(title)
        axis.set_xlabel("seconds")
        axis.legend()
    for axis in (full, burst, loss):
        axis.set_yscale("log")
        axis.set_ylabel("p99, ms")
        axis.axhline(100, color="black", linewidth=1, linestyle=":")
        axis.grid(alpha=0.3)
    return figure


DRAWN = {"autoscale": autoscale, "capacity": capacity}


def main() -> None:
    """In the environment: name, JSON file, PNG file."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    name, source, picture = sys.argv[1:]
    figure = DRAWN[name](plt, json.loads(Path(source).read_text()))
    figure.savefig(picture, dpi=90)


if __name__ == "__main__":
    main()
