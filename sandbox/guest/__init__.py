"""Inside the jail: standard library only."""
