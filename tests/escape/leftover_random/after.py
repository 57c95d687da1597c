import os
import random
import secrets
import ssl
import sys
import uuid

SOURCES = [random.random, secrets.token_hex, uuid.uuid4, lambda: ssl.RAND_bytes(8), lambda: os.urandom(8)]
print(*(source() for source in SOURCES), sep="\n")
drawn = {str(source()) for source in SOURCES}
if len(drawn) != len(SOURCES):
    print("the same", file=sys.stderr)
