# The messages of common built-in errors are the interpreter's.
def attempt(function):
    try:
        function()
    except Exception as error:
        print(f"{type(error).__qualname__}: {error}")


attempt(lambda: int("x"))
attempt(lambda: {}["k"])
attempt(lambda: None.x)
attempt(lambda: [].pop())
attempt(lambda: "a" + 1)
attempt(lambda: open("/no/such/file"))
attempt(lambda: open("."))
attempt(lambda: b"\xff".decode())
attempt(lambda: next(iter(())))
attempt(lambda: (lambda a: a)())
attempt(lambda: 10**5000 and int("9" * 5000))
attempt(lambda: 1.0 / 0)
attempt(lambda: 2.0**10000)
