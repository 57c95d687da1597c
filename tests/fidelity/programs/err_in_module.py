# An error in a submitted module shows the source lines of both files.
import helper

print(helper.double(2))
helper.double(None)
