# A failing statement over several lines shows the failing line.
def scale(
    value,
    factor,
):
    return (
        value
        * factor["missing"]
    )


print(
    scale(
        2,
        {},
    )
)
