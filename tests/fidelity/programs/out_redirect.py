# redirect_stdout captures text and a reopened descriptor still reaches stdout.
import contextlib
import io
import os

captured = io.StringIO()
with contextlib.redirect_stdout(captured):
    print("captured")
print("got", captured.getvalue().strip(), flush=True)
with os.fdopen(os.dup(1), "w") as copy:
    copy.write("through a copy of descriptor 1\n")
