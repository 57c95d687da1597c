# A syntax error in eval'ed text shows that text.
eval("1 + * 2")
