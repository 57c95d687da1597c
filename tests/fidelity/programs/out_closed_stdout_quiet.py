# A program that closed stdout and prints no more ends well.
import sys

print("before")
sys.stdout.close()
