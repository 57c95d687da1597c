# Files and folders are written, moved, linked and removed in the working directory.
import pathlib
import shutil

base = pathlib.Path("a/b")
base.mkdir(parents=True)
(base / "ü.txt").write_text("text\n")
(base / "ü.txt").rename("moved.txt")
pathlib.Path("link").symlink_to("moved.txt")
print(sorted(map(str, pathlib.Path().rglob("*"))), pathlib.Path("link").read_text())
print(oct(pathlib.Path("moved.txt").stat().st_mode), oct(base.stat().st_mode))
shutil.rmtree("a")
pathlib.Path("link").unlink()
print(sorted(map(str, pathlib.Path().iterdir())), pathlib.Path.cwd().joinpath("main.py").exists())
