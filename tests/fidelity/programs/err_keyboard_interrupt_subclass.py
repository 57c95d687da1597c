# A subclass of KeyboardInterrupt is an error, not a death by SIGINT.
class K(KeyboardInterrupt): pass
raise K("x")
