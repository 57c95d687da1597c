"""Coordinators: what RQ runs for each batch, in the processes of `rq worker`, not of `python -m worker`."""
