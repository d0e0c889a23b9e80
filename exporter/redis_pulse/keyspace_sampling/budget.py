"""How many keys may be looked at: a number each second, and a share of the server's main thread.

What a key costs is measured. Some pipelines are enclosed by two INFO cpu, and the server executes them without
anything in between. Reading the request and writing the reply are outside; ``PIPELINE_SECONDS`` stands for them. Of a
server without these counters, ``FIRST_GUESS`` is assumed.
"""

from typing import NamedTuple

#: Seconds of the server for a pipeline apart from its commands, measured by ``bench/keyspace.py``.
PIPELINE_SECONDS = 20e-6
#: What a key costs before it was measured.
FIRST_GUESS = 10e-6
#: The weight of the newest measurement.
_NEWEST = 0.3


class Pace(NamedTuple):
    """How the keys of a turn are spread."""

    #: Seconds between the starts of two turns, and those of a turn in which pipelines are sent.
    every: float = 1.0
    turn: float = 0.9
    #: Keys of one pipeline, and the seconds that it may hold up the server.
    batch: int = 10
    hold: float = 100e-6
    #: Draws in the window from which the walk gets the larger part of the keys.
    enough_draws: int = 2000


class ServerBudget:
    """Decides how many keys each turn of a second may look at."""

    def __init__(self, keys_per_second: float, share: float, pace: Pace) -> None:
        self._pace = pace
        self._keys_per_second = keys_per_second
        self._share = share
        #: Seconds of the server's main thread for one key.
        self.key_seconds = FIRST_GUESS
        self.is_measured = False

    @property
    def batch(self) -> int:
        """Keys of one pipeline."""
        return max(1, min(self._pace.batch, int(self._pace.hold / self.key_seconds)))

    @property
    def _whole_cost(self) -> float:
        """Seconds for one key, with its part of the pipelines: a draw needs two of them."""
        return self.key_seconds + 2 * PIPELINE_SECONDS / self.batch

    @property
    def keys_per_second(self) -> float:
        """Keys that may be looked at each second."""
        return min(self._keys_per_second, self._share / self._whole_cost)

    def share_of(self, keys_per_second: float) -> float:
        """Return the share of the server's main thread that this rate takes."""
        return keys_per_second * self._whole_cost

    def measured(self, seconds: float, keys: int) -> None:
        """Take over what some keys have cost."""
        if keys > 0:
            cost = max(1e-7, seconds / keys)
            self.key_seconds = cost if not self.is_measured else self.key_seconds + _NEWEST * (cost - self.key_seconds)
            self.is_measured = True
