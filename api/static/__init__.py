"""Files that the browser gets."""
