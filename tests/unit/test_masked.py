"""What holds a secret does not show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from api.auth import Gate
from api.settings import ApiSettings
from evalctl.settings import Settings
from evalctl.supervisor import ChildSpec
from evalctl.up import Plan
from jobs.connect import connect
from worker.settings import WorkerSettings

SECRET = "s3cret"
URL = f"redis://:{SECRET}@127.0.0.1:6379/0"
SETTINGS = Settings.from_env({"EVAL_REDIS_URL": URL, "EVAL_TOKEN_AUTH": SECRET})
API = ApiSettings(redis_url=SecretStr(URL), token_auth=SecretStr(SECRET))
HOLDERS = {
    "api": API,
    "worker": WorkerSettings(redis_url=SecretStr(URL)),
    "evalctl": SETTINGS,
    "gate": Gate([SECRET]),
    "plan": Plan(
        settings=SETTINGS,
        workers=1,
        token=SECRET,
        redis_url=URL,
        redis_name="",
        server=None,
        environment_root=Path(),
        api=API,
    ),
    "child": ChildSpec(name="api", argv=("api",), env={"EVAL_TOKEN_AUTH": SECRET}, log=Path("log"), grace_s=1.0),
    "connections": connect(URL),
}


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_holds_a_secret_does_not_show_it(holder: str) -> None:
    value = HOLDERS[holder]

    assert SECRET not in repr(value) + str(value) + f"{value}"
    assert SECRET not in repr(vars(value)) if isinstance(value, Gate) else True
