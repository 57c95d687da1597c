# A syntax error in the program shows the line and the caret, without a call stack.
print("never printed")
value = (1 +
result = 3 $ 4
