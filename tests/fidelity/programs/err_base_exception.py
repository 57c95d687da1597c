# A bare BaseException is reported as an exception.
raise BaseException("base", 1)
