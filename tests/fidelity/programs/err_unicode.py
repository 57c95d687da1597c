# Tracebacks carry text beyond ASCII, in source lines and messages.
def größe(länge):
    raise ValueError(f"zu groß: {länge} — 世界 🙂")


größe(länge="Ω")
