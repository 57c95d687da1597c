# pandas groups, joins and reads submitted files.
import pandas as pd

frame = pd.read_csv("values.csv", parse_dates=["day"])
print(frame, frame.dtypes, frame.groupby("kind")["amount"].agg(["sum", "mean"]), sep="\n")
print(frame.merge(pd.DataFrame({"kind": ["a", "b"], "name": ["Ä", "B"]})).to_json(orient="records", date_format="iso"))
print(frame.describe().round(3))
frame["missing"]
