# weakref.finalize callbacks run at exit.
import weakref


class Thing:
    pass


thing = Thing()
weakref.finalize(thing, print, "finalized one")
weakref.finalize(thing, print, "finalized two").atexit = False
weakref.finalize(thing, print, "finalized three")
print("end of main")
