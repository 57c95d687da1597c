# Tabs, semicolons, continuation lines and odd but valid layout run.
if True:
	a = 1; b = \
		2
	print(a, b); print("tabbed")
class C: x = 1; y = x + 1
print(C.y, (
    "joined "
  "text"
))
