"""Routes, one file per noun; each is a class that holds what its endpoints need."""
