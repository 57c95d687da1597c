# Writing to a pipe nobody reads is a BrokenPipeError, not a death by SIGPIPE.
import os

reader, writer = os.pipe()
os.close(reader)
os.write(writer, b"x")
