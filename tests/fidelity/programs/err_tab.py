# Tabs and spaces mixed inconsistently are a TabError.
if True:
        print("spaces")
	print("tab")
