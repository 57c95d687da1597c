"""Every setting is documented, with its default; nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from documents import DOCS, Row, rows, section
from pydantic import SecretStr

from api.settings import ApiSettings
from evalctl.settings import Settings
from worker.batches.settings import CoordinatorSettings
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_settings import BaseSettings

CONFIGURATION = DOCS / "configuration.md"
UNITS = {"_s": "s", "_bytes": "bytes", "_url": "URL", "_port": "port"}


class Asked(dict[str, str]):
    """An empty environment that knows what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default


def documented(title: str) -> Mapping[str, Row]:
    return {row.code(0)[0]: row for row in rows(section(CONFIGURATION, title))}


def written(default: Any) -> str:
    """Give a default as the documentation writes it."""
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    return "none" if value is None else f"`{value}`"


@pytest.mark.parametrize(
    ("title", "settings"), [("API", ApiSettings), ("Worker", WorkerSettings), ("Coordinator", CoordinatorSettings)]
)
def test_every_setting_of_a_process_is_documented_with_its_default(title: str, settings: type[BaseSettings]) -> None:
    fields = {f"EVAL_{name.upper()}": field for name, field in settings.model_fields.items()}
    defaults = {name: "computed" if field.default_factory else written(field.default) for name, field in fields.items()}

    assert {name: row.cells[1] for name, row in documented(title).items()} == defaults


def test_every_variable_of_the_command_line_is_documented_and_no_other() -> None:
    asked = Asked()
    Settings.from_env(asked)

    assert documented("Command line").keys() == asked.names


@pytest.mark.parametrize("title", ["API", "Worker", "Coordinator", "Command line"])
def test_units_are_those_in_the_names(title: str) -> None:
    for name, row in documented(title).items():
        for suffix, unit in UNITS.items():
            if name.lower().endswith(suffix):
                assert (name, row.cells[2]) == (name, unit)


def test_the_readme_names_settings_that_exist() -> None:
    known = {name for title in ("API", "Worker", "Command line") for name in documented(title)}
    named = {row.code(0)[0] for row in rows(section(DOCS.parent / "README.md", "The most important settings"))}

    assert named <= known
