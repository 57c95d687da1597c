# The traceback module formats the program's frames with locals and lines.
import traceback


def inner(value):
    return value["missing"]


def outer():
    return inner({"present": 1})


try:
    outer()
except KeyError as error:
    traceback.print_exc()
    print(traceback.format_exception_only(error))
    detail = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format(chain=False))
    print(detail.partition("in inner")[2])
    print([(frame.name, frame.lineno, frame.line) for frame in traceback.extract_tb(error.__traceback__)])
