"""Converts text and replies of servers to plain Python values: pure functions without I/O and metrics."""
