"""Commands that are killed, that meet each other, and registries that fail: a clean state, and a sentence."""

from __future__ import annotations

import http.server
import threading
import time
from typing import TYPE_CHECKING

import images
import pytest
from commands import Command, said
from registry import Registry
from roots import small_root

from evalctl.guards import sole_owner
from evalctl.images import tools
from evalctl.images.errors import ImageError
from evalctl.images.progress import Steps
from evalctl.images.pull import pull
from evalctl.images.source import of_folder, of_reference
from evalctl.images.store import Store
from evalctl.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PHASES = ["pulling", "unpacking", "running a first program"]

pytestmark = [pytest.mark.jail, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a bash; small, so that nothing takes long."""
    return small_root(tmp_path_factory.mktemp("small") / "root", "bash", "cat")


@pytest.fixture
def evalctl(tmp_path: Path) -> Command:
    """With its tools, on a state folder of its own, and no registry."""
    home = tmp_path / "home"
    home.mkdir()
    return Command(Registry(home, Settings.from_env().state_dir), tmp_path / "state")


@pytest.fixture
def layout(root: Path, tmp_path: Path) -> Path:
    return images.make_layout(tmp_path / "layout", images.packed(root))


def left(command: Command) -> list[str]:
    """What should not be there, of images and jails."""
    folders = [*(command.state / "images").glob(".incoming-*"), *(command.state / "run").glob("image-*")]
    return [folder.name for folder in folders]


def kill_in(phase: str, command: Command, layout: Path) -> None:
    with command.started("image", "--from-dir", layout, "--name", "killed") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"evalpool: {phase}"):
                break
        process.kill()


def test_a_command_that_is_killed_registers_nothing_and_the_next_one_cleans_up(
    evalctl: Command, layout: Path
) -> None:
    for phase in PHASES:
        kill_in(phase, evalctl, layout)
        assert not (evalctl.state / "environments.toml").exists(), phase
    again = evalctl("image", "--from-dir", layout, "--name", "killed")
    listed = evalctl("image", "list").stdout.splitlines()

    assert (again.returncode, left(evalctl)) == (0, []), said(again)
    assert [line.rpartition("  ")[2] for line in listed] == ["(killed)"]


def test_a_removal_that_is_killed_is_a_removal(evalctl: Command, root: Path) -> None:
    store = Store(evalctl.state / "images")
    image = pull(of_folder(root), store, evalctl.state, Steps())
    store.home(image.digest).rename(store.folder / ".incoming-killed")

    assert store.every() == []
    pull(of_folder(root), store, evalctl.state, Steps())
    assert [folder.name for folder in store.folder.iterdir()] == [image.digest]


def test_two_commands_for_one_name_leave_one_of_their_images_in_it(
    evalctl: Command, root: Path, layout: Path, tmp_path: Path
) -> None:
    more = images.tar_of(("more", b"", lambda _: None))
    second = images.make_layout(tmp_path / "second", images.packed(root), more)
    started = [evalctl.started("image", "--from-dir", one, "--name", "both") for one in (layout, second, second)]
    ended = [(process.communicate(), process.returncode) for process in started]
    listed = evalctl("image", "list").stdout.splitlines()

    # The last one has it. Others were before, or learned that they were overtaken.
    assert 0 in [code for _, code in ended], ended
    assert all(code == 0 or "was changed again meanwhile" in words[1] for words, code in ended), ended
    assert sorted(line.rpartition("  ")[2] for line in listed) == ["(-)", "(both)"]
    assert left(evalctl) == []


def test_an_image_is_not_removed_while_a_command_uses_it_nor_used_while_it_is_removed(
    evalctl: Command, root: Path
) -> None:
    store = Store(evalctl.state / "images")
    image = pull(of_folder(root), store, evalctl.state, Steps())
    with store.using(image.digest):
        refused = evalctl("image", "rm", image.digest)
    with store.removing(image.digest):
        late = evalctl("image", "use", image.digest, "--name", "late")
    gone = evalctl("image", "rm", image.digest)

    assert (refused.returncode, "in use by another evalctl command" in refused.stderr) == (1, True), said(refused)
    assert (late.returncode, "is being removed by another command" in late.stderr) == (1, True), said(late)
    assert (gone.returncode, "there is no image" in gone.stderr, list(store.folder.iterdir())) == (1, True, [])
    assert not (evalctl.state / "environments.toml").exists()


def test_a_server_that_does_not_answer_is_told_and_keeps_its_images(evalctl: Command, root: Path) -> None:
    """It runs on the same state folder, but at another port than the command was told."""
    with sole_owner(evalctl.state):
        added = evalctl("image", "--from-dir", root, "--name", "unasked")
        refused = evalctl("image", "rm", "unasked", "--force")
    removed = evalctl("image", "rm", "unasked", "--force")

    assert (added.returncode, "no API answers here to ask (EVAL_PORT?)" in added.stdout) == (0, True), said(added)
    assert (refused.returncode, "none answers at" in refused.stderr) == (1, True), said(refused)
    assert removed.returncode == 0, said(removed)


ODD = {
    "a name that is taken": (["--name", "host"], "cannot be called host"),
    "no command": (["--command", ""], "is not a run command"),
    "half a command": (["--command", "bash 'main.sh"], "is not a run command"),
    "no name": (["--name", "a b"], "is not a name for an environment"),
}


@pytest.mark.parametrize("case", ODD)
def test_odd_words_are_refused_in_a_sentence(case: str, evalctl: Command, root: Path) -> None:
    options, words = ODD[case]
    done = evalctl("image", "--from-dir", root, *options)

    assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (1, True, False), said(done)
    assert not (evalctl.state / "images").exists() or not list((evalctl.state / "images").iterdir())


def test_a_folder_is_not_copied_into_itself_and_a_file_that_is_no_tar_is_told(evalctl: Command, tmp_path: Path) -> None:
    small_root(tmp_path, "cat")
    (tmp_path / "cut.tar").write_bytes(b"x" * 2000)
    into_itself = evalctl("image", "--from-dir", tmp_path)
    no_tar = evalctl("image", "--from-tar", tmp_path / "cut.tar")

    assert (into_itself.returncode, "it would be copied into itself" in into_itself.stderr) == (1, True)
    assert (no_tar.returncode, "cut.tar cannot be read: file could" in no_tar.stderr) == (1, True)
    assert no_tar.stderr.count("\n") == 1
    assert left(evalctl) == []


def test_a_folder_that_does_not_fit_is_told(evalctl: Command, root: Path) -> None:
    evalctl.state.mkdir()
    script = f'mount -t tmpfs -o size=1m none {evalctl.state} && exec "$@"'
    done = evalctl("image", "--from-dir", root, before=("unshare", "-rm", "sh", "-c", script, "sh"))

    assert (done.returncode, "the disk is full" in done.stderr) == (1, True), said(done)


def test_links_and_whiteouts_of_layers_stay_inside(evalctl: Command, root: Path, tmp_path: Path) -> None:
    """A layer may point anywhere; what comes after it goes where the link leads inside of the image."""
    outside = tmp_path / "outside"
    outside.mkdir()
    hostile = images.tar_of(
        ("absolute", None, images.symlink_to(str(outside))),
        ("upwards", None, images.symlink_to("../" * 20 + str(outside))),
        ("absolute/one", b"", lambda _: None),
        ("upwards/two", b"", lambda _: None),
        ("usr/bin/.wh.cat", b"", lambda _: None),
    )
    done = evalctl("image", "--from-dir", images.make_layout(tmp_path / "l", images.packed(root), hostile))
    [unpacked] = (evalctl.state / "images").glob("*/rootfs")

    assert done.returncode == 0, said(done)
    assert list(outside.iterdir()) == []
    assert not (unpacked / "usr/bin/cat").exists()
    for layer, words in (
        (images.tar_of(("h", None, images.link_to("/etc/shadow"))), "cannot be unpacked: h: link"),
        (images.tar_of((".wh...", b"", lambda _: None)), "paths outside of the image (.wh...)"),
        (images.tar_of(("usr/.wh..", b"", lambda _: None)), "paths outside of the image (usr/.wh..)"),
    ):
        refused = evalctl("image", "--from-dir", images.make_layout(tmp_path / f"a: {len(words)}", layer))
        assert (refused.returncode, words in refused.stderr) == (1, True), said(refused)


class Failing(http.server.BaseHTTPRequestHandler):
    """A registry that answers everything alike: by the status in its port's server, or not at all."""

    def do_GET(self) -> None:
        status = self.server.status  # type: ignore[attr-defined]
        if status is None:
            self.server.released.wait(30)  # type: ignore[attr-defined]
            return
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "4")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"oops")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def failing() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Failing)
    server.released = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield server
    server.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "it asks for a login (skopeo login REGISTRY)"),
        (500, "fails: invalid status code from registry 500"),
        (200, "is no manifest of an image"),
        (None, "is silent: nothing came for 1 s"),
    ],
)
def test_a_registry_that_fails_is_told(
    status: int | None,
    words: str,
    failing: http.server.ThreadingHTTPServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if status is None:
        monkeypatch.setattr(tools, "_STALL_S", 1.0)
    failing.status = status  # type: ignore[attr-defined]
    state, store = Settings.from_env().state_dir, Store(tmp_path / "images")
    began = time.monotonic()
    with pytest.raises(ImageError) as raised:
        pull(of_reference(f"127.0.0.1:{failing.server_port}/team/tools:1", insecure=False), store, state, Steps())

    assert words in str(raised.value)
    assert "\\" not in str(raised.value)
    assert list(store.folder.iterdir()) == []
    assert time.monotonic() - began < 20


def test_too_many_requests_are_told() -> None:
    """As skopeo says it, after having asked again for a minute."""
    said_by_skopeo = (
        'time="2026-01-01T00:00:00Z" level=fatal msg="Error parsing image name \\"docker://r/a:1\\": pinging container '
        'registry r: too many requests to registry"\n'
    )
    assert tools.meaning(said_by_skopeo, "r/a:1") == "the registry of r/a:1 has had too many requests; ask again later"
