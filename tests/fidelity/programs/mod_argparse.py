# argparse names the script, and a wrong argument exits with 2.
import argparse

parser = argparse.ArgumentParser(description="A parser.")
parser.add_argument("number", type=int)
parser.add_argument("--verbose", action="store_true")
print(parser.prog)
parser.parse_args()
