"""The command line of Evalpool: options in, exit codes out; each command is a file of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from evalctl import batch, image, packages, tether
from evalctl.settings import Settings, SettingsError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run code in sandboxes. `evalctl up` starts a server here, `evalctl run -c 'print(1)'` runs a program on it.",
)
app.add_typer(packages.app, name="packages")
app.add_typer(batch.app, name="batch")
app.add_typer(image.app, name="image")
_BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command("up")
def up_command(
    *,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Instead of EVAL_PORT.")] = None,
    die_with_parent: Annotated[
        int | None,
        typer.Option(metavar="PID", help="End when this process, our parent, does."),
    ] = None,
) -> None:
    """Start Redis, workers and the API, check them with one eval, and stay until Ctrl-C."""
    from evalctl import up  # noqa: PLC0415 (each command pays for its own imports only)
    from evalctl.guards import UpError  # noqa: PLC0415

    if die_with_parent is not None:
        tether.die_with(die_with_parent)
    try:
        code = up.up(up.with_port(_settings(), port), workers=workers)
    except UpError as error:
        _fail(str(error))
    raise typer.Exit(code)


@app.command("run", context_settings={"allow_interspersed_args": False})
def run_command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE [ARGS]...", help="The program (- for stdin) and its arguments."),
    ] = None,
    *,
    code: Annotated[str | None, typer.Option("-c", help="The program itself, instead of FILE.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Wall time, seconds.")] = None,
    memory: Annotated[str | None, typer.Option(help="Such as 256M.")] = None,
    file: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]PATH", help="A file the program finds beside it; repeatable."),
    ] = None,
    stdin: Annotated[Path | None, typer.Option(help="File that the program reads as stdin; - for ours.")] = None,
    output: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Bring back; repeatable.")] = None,
    figures: Annotated[bool, typer.Option("--figures", help="Bring back plots, as figure-1.png and so on.")] = False,
    output_dir: Annotated[Path, typer.Option(help="Where files that come back are written.")] = Path(),
    environment: Annotated[str | None, typer.Option(help="Environment to run in.")] = None,
    strace: Annotated[bool, typer.Option("--strace", help="Append a report of system calls to stderr.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
) -> None:
    """Run a program on the server and exit as it did (124 timeout, 123 output, 137 memory, 125 no result)."""
    from evalctl import run  # noqa: PLC0415

    try:
        request = _program(words or [], code) | {
            "timeout_s": None if timeout is None else run.seconds(timeout),
            "memory_bytes": None if memory is None else run.size(memory),
            "files": run.files(file or []),
            "stdin": _text(stdin) if stdin else None,
            "outputs": output,
            "figures": figures,
            "environment": environment,
            "strace": strace,
        }
    except (run.RunUsageError, OSError, UnicodeDecodeError) as error:
        _fail(str(error), code=2)
    # What was not asked for is left to the server's defaults.
    asked = {key: value for key, value in request.items() if value or key == "code"}
    raise typer.Exit(run.run(_settings(), asked, as_json=as_json, output_dir=output_dir))


@app.command("doctor")
def doctor_command(*, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """Say which walls stand on this machine, and the command that mends each. Exits 1 if something fails."""
    from evalctl import doctor  # noqa: PLC0415

    raise typer.Exit(doctor.doctor(_settings(), as_json=as_json))


@app.command("api")
def api_command() -> None:
    """Become an API process (settings: EVAL_*)."""
    _become("-P", "-m", "api")


@app.command("worker")
def worker_command() -> None:
    """Become a worker process (settings: EVAL_*)."""
    _become("-P", "-m", "worker")


@app.command("coordinator")
def coordinator_command() -> None:
    """Become a process that coordinates batches: a stock `rq worker` (settings: EVAL_*)."""
    from evalctl import coordinator  # noqa: PLC0415

    _become(*coordinator.COMMAND)


@app.command("bench", context_settings=_PASS_ON)
def bench_command(context: typer.Context) -> None:
    """Measure, and print a table. `bench scaling`, `calibrate` and `simulate` are about more than one worker."""
    os.chdir(_BENCHMARKS.parent)
    named = context.args[:1] in (["scaling"], ["calibrate"], ["simulate"])
    module, *options = context.args if named else ["bench", *context.args]
    _become("-m", f"benchmarks.{module}", *options)


def _program(words: list[str], code: str | None) -> dict[str, object]:
    """Code and arguments, as `python3` reads its own. Raises OSError, UnicodeDecodeError."""
    if code is not None:
        return {"code": code, "args": words}
    if not words:
        _fail("say what to run: FILE, -c CODE, or - for stdin", code=2)
    return {"code": _text(Path(words[0])), "args": words[1:]}


def _text(path: Path) -> str:
    return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")


def _settings() -> Settings:
    try:
        return Settings.from_env()
    except SettingsError as error:
        _fail(str(error))


def _become(*arguments: str) -> NoReturn:
    os.execv(sys.executable, [sys.executable, *arguments])


def _fail(sentence: str, *, code: int = 1) -> NoReturn:
    print(f"evalctl: {sentence}", file=sys.stderr)
    raise typer.Exit(code)


def main() -> None:
    """Entry point of the `evalctl` script."""
    app()


if __name__ == "__main__":
    main()
