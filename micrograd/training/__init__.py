"""Training: the loop over epochs and batches, and what is kept of it."""
