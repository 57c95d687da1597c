"""The environments file: what it makes, and every fault with its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sandbox import CellLimits, Environment, EnvironmentsError, Kind
from sandbox.environments_file import keys, load, with_variables

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an image, a plain root and a Python in it."""
    image = tmp_path / "images" / DIGEST
    (image / "rootfs").mkdir(parents=True)
    (image / "image.json").write_text(json.dumps({"env": {"A": "image", "B": "image"}, "workdir": "/app"}))
    (tmp_path / "plain").mkdir()
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python3").touch()
    return tmp_path


def read(folder: Path, text: str) -> dict[str, Environment]:
    (folder / "environments.toml").write_text(text)
    default = Environment(packages=folder / "host")
    return load(folder / "environments.toml", folder / "images", default)


def test_without_a_file_there_is_the_default_environment(tmp_path: Path) -> None:
    default = Environment(packages=tmp_path)

    assert load(tmp_path / "none.toml", tmp_path, default) == {"default": default}


def test_an_image_brings_its_variables_and_folder_and_the_table_wins(folder: Path) -> None:
    text = f'["python:3"]\nimage = "sha256:{DIGEST}"\nenv = {{ B = "mine" }}\npreload = ["requests.auth"]\n'
    environment = read(folder, text)["python:3"]

    assert environment.image == folder / "images" / DIGEST / "rootfs"
    assert (environment.digest, environment.packages) == (f"sha256:{DIGEST}", None)
    assert environment.variables == {"A": "image", "B": "mine"}
    assert (environment.workdir, environment.kind) == ("/app", Kind.PYTHON)
    extra = environment.tiers[-1]
    assert (extra.name, extra.preload, extra.serves) == ("extra", ("requests.auth",), {"requests"})
    assert [tier.preload for tier in environment.tiers[:-1]] == [(), ()]


@pytest.mark.parametrize(
    ("table", "kind", "filename", "command"),
    [
        ("", Kind.PYTHON, "main.py", ("python3", "main.py")),
        ('filename = "prog.py"', Kind.PYTHON, "prog.py", ("python3", "prog.py")),
        ('command = "python3 -u -X dev main.py"', Kind.EXEC, "main.py", ("python3", "-u", "-X", "dev", "main.py")),
        ('command = "python3 -u -Xdev main.py"', Kind.PYTHON, "main.py", ("python3", "-u", "-Xdev", "main.py")),
        ('command = "/usr/bin/python3.11 main.py"', Kind.PYTHON, "main.py", ("/usr/bin/python3.11", "main.py")),
        ('command = "python3 -I main.py"', Kind.EXEC, "main.py", ("python3", "-I", "main.py")),
        ('kind = "exec"', Kind.EXEC, "main.py", ("python3", "main.py")),
        ('filename = "a.js"\ncommand = ["node", "a.js"]', Kind.EXEC, "a.js", ("node", "a.js")),
    ],
)
def test_the_run_command_tells_the_kind(
    folder: Path, table: str, kind: Kind, filename: str, command: tuple[str, ...]
) -> None:
    environment = read(folder, f"[one]\n{table}\n")["one"]

    assert (environment.kind, environment.filename, environment.command) == (kind, filename, command)
    assert environment.packages == folder / "host"


def test_the_default_environment_can_be_changed(folder: Path) -> None:
    default = read(folder, '[default]\npackages = "venv"\noutputs = ["*.png"]\n[default.limits]\nprocesses = 7\n')[
        "default"
    ]

    assert default.packages == folder / "venv"
    assert (default.outputs, default.limits) == (("*.png",), CellLimits(processes=7))


FAULTS = [
    ("[a]\nimage = 3\n", 2, "image: must be the digest"),
    (f'# x\n\n[a]\nimage = "{"0" * 64}"\n', 4, "there is no image 000000000000 here"),
    ('[a]\ndirectory = "nowhere"\n', 2, "there is no folder"),
    ('[a]\npackages = "plain"\n', 2, "there is no Python in"),
    (f'[a]\nimage = "{DIGEST}"\n\ndirectory = "plain"\n', 4, "say one of the two"),
    ('[a]\nfilename = "../x"\n', 2, "plain name of a file"),
    ('[a]\ncommand = "python3 other.py"\n', 2, "does not name the file main.py"),
    ('[a]\ncommand = ""\n', 2, "must be a command line"),
    ('[a]\ncommand = "python3 \'main.py"\n', 2, "cannot be split into words: No closing quotation"),
    ('[a]\nkind = "python"\ncommand = "node main.py"\n', 2, "say exec"),
    ('[a]\nkind = "wasm"\n', 2, 'must be "python" or "exec"'),
    ('[a]\nworkdir = "/etc/x"\n', 2, "must be a folder of its own"),
    ('[a]\nworkdir = "work"\n', 2, "must be a folder of its own"),
    ('[a]\nworkdir = "/a/../b"\n', 2, "must be an absolute path"),
    ('[a]\n[a.env]\n"1X" = "y"\n', 2, "must be a table of variables"),
    ("[a]\nenv.X = 1\n", 2, "must be a table of variables"),
    ('[a]\npreload = ["a b"]\n', 2, "must be a list of names of modules"),
    ("[a]\noutputs = 1\n", 2, "must be a list of globs"),
    ("[a.limits]\nprocesses = 0\n", 1, "processes must be a whole number above 0"),
    ("[a]\n[a.limits]\nwheels = 4\n", 2, "there is no limit wheels"),
    ("[a]\nimgae = 1\n", 2, "there is no such key; there are image, directory"),
    ('["bad name"]\n', 1, "is not a name for an environment"),
    ("x = 1\n", 1, "must be a table"),
    ("[a]\nimage = \n", 2, "Invalid value"),
    ("[a\n", 1, "Expected ']'"),
    ('[a]\nwarm = ["bash"]\n', 2, "warm: must be false, or one of"),
    (f'[a]\ndirectory = "{"long" * 999}"\n', 2, "directory: "),
    (f'[a]\npackages = "{"long" * 999}"\n', 2, "packages: "),
    (f"x = {5_000 * '['}", 1, "cannot be read: "),
    (f"x = {5_000 * '1'}", 1, "cannot be read: "),
]


@pytest.mark.parametrize(("text", "line", "words"), FAULTS)
def test_a_fault_is_told_with_its_line(folder: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(EnvironmentsError) as caught:
        read(folder, text)

    [fault] = caught.value.faults
    assert (fault.line, words in fault.message) == (line, True), str(fault)
    assert str(fault).startswith(f"{folder}/environments.toml:{line}: ")


def lines_of_faults(folder: Path, text: str) -> list[int]:
    try:
        read(folder, text)
    except EnvironmentsError as error:
        return [fault.line for fault in error.faults]
    return []


@pytest.mark.parametrize(
    "value", ["true", "3", "1.5", "1999-12-31", '""', '"\\u0000"', "[]", "[[1]]", '["bash"]', "[{}]", "{ a = [1] }"]
)
@pytest.mark.parametrize("key", list(keys()))
def test_a_value_of_any_type_is_a_fault_of_its_line_or_none(folder: Path, key: str, value: str) -> None:
    """One of a type that nobody had thought of was an error that ended running workers."""
    assert set(lines_of_faults(folder, f"[a]\n{key} = {value}\n")) <= {2}


@pytest.mark.parametrize("about", ["[]", "{", '{"env": ["A=1"]}', '{"env": {"A": 1}}'])
def test_an_image_of_which_nothing_sensible_is_known_is_a_fault(folder: Path, about: str) -> None:
    (folder / "images" / DIGEST / "image.json").write_text(about)
    with pytest.raises(EnvironmentsError, match=r"toml:2: \[a\] image: "):
        read(folder, f'[a]\nimage = "{DIGEST}"\n')


def test_every_fault_is_told(folder: Path) -> None:
    with pytest.raises(EnvironmentsError) as caught:
        read(folder, '[a]\nkind = 1\nfilename = ""\n[b]\nimage = "x"\n[c]\n')

    assert [fault.line for fault in caught.value.faults] == [2, 3, 5]


def test_variables_say_the_same_of_the_default_environment() -> None:
    default = Environment(variables={"A": "file", "B": "file"})
    changed = with_variables(default, filename="prog.py", command="python3 -u prog.py", env="A=1 C='2 3'")

    assert (changed.filename, changed.command) == ("prog.py", ("python3", "-u", "prog.py"))
    assert changed.variables == {"A": "1", "B": "file", "C": "2 3"}
    assert with_variables(default, env='{"A": "json"}').variables["A"] == "json"
    assert with_variables(default, filename="", command="", env="") == default


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"env": "A"}, "EVAL_ENV: must be a JSON object, or NAME=VALUE words"),
        ({"env": "{"}, "EVAL_ENV: cannot be read"),
        ({"env": '{"A": 1}'}, "EVAL_ENV: must be a table of variables"),
        ({"filename": "a/b"}, "EVAL_FILENAME: must be the plain name"),
        ({"command": "python3 x.py"}, "EVAL_RUN_COMMAND: does not name the file main.py"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(values: dict[str, str], words: str) -> None:
    with pytest.raises(EnvironmentsError, match=words):
        with_variables(Environment(), **values)


def test_a_preset_is_a_language_in_one_line_and_the_table_wins(folder: Path) -> None:
    text = '[node]\npreset = "node"\n[fast]\npreset = "c"\nfilename = "p.c"\nlimits = { processes = 8 }\n'
    found = read(folder, text)

    assert (found["node"].kind, found["node"].filename) == (Kind.EXEC, "main.js")
    assert found["node"].command == ("node", "main.js")
    assert found["node"].limits == CellLimits(processes=64)
    assert found["fast"].compile == ("gcc", "-O2", "-o", "main", "p.c", "-lm")
    assert (found["fast"].command, found["fast"].binary) == (("./main",), "main")
    assert found["fast"].limits == CellLimits(processes=8)
    assert [found[name].name for name in found] == ["default", "node", "fast"]


@pytest.mark.parametrize(
    ("table", "warm"),
    [
        ('preset = "bash"', "bash"),
        ('preset = "node"\nfilename = "main.mjs"', "node"),
        ('preset = "node"\nwarm = false', ""),
        ('preset = "c"', ""),
        ('filename = "a.js"\ncommand = "/opt/bin/nodejs a.js"', "node"),
        ('filename = "a.js"\ncommand = "node a.js"\nwarm = "node"', "node"),
        ('filename = "a.sh"\ncommand = "bash -e a.sh"', ""),
        ('filename = "a.sh"\ncommand = "sh a.sh"', ""),
        ('preset = "bash"\nenv = { BASH_ENV = "/srv/rc" }', ""),
        ('preset = "node"\nenv = { NODE_OPTIONS = "--stack-size=99" }', ""),
    ],
)
def test_a_command_that_can_wait_for_its_program_is_known_by_its_words(folder: Path, table: str, warm: str) -> None:
    assert read(folder, f"[mine]\n{table}\n")["mine"].warm == warm


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('preset = "bash"\nwarm = true', "warm: must be false, or one of bash, node"),
        ('preset = "bash"\nwarm = "node"', "warm: `bash main.sh` cannot be started as node"),
        ('filename = "a.sh"\ncommand = "bash -e a.sh"\nwarm = "bash"', "warm: `bash -e a.sh` cannot be started"),
    ],
)
def test_a_command_that_cannot_wait_is_a_fault(folder: Path, table: str, fault: str) -> None:
    with pytest.raises(EnvironmentsError, match=fault):
        read(folder, f"[mine]\n{table}\n")


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ('preset = "cobol"', "preset: must be one of bash, node, c, cpp"),
        ('filename = "m.c"\ncompile = "cc m.c"\ncommand = "./a.out"', "compile: and binary"),
        ('filename = "m.c"\nbinary = "a.out"\ncommand = "./a.out m.c"', "compile: and binary"),
        ('filename = "m.c"\ncompile = "cc x.c"\nbinary = "a.out"\ncommand = "./a.out"', "compile: does not name"),
        ('filename = "m.c"\ncompile = "cc m.c"\nbinary = "a.out"\ncommand = "m.c"', "command: does not name ./a.out"),
    ],
)
def test_what_cannot_be_compiled_is_a_fault(folder: Path, table: str, fault: str) -> None:
    with pytest.raises(EnvironmentsError, match=fault):
        read(folder, f"[mine]\n{table}\n")
