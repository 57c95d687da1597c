# Classes and functions of the program are pickled by reference to __main__.
import copy
import pickle
from dataclasses import dataclass, field


@dataclass(order=True)
class Point:
    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list)


def function():
    return 1


data = pickle.dumps([Point(1), function])
print(b"__main__" in data, pickle.loads(data)[0] == Point(1), pickle.loads(data)[1] is function)
print(Point(2, tags=["a"]), Point(1) < Point(2), copy.deepcopy(Point(3)), Point.__module__, function.__module__)
print(pickle.dumps(lambda: 0))
