# The standard streams have the interpreter's own settings.
import sys

for stream in (sys.stdin, sys.stdout, sys.stderr):
    print(stream.name, stream.mode, stream.encoding, stream.errors, stream.newlines)
    print(stream.line_buffering, stream.write_through, stream.isatty(), stream.fileno(), stream.closed)
    print(type(stream).__name__, type(stream.buffer).__name__, type(stream.buffer.raw).__name__)
    print(repr(stream), stream.readable(), stream.writable())
print(sys.__stdout__ is sys.stdout, sys.__stdin__ is sys.stdin, sys.__stderr__ is sys.stderr)
