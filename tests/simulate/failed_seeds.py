"""Seeds that once found a fault of the daemon or of the simulation: seed, virtual hours, and what was wrong.

``make simulate`` prints such a line for a violation. The test runs all of them, so keep the hours short.
"""

FAILED: tuple[tuple[int, float, str], ...] = (
    # Two timers of one moment ran in any order, so parts of a page changed places.
    (1, 0.12, "well-formed: two parts of a page arrived in the wrong order"),
)
