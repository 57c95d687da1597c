# Notes of an exception are printed after it.
error = ValueError("wrong")
error.add_note("a first note")
error.add_note("a second\nin two lines")
raise error
