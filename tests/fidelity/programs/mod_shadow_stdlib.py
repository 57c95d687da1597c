# A submitted file shadows the standard library module of its name.
import colorsys
import this_is_mine

print(colorsys.MINE, this_is_mine.MINE, colorsys.__file__)
