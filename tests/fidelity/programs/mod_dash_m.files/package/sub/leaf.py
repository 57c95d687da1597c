NAME = __name__
print("leaf", __name__)
