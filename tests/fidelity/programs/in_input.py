# input reads line by line and writes its prompt on stdout.
name = input("name? ")
age = int(input("age? "))
print(f"{name} is {age}")
print(repr(input()))
