"""Lease jobs, run them in the sandbox, push results, drain."""
