# Regular expressions match and report errors by position.
import re

print(re.findall(r"(?P<k>\w+)=(\d+)", "a=1, bü=22"), re.sub(r"(.)\1", r"<\1>", "aabbc"))
print(re.fullmatch(r"[^\W\d_]+", "Größe"), re.split(r"\s*,\s*", "a , b,c"))
re.compile("(unclosed")
