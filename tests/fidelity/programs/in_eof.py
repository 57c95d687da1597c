# input at the end of stdin is an EOFError.
print(input("first: "))
input("second: ")
