"""Sum up the draws and the large keys of each shown pattern and type."""

from array import array
from collections import defaultdict
from operator import add
from typing import TYPE_CHECKING

from redis_pulse.keyspace.estimator import TAIL, DrawSums, FoundSums
from redis_pulse.keyspace.tree import PatternPart
from redis_pulse.keyspace.window import BINS, Bucket, Cell, LargeDraw

if TYPE_CHECKING:
    from redis_pulse.keyspace.state import KeyspaceState

#: The number of a shown node, and a type.
GroupKey = tuple[int, str]


class PatternGroup:
    """The draws and the certain keys of one shown pattern and one type."""

    __slots__ = ("bins", "expiry_known", "forever", "found", "found_forever", "found_known", "periods", "sizes")

    def __init__(self) -> None:
        #: The number of the first bucket that counts → sums by bucket.
        self.periods: dict[int, list[DrawSums]] = {}
        #: The sizes of the draws that are kept one by one.
        self.sizes: list[float] = []
        self.found = FoundSums()
        self.found_forever = self.found_known = 0
        self.forever = self.expiry_known = 0
        self.bins = array("L", bytes(array("L").itemsize * BINS))


class PatternGroups:
    """The groups of a state at one moment. ``rest`` is the number of keys of a database that are not certain."""

    def __init__(self, state: "KeyspaceState") -> None:
        self._state = state
        self._buckets = list(state.window.buckets)
        self._shown: dict[int, PatternPart | None] = {}
        self._first: dict[int, int] = {}
        self._drawn = {db: [bucket.draws.get(db, 0) for bucket in self._buckets] for db in state.keys}
        self.rest = dict(state.keys)
        self.by_key: dict[GroupKey, PatternGroup] = defaultdict(PatternGroup)
        self._leave_out_certain_draws()
        self._weights = [{db: self._weight(bucket, db) for db in bucket.draws} for bucket in self._buckets]
        for at, bucket in enumerate(self._buckets):
            for (number, kind), cell in bucket.cells.items():
                self._add_cell(at, bucket, number, kind, cell)
        for digest, large in state.window.large.items():
            if digest not in state.giants:
                self._add_large(large)
        self._add_found()
        for half in state.window.recency:
            for (number, kind), bins in half.items():
                if (nearest := self._nearest(number)) is not None and (nearest.number, kind) in self.by_key:
                    group = self.by_key[nearest.number, kind]
                    group.bins = array("L", map(add, group.bins, bins))

    def new_periods(self, db: int) -> list[DrawSums]:
        """Return the draws of a database by bucket, without a hit."""
        return [
            DrawSums(all_draws=max(0, drawn), levels=max(0, drawn) * weights.get(db, 1.0))
            for drawn, weights in zip(self._drawn[db], self._weights, strict=True)
        ]

    def _weight(self, bucket: Bucket, db: int) -> float:
        """Return how many keys a draw stood for when it was made, as a share of today's number."""
        rest = self.rest.get(db, 0)
        certain = self._state.keys.get(db, 0) - rest
        then = bucket.keys.get(db, 0) / max(1, bucket.draws.get(db, 0))
        return max(1.0, then - certain) / rest if rest else 1.0

    def _leave_out_certain_draws(self) -> None:
        giants = self._state.giants
        for digest, large in self._state.window.large.items():
            if digest in giants and large.db in self._drawn:
                for at, bucket in enumerate(self._buckets):
                    self._drawn[large.db][at] -= large.hits[bucket.slot]
        for one in giants:
            if one.db in self.rest:
                self.rest[one.db] = max(0, self.rest[one.db] - 1)

    def _nearest(self, number: int) -> PatternPart | None:
        """Return the shown node of a node; None if its database is empty now."""
        if number not in self._shown:
            part = self._state.tree.parts.get(number)
            is_there = part is not None and part.db in self._state.keys
            self._shown[number] = self._state.selection.nearest(part) if part is not None and is_there else None
        return self._shown[number]

    def _since(self, number: int) -> int:
        """Return the first bucket that counts for a node. Before a split of a node above, its keys were elsewhere."""
        if number not in self._first:
            part = self._state.tree.parts.get(number)
            above = self._since(part.parent.number) if part is not None and part.parent is not None else 0
            self._first[number] = max(above, self._state.window.since.get(number, 0))
        return self._first[number]

    def _periods(self, group: PatternGroup, number: int, db: int) -> tuple[int, list[DrawSums]]:
        since = self._since(number)
        if since not in group.periods:
            group.periods[since] = self.new_periods(db)
        return since, group.periods[since]

    def _add_cell(self, at: int, bucket: Bucket, number: int, kind: str, cell: Cell) -> None:
        nearest = self._nearest(number)
        if nearest is None:
            return
        group = self.by_key[nearest.number, kind]
        group.forever += cell.forever
        group.expiry_known += cell.expiry_known
        since, periods = self._periods(group, number, nearest.db)
        if bucket.number >= since and cell.draws:
            periods[at].hit(cell.draws, cell.total, cell.squares, self._weights[at].get(nearest.db, 1.0))

    def _add_large(self, large: LargeDraw) -> None:
        number, kind = large.cell
        nearest = self._nearest(number)
        if nearest is None:
            return
        group = self.by_key[nearest.number, kind]
        since, periods = self._periods(group, number, nearest.db)
        group.sizes += [large.size] * min(TAIL + 1, sum(large.hits))
        for at, bucket in enumerate(self._buckets):
            if (hits := large.hits[bucket.slot]) and bucket.number >= since:
                weight = self._weights[at].get(large.db, 1.0)
                periods[at].hit(hits, hits * large.size, hits * large.size**2, weight)

    def _add_found(self) -> None:
        for one in self._state.giants:
            nearest = self._nearest(one.node)
            if nearest is not None:
                group = self.by_key[nearest.number, one.type]
                group.found.add(one.size)
                group.found_known += one.ttl is not None
                group.found_forever += one.never_expires
