"""What api and worker share: the job model, its wire format, and the broker on Redis."""
