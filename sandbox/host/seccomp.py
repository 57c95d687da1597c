"""Compiles the reviewed policy to a BPF program, once, outside, through libseccomp.

A thin ctypes layer: the PyPI binding is of 2021. libseccomp knows the syscall numbers of each architecture,
refuses foreign ones (i386, x32) and makes a balanced tree of some 400 comparisons. What is refused by its arguments
comes before that (`refusals`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sandbox.errors import SandboxUnavailable
from sandbox.host.refusals import WHOLE, Refusal, refusals

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_KILL_PROCESS = 0x80000000
_ATTR_BAD_ARCH, _ATTR_OPTIMIZE = 2, 8
_MASKED_EQ = 7
_UNKNOWN = -1


class _Compare(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def load_policy() -> dict[str, Any]:
    """Parse the policy file."""
    return tomllib.loads(files("sandbox").joinpath("policy/seccomp.toml").read_text())


@cache
def compile_policy(*, trace: bool, counted: bool) -> bytes:
    """BPF program of the policy; with `trace`, of the one for traced cells.

    `counted` tells whether a cgroup counts the cell's memory. Raises SandboxUnavailable.
    """
    library = _library()
    context = ctypes.c_void_p(library.seccomp_init(_ERRNO | errno.EPERM))
    try:
        _check(library.seccomp_attr_set(context, _ATTR_BAD_ARCH, _KILL_PROCESS), "bad architecture")
        _check(library.seccomp_attr_set(context, _ATTR_OPTIMIZE, 2), "optimise")
        policy = load_policy()
        absent = names(policy["enosys"], *([] if counted else [policy["counted"]]))
        _fill(library, context, policy, absent, trace=trace)
        return _refusals(library, policy, absent) + _export(library, context)
    finally:
        library.seccomp_release(context)


def _fill(
    library: ctypes.CDLL, context: ctypes.c_void_p, policy: dict[str, Any], absent: set[str], *, trace: bool
) -> None:
    allowed = names(*policy["allow"], *([policy["trace"]] if trace else []))
    allowed |= _calls([*policy["allow_unless"], *policy["done"]])
    for name in sorted(allowed - absent - _calls(policy["allow_if"])):
        _rule(library, context, _ALLOW, name)
    for name in sorted(absent):
        _rule(library, context, _ERRNO | errno.ENOSYS, name)
    for rule in [rule for rule in policy["allow_if"] if rule["call"] not in absent]:
        _rule(library, context, _ALLOW, rule["call"], *map(_compare, rule["when"]))


def _refusals(library: ctypes.CDLL, policy: dict[str, Any], absent: set[str]) -> bytes:
    errors = {"allow_unless": errno.EPERM, "done": 0}
    rules = [(rule, error) for group, error in errors.items() for rule in policy[group] if rule["call"] not in absent]
    resolve = library.seccomp_syscall_resolve_name
    found = [Refusal(resolve(rule["call"].encode()), rule["when"], error) for rule, error in rules]
    return refusals(library.seccomp_arch_native(), found)


def _calls(rules: Iterable[dict[str, Any]]) -> set[str]:
    return {rule["call"] for rule in rules}


def names(*groups: dict[str, Any]) -> set[str]:
    """Names of the calls of policy groups."""
    return {name for group in groups for name in group["calls"].split()}


def _compare(condition: dict[str, int]) -> _Compare:
    return _Compare(condition["argument"], _MASKED_EQ, condition.get("mask", WHOLE), condition["equals"])


def _rule(library: ctypes.CDLL, context: ctypes.c_void_p, action: int, name: str, *compares: _Compare) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == _UNKNOWN:  # newer than this libseccomp: stays denied
        return
    array = (_Compare * len(compares))(*compares)
    _check(library.seccomp_rule_add_array(context, action, number, len(compares), array), name)


def _export(library: ctypes.CDLL, context: ctypes.c_void_p) -> bytes:
    fd = os.memfd_create("seccomp")
    try:
        _check(library.seccomp_export_bpf(context, fd), "export")
        return os.pread(fd, 1 << 20, 0)
    finally:
        os.close(fd)


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise SandboxUnavailable("libseccomp.so.2 is missing (apt-get install libseccomp2)") from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_arch_native.restype = ctypes.c_uint32
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Compare),
    ]  # fmt: skip
    library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
    return library


def _check(result: int, what: str) -> None:
    if result < 0:
        raise SandboxUnavailable(f"seccomp: {what}: {os.strerror(-result)}")
