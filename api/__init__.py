"""HTTP in, jobs out: the FastAPI app."""
