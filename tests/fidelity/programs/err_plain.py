# An unhandled exception prints its traceback with source lines and exits with 1.
def divide(a, b):
    return a / b


def compute(values):
    return [divide(value, value - 2) for value in values]


print("before")
print(compute([1, 2, 3]))
