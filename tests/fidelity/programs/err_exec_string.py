# Code run by exec has no source lines in tracebacks.
source = "def f():\n    return 1 / 0\nf()\n"
exec(compile(source, "<generated>", "exec"))
