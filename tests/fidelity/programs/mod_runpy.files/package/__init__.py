print("package init")
