from attack import attempt, syscall

CALLS = {
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "statmount": 457,
    "listmount": 458,
    "open_tree_attr": 467,
}
for name, number in CALLS.items():
    attempt(name, lambda number=number: syscall(number, 0, b"tmpfs", 0, 0, 0))
