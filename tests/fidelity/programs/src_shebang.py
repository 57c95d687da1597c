#!/usr/bin/env python3
# A shebang line is a comment.
print("ran")
