from attack import run_code

# mov eax, 20 (getpid); int 0x80; ret
print("managed:", run_code(bytes.fromhex("b814000000cd80c3")))
