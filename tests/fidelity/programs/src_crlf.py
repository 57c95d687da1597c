# Windows line ends are as good as any.
import sys
text = """a
b"""
print(repr(text), sys._getframe().f_lineno)
raise ValueError("crlf")
