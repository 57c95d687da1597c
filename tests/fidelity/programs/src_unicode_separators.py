# Separators that str.splitlines knows are no line ends in source.
text = "a bcde"
print(ascii(text))
raise ValueError("on line four")
