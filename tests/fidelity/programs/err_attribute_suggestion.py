# An AttributeError suggests the attribute that was meant.
import collections

collections.namedtoplo
