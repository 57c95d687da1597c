# SystemExit from deep inside runs every finally on its way.
def inner():
    try:
        raise SystemExit(5)
    finally:
        print("inner finally")


def outer():
    try:
        inner()
    except Exception:
        print("never here")
    finally:
        print("outer finally")


outer()
