# An exception in __repr__ while printing is an ordinary exception.
class Odd:
    def __repr__(self):
        raise LookupError("no repr today")


print("before", end=" ")
print([Odd()])
