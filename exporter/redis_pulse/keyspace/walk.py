"""Where the slow walk over all keys is: one cursor for each database, kept over reconnects."""

from dataclasses import dataclass


@dataclass(slots=True)
class WalkState:
    """The walk of all databases, one after the other."""

    db: int = 0
    cursor: int = 0
    #: Keys that the running pass has visited, in all databases and by database.
    walked: int = 0
    began: float | None = None
    passes: int = 0
    seconds: float | None = None
    _done: tuple[int, ...] = ()
    _here: int = 0

    def position(self, databases: list[int], now: float) -> tuple[int, int] | None:
        """Return the database and the cursor of the next step, or None if there are no keys."""
        if not databases:
            return None
        if self.db not in databases:  # it became empty
            self._next_database(databases, now)
        if self.began is None:
            self.began = now
        return self.db, self.cursor

    def advance(self, cursor: int, keys: int, databases: list[int], now: float) -> None:
        """Take over the reply to one step."""
        self.walked += keys
        self._here += keys
        self.cursor = cursor
        if cursor == 0:
            self._next_database(databases, now)

    def _next_database(self, databases: list[int], now: float) -> None:
        self._done = (*self._done, self.db)
        self.cursor = self._here = 0
        left = [db for db in databases if db not in self._done]
        if left:
            self.db = left[0]
            return
        if self.walked:  # a pass that found nothing shows only that a database vanished
            self.passes += 1
            self.seconds = now - self.began if self.began is not None else 0.0
        self.db, self._done, self.walked, self.began = min(databases, default=0), (), 0, None

    def ratio(self, keys: int) -> float:
        """Return the share of all keys that the running pass has visited; 1 between passes."""
        if self.began is None:
            return 1.0 if self.passes else 0.0
        return min(0.999, self.walked / keys) if keys else 0.0

    def reached(self, db: int, keys: int) -> float:
        """Return the share of a database whose large keys are known: 1 from the first complete pass on."""
        if self.passes or db in self._done:
            return 1.0
        return min(0.999, self._here / keys) if db == self.db and keys else 0.0

    def restart(self) -> None:
        """Begin again: a cursor is only valid in the process that returned it."""
        self.cursor = self.walked = self._here = 0
        self.db, self.began, self._done = 0, None, ()
