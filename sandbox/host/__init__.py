"""Outside the jail: jails, pool, cgroups, capture."""
