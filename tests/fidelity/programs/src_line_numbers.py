# Line numbers count comments and blank lines.


# a comment

import sys

print(sys._getframe().f_lineno)



undefined_name_at_line_twelve
