# pdb reads its commands from stdin and shows the source of the program.
def work(value):
    doubled = value * 2
    breakpoint()
    return doubled


print(work(4))
