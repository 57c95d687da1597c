from attack import run_code

# mov eax, 20 (getpid of i386); mov ebp, esp; sysenter; ret
print("managed:", run_code(b"\xb8\x14\x00\x00\x00\x89\xe5\x0f\x34\xc3"))
