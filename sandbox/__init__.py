"""Run one program under limits. Knows nothing of jobs, Redis or HTTP.

async with Sandbox(default_environment(path), SandboxConfig(run_dir=folder)) as sandbox:
    report = await sandbox.run(RunSpec(code="print(1 + 1)"))
"""

from sandbox.bytecode import Bytecode
from sandbox.config import YOUNG_S, CellLimits, SandboxConfig
from sandbox.ending import Ending, ending_of
from sandbox.environment import Environment, Kind, Tier, bare_environment, default_environment
from sandbox.environments_file import EnvironmentsError
from sandbox.errors import JailFailed, NotSupported, SandboxError, SandboxUnavailable
from sandbox.sandbox import Sandbox
from sandbox.shared import Shared
from sandbox.spec import CompileReport, Limits, RunReport, RunSpec, Usage

__all__ = [
    "YOUNG_S",
    "Bytecode",
    "CellLimits",
    "CompileReport",
    "Ending",
    "Environment",
    "EnvironmentsError",
    "JailFailed",
    "Kind",
    "Limits",
    "NotSupported",
    "RunReport",
    "RunSpec",
    "Sandbox",
    "SandboxConfig",
    "SandboxError",
    "SandboxUnavailable",
    "Shared",
    "Tier",
    "Usage",
    "bare_environment",
    "default_environment",
    "ending_of",
]
