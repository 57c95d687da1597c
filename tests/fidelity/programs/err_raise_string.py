# Raising something that is no exception is a TypeError.
raise "text"
