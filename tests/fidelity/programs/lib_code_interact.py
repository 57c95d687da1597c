# code.interact reads statements from stdin.
import code

variable = 5
code.interact(banner="hello", exitmsg="bye", local={"variable": variable})
print("after")
