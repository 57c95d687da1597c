# -*- coding: utf-8 -*- in the first lines is honoured.
print("ü", __doc__)
