"""Which nodes answer at one address: behind a proxy or a DNS name, each reply may be from another node.

A restart gives a server a new ``run_id``, and no old one ever returns. So an old one that returns is another node.
"""

#: Replies that are remembered, and how many of them must be from a node that returned.
REPLIES, RETURNS = 20, 2
#: ElastiCache writes 0 where it has no value.
_NO_ID = frozenset({"", "0"})


class AnsweringNodes:
    """Remembers the ``run_id`` of the newest replies of one target."""

    def __init__(self) -> None:
        self._run_ids: list[str] = []  # a deque would take 700 bytes more
        #: Whether several nodes answer. It stays true, because the address stays the same.
        self.are_several = False

    def replied(self, run_id: str) -> None:
        """Record a reply to INFO."""
        if run_id in _NO_ID:
            return
        previous = self._run_ids[-1] if self._run_ids else ""
        # Most replies have the same value. Another object for each of them would take 2 KB.
        self._run_ids = [*self._run_ids[1 - REPLIES :], previous if run_id == previous else run_id]
        self.are_several = self.are_several or self._returns() >= RETURNS

    @property
    def count(self) -> int:
        """The nodes that answered lately, as far as they can be told apart."""
        return len(set(self._run_ids))

    def _returns(self) -> int:
        """Return how often a node answered again after another one had answered."""
        seen: set[str] = set()
        returns, previous = 0, ""
        for run_id in self._run_ids:
            returns += run_id != previous and run_id in seen
            seen.add(run_id)
            previous = run_id
        return returns
