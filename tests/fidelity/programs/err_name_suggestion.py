# A NameError suggests the name that was meant.
measurement = 3
print(measurment)
