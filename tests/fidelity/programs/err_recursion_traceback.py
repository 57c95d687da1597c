# An unhandled RecursionError folds the repeated lines of its traceback.
def down(depth):
    return down(depth + 1)


down(0)
