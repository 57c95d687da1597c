# An exception raised while handling another shows both.
def parse(text):
    try:
        return int(text)
    except ValueError:
        return {"known": 1}[text]


parse("unknown")
