"""Fuzzing: `make fuzz` gives random input to every parser, and lets hostile servers answer the whole poll of a target.

``inputs`` makes random input from a seed. ``targets`` lists what is fuzzed, and ``daemon`` the polls. ``steps`` counts
the lines of Python that a call executes. ``run`` is the command. Each execution has a seed, so it can be repeated.
"""
