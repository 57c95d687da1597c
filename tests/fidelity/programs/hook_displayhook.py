# Bare expressions print nothing in a program.
1 + 1
"text"
print("only this")
