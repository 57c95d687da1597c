"""Batches at the HTTP edge: bodies read as they come, results written as they come, and what keeps batches going."""
