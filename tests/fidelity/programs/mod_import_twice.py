# `import main` runs the program again as a module of its own.
print("running as", __name__)
if __name__ == "__main__":
    import main

    print(main.__name__, main.__spec__.name, main is __import__("__main__"))
