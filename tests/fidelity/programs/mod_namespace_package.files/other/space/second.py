NAME = "second " + __name__
