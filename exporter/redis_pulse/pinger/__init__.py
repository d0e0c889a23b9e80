"""Sends pings in a process of their own (``probe.process``). It imports the standard library and little else."""
