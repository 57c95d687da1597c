# Standard streams are pipes that know it.
import sys
for f in (sys.stdin, sys.stdout, sys.stderr):
    print(f.isatty(), f.seekable(), f.name, f.mode, f.encoding, f.errors, f.line_buffering, f.write_through, f.newlines, type(f.buffer).__name__, f.buffer.raw.mode if hasattr(f.buffer,'raw') else None, f.buffer.raw)
try: sys.stdout.tell()
except OSError as e: print(e)
