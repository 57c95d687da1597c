from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evalctl.settings import Settings, SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_set_means_loopback_and_the_state_folder_of_the_checkout() -> None:
    settings = Settings.from_env({})

    assert (settings.base_url, settings.state_dir.name) == ("http://127.0.0.1:8000", ".evalpool")
    assert (settings.token, settings.redis_url, settings.metrics_port) == (None, None, 0)


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({"EVAL_PORT": "9"}, "http://127.0.0.1:9"),
        ({"EVAL_HOST": "0.0.0.0"}, "http://127.0.0.1:8000"),
        ({"EVAL_HOST": "::1"}, "http://[::1]:8000"),
        ({"EVAL_URL": "http://far/", "EVAL_PORT": "9"}, "http://far"),
        ({"EVAL_URL": "", "EVAL_PORT": "", "EVAL_HOST": ""}, "http://127.0.0.1:8000"),
    ],
)
def test_the_server_to_talk_to(env: dict[str, str], url: str) -> None:
    assert Settings.from_env(env).base_url == url


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8e3"])
def test_a_port_that_is_none_is_named(port: str) -> None:
    with pytest.raises(SettingsError, match="EVAL_PORT"):
        Settings.from_env({"EVAL_PORT": port})


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_drain_that_is_no_time_is_named(seconds: str) -> None:
    with pytest.raises(SettingsError, match="EVAL_DRAIN_S"):
        Settings.from_env({"EVAL_DRAIN_S": seconds})


def test_a_server_elsewhere_is_not_the_own_one(tmp_path: Path) -> None:
    """With EVAL_URL set `up` once sent its own token there, and said that it was up itself."""
    (tmp_path / "token").write_text("kept\n")
    settings = Settings.from_env({"EVAL_STATE_DIR": str(tmp_path), "EVAL_URL": "http://far", "EVAL_PORT": "9"})

    assert (settings.base_url, settings.known_token()) == ("http://far", None)
    assert (settings.own_url, settings.own_token()) == ("http://127.0.0.1:9", "kept")


def test_secrets_do_not_show() -> None:
    shown = repr(Settings.from_env({"EVAL_TOKEN_AUTH": "hidden", "EVAL_REDIS_URL": "redis://:hidden@h"}))

    assert "hidden" not in shown


def test_the_kept_token_goes_to_our_own_server_only(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("kept\n")
    ours = {"EVAL_STATE_DIR": str(tmp_path)}

    assert Settings.from_env(ours).known_token() == "kept"
    assert Settings.from_env(ours | {"EVAL_TOKEN_AUTH": " , mine,other"}).known_token() == "mine"
    assert Settings.from_env(ours | {"EVAL_URL": "http://far"}).known_token() is None
