import os
import random
import secrets
import ssl
import uuid

drawn = [random.random(), secrets.token_hex(), os.urandom(8), uuid.uuid4(), ssl.RAND_bytes(8)]
if len(set(map(str, drawn))) != 5:
    print(drawn)
