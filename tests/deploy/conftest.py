"""Tools that validate, got without root where they are not installed."""

from __future__ import annotations

import pytest
from kubectl import kubectl_path
from validators import Tools

from evalctl import debs
from evalctl.settings import Settings


@pytest.fixture(scope="session")
def tools() -> Tools:
    state = Settings.from_env().state_dir
    return Tools(promtool=debs.tool(state, "promtool"), kubectl=kubectl_path(state))


@pytest.fixture(scope="session")
def prometheus() -> str:
    """Path of the server's program."""
    return debs.tool(Settings.from_env().state_dir, "prometheus")
