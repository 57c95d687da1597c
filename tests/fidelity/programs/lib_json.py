# json keeps order and numbers and reports positions of errors.
import json

print(json.dumps({"b": [1, 2.5, None, True], "a": "ü\u2028"}), json.loads('{"x": 1e400, "y": -0.0}'))
print(json.dumps({"k": {1: "a"}}, indent=2, sort_keys=True, ensure_ascii=False))
json.loads('{"a": 1,}')
