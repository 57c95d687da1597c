import os

FOLDER = "/tmp/.gallery"
os.symlink("/etc/passwd", f"{FOLDER}/1.png")
os.mkfifo(f"{FOLDER}/2.png")
for name, content in (
    ("3.png", "GIF89a"),
    ("4.json", "[" * 100_000),
    ("5.json", '{"application/javascript": "alert(1)"}'),
    ("6.json", '{"text/plain": 1}'),
    ("7.json", '{"image/png": "!!"}'),
    ("8.json", '"text"'),
    ("9.json", "{}"),
    ("10.json", '{"text/plain": "\\ud800"}'),
):
    with open(f"{FOLDER}/{name}", "w") as file:
        file.write(content)
