"""The reviewed policy, as text: what may never be in it, and that each line of it means something."""

from __future__ import annotations

import ctypes
import struct

import pytest

from sandbox.host.seccomp import compile_policy, load_policy, names

NEVER = """
acct add_key adjtimex bpf chroot clock_adjtime clock_settime create_module delete_module fanotify_init fanotify_mark
finit_module fsconfig fsmount fsopen fspick init_module ioperm iopl kcmp kexec_file_load kexec_load keyctl listmount
lookup_dcookie lsm_set_self_attr mbind memfd_secret migrate_pages modify_ldt mount mount_setattr move_mount move_pages
name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise
process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot remap_file_pages request_key seccomp
set_mempolicy setdomainname sethostname setns settimeofday statmount swapoff swapon syslog umount umount2 unshare uselib
userfaultfd ustat vhangup vm86 vm86old
""".split()  # noqa: SIM905  a paragraph is read more easily than a list
NEWER = {"map_shadow_stack", "mseal", "futex_wait", "futex_wake", "futex_requeue", "fchmodat2"}
"""Names that the libseccomp of a supported distribution may not know yet."""
ARGUMENT_BOUND = {
    "clone", "fcntl", "fdatasync", "fsync", "ioctl", "ioprio_set", "madvise", "memfd_create", "mmap", "msync",
    "personality", "prctl", "setsockopt", "shmget", "socket",
}  # fmt: skip
INSTRUCTIONS = 4096
"""The kernel's bound."""


def test_what_must_never_be_allowed_is_not() -> None:
    assert set(NEVER) & names(*load_policy()["allow"]) == set()


def test_calls_bound_to_arguments_are_not_allowed_without() -> None:
    policy = load_policy()

    rules = [rule for kind in ("allow_if", "allow_unless", "done") for rule in policy[kind]]
    assert {rule["call"] for rule in rules} == ARGUMENT_BOUND
    assert names(*policy["allow"]) & (ARGUMENT_BOUND | names(policy["enosys"])) == set()


def test_a_traced_cell_gets_what_strace_needs_and_no_more() -> None:
    assert names(load_policy()["trace"]) == {"ptrace", "process_vm_readv"}


def test_each_group_says_why() -> None:
    policy = load_policy()

    groups = [group for kind in ("allow", "allow_if", "allow_unless", "done") for group in policy[kind]]
    assert [group for group in groups if len(group["reason"]) < 10] == []


def test_no_call_is_named_twice() -> None:
    calls = [name for group in load_policy()["allow"] for name in group["calls"].split()]

    assert sorted(set(calls)) == sorted(calls)


def test_every_name_is_one_that_libseccomp_knows_but_for_newer_ones() -> None:
    """A misspelt name would be left out in silence."""
    library = ctypes.CDLL("libseccomp.so.2")
    policy = load_policy()
    every = names(*policy["allow"], policy["enosys"], policy["trace"], policy["counted"]) | ARGUMENT_BOUND
    unknown = {name for name in every if library.seccomp_syscall_resolve_name(name.encode()) == -1}

    assert unknown <= NEWER


def test_what_is_taken_away_without_cgroups_was_there() -> None:
    policy = load_policy()

    assert names(policy["counted"]) <= names(*policy["allow"]) | ARGUMENT_BOUND


@pytest.mark.parametrize("trace", [False, True])
@pytest.mark.parametrize("counted", [False, True])
def test_the_filter_is_one_that_the_kernel_takes(*, trace: bool, counted: bool) -> None:
    program = compile_policy(trace=trace, counted=counted)
    code, _, _, _ = struct.unpack("HBBI", program[:8])

    assert len(program) % 8 == 0
    assert 50 < len(program) // 8 <= INSTRUCTIONS
    assert code == 0x20  # it begins by looking at the call's data
