from pathlib import Path

from attack import attempt

for name in (
    "kcore",
    "kallsyms",
    "kmsg",
    "sysrq-trigger",
    "sys/kernel/core_pattern",
    "sys/kernel/hostname",
    "cmdline",
    "modules",
    "mounts/../../1/environ",
    "1/environ",
    "1/root",
    "1/mem",
    "keys",
    "key-users",
    "timer_list",
    "scsi",
    "acpi",
    "interrupts",
    "meminfo",
    "config.gz",
):
    attempt(name, lambda name=name: Path("/proc", name).open("rb"))
print(sorted(entry.name for entry in Path("/proc").iterdir() if not entry.name.isdigit()))
print(len([entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]))
