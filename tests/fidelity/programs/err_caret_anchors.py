# Carets under a traceback line mark the failing part.
data = {"a": {"b": [1, None, 3]}}
total = data["a"]["b"][0] + data["a"]["b"][1] + len(data)
