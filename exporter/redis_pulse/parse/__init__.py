"""Server text to plain Python values: pure functions, no I/O, no metrics."""
