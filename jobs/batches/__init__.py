"""Batches as stored: blocks of items, results in the order of completion, who waits for what."""
