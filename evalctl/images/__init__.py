"""Container images: pulled, unpacked, tried in a cell, registered as environments."""
