# Source nested too deeply is refused as by the interpreter.
source = "(" * 250 + ")" * 250
try:
    compile(source, "<nested>", "eval")
except (SyntaxError, MemoryError, RecursionError) as error:
    print(type(error).__name__, error.args[0])
print(eval("-" * 50 + "1"), len(eval("[" * 50 + "]" * 50)))
