"""Layers on disk: hard links, a pointer that is replaced in one step, and nothing half made."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from evalctl.installer import InstallError, lines_of, name_of, sentence
from evalctl.layers import Layers

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    base = tmp_path / "environments" / "default-1"
    (base / "lib").mkdir(parents=True)
    (base / "lib" / "a.py").write_text("base")
    (base / "lib" / "link").symlink_to("/nowhere")
    (base / ".complete").write_text("")
    return Layers(tmp_path, base)


def grown(layers: Layers, *requirements: str) -> Path:
    """A layer more, pointed to."""
    current = layers.current()
    with layers.building(current) as partial:
        layer = layers.keep(partial, (*current.groups, requirements))
    layers.point(layer.root)
    return layer.root


def test_without_a_pointer_the_base_is_in_use(layers: Layers) -> None:
    assert layers.current() == layers.base
    assert layers.previous() is None


def test_a_layer_shares_its_files_and_remembers_what_was_added(layers: Layers) -> None:
    first = grown(layers, "a", "b==1")
    second = grown(layers, "c")

    assert (second / "lib" / "a.py").samefile(layers.base.root / "lib" / "a.py")
    assert (second / "lib" / "link").is_symlink()
    assert not (second / ".complete").exists()
    assert layers.pointer.resolve() == second
    assert layers.current().groups == (("a", "b==1"), ("c",))
    previous = layers.previous()
    assert previous is not None
    assert (previous.root, previous.requirements) == (first, ["a", "b==1"])


@pytest.mark.parametrize("reason", [errno.EPERM, errno.EXDEV, errno.EMLINK])
def test_where_a_file_can_have_no_more_links_it_is_copied(
    reason: int, layers: Layers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(reason, "no link")

    monkeypatch.setattr("os.link", refuse)
    layer = grown(layers, "a")

    assert (layer / "lib" / "a.py").read_text() == "base"
    assert (layer / "lib" / "link").is_symlink()
    assert not (layer / "lib" / "a.py").samefile(layers.base.root / "lib" / "a.py")


def test_a_full_disk_is_no_reason_to_copy(layers: Layers, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("os.link", refuse)
    with pytest.raises(OSError, match="full"):
        grown(layers, "a")

    assert list(layers.base.root.parent.rglob("a.py")) == [layers.base.root / "lib" / "a.py"]
    assert layers.current() == layers.base


def test_what_a_killed_command_left_goes(layers: Layers) -> None:
    root = grown(layers, "a")
    (root.parent / ".partial-dead" / "lib").mkdir(parents=True)
    (root.parent.parent / ".current-dead").symlink_to("nowhere")
    layers.sweep()

    assert [path.name for path in root.parent.iterdir()] == [root.name]
    assert sorted(path.name for path in root.parent.parent.iterdir()) == ["current", "default-1", "layers"]


def test_one_can_go_back_to_the_base(layers: Layers) -> None:
    grown(layers, "a")
    previous = layers.previous()

    assert previous == layers.base
    layers.point(layers.base.root)
    assert layers.current() == layers.base


def test_what_fails_leaves_nothing(layers: Layers) -> None:
    with pytest.raises(FileExistsError), layers.building(layers.base) as partial:
        (partial / "lib").mkdir()

    assert not list(layers.base.root.parent.rglob(".partial-*"))
    assert layers.current() == layers.base


def test_a_start_makes_the_pointer_and_drops_what_nobody_can_go_back_to(layers: Layers, tmp_path: Path) -> None:
    assert layers.adopt() == []
    assert layers.pointer.resolve() == layers.base.root

    made = [grown(layers, f"p{number}") for number in range(7)]
    dead = layers.base.root.parent / "layers" / ".partial-dead"
    dead.mkdir()

    assert layers.adopt() == []
    assert layers.pointer.resolve() == made[-1]
    assert [root.exists() for root in made] == [False, False, True, True, True, True, True]
    assert not dead.exists()

    newer = tmp_path / "environments" / "default-2"
    newer.mkdir()
    lost = Layers(tmp_path, newer).adopt()

    assert lost == [f"p{number}" for number in range(7)]
    assert layers.pointer.resolve() == newer


def test_a_pointer_that_leads_nowhere_is_mended(layers: Layers) -> None:
    layers.point(layers.base.root.parent / "layers" / "gone")

    assert layers.current() == layers.base
    assert layers.adopt() == []
    assert layers.pointer.resolve() == layers.base.root


@pytest.mark.parametrize(
    ("requirement", "name"),
    [
        ("scipy==1.14", "scipy"),
        ("Foo_Bar.baz [x,y] >=1, <2", "foo-bar-baz"),
        ("a", "a"),
        ("b @ file:///b.whl", "b"),
        ("c==1; python_version > '3'", "c"),
        ("d==1 --hash=sha256:00", "d"),
    ],
)
def test_a_requirement_names_a_package(requirement: str, name: str) -> None:
    assert name_of(requirement) == name


@pytest.mark.parametrize("requirement", ["", "-e .", "./a.whl", "--pre", "a b", "=1"])
def test_what_is_no_requirement_is_refused(requirement: str) -> None:
    with pytest.raises(InstallError):
        name_of(requirement)


def test_a_requirements_file_is_read_without_comments_and_its_options_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# all\na==1  # why\n\nb==2 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n")
    assert lines_of(file) == ["a==1", "b==2 --hash=sha256:00 --hash=sha256:11"]

    file.write_text("--index-url there\n")
    with pytest.raises(InstallError, match="--index-url is not taken from a file"):
        lines_of(file)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: x: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: Could not find a version that satisfies the requirement a==9 (from versions: 1, 2)", "is no a==9"),
        ("ERROR: Failed to establish a new connection: [Errno 111]", "cannot be reached"),
        ("one\ntwo\nthree\nfour", "two three four"),
        ("", "did not say why"),
    ],
)
def test_what_pip_says_becomes_a_sentence(said: str, told: str) -> None:
    assert told in sentence(said)
