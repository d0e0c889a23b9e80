"""Reads many items over several polls: each poll as many as its budget allows.

The newest results of the items that were not read in this poll stay published.
"""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from redis_pulse.collectors.support.time_budget import Clock, TimeBudget
from redis_pulse.metric import CollectorItem, Sample

Item = TypeVar("Item", bound=Hashable)
#: Reads some items and returns the results of each.
ReadBatch = Callable[[list[Item]], Awaitable[dict[Item, list[CollectorItem]]]]


class _LastRead(NamedTuple):
    at: float
    results: list[CollectorItem]


class RoundRobin(Generic[Item]):
    """Items in the order of their turns: first those that were never read, then those that were read longest ago."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: dict[Item, _LastRead | None] = {}

    async def run(
        self,
        items: Iterable[Item],
        budget: TimeBudget,
        batch_size: int,
        read_batch: ReadBatch[Item],
        batch_key: Callable[[Item], Hashable],
    ) -> None:
        """Read each of ``items`` once, until the budget is exhausted. Items that are not listed any more are forgotten.

        A batch holds items with the same ``batch_key``, which is the database for example.
        """
        wanted = dict.fromkeys(items)
        new: dict[Item, _LastRead | None] = {item: None for item in wanted if self._items.get(item) is None}
        self._items = new | {item: last for item, last in self._items.items() if last and item in wanted}
        waiting = list(self._items)
        while waiting:
            key = batch_key(waiting[0])
            batch = [item for item in waiting if batch_key(item) == key][:batch_size]
            await budget.pause()
            results = await read_batch(batch)
            now = self._clock()
            for item in batch:
                del self._items[item]  # insert it again at the end
                self._items[item] = _LastRead(now, results.get(item, []))
            if budget.exhausted:
                return
            done = set(batch)
            waiting = [item for item in waiting if item not in done]

    def results(self) -> Iterator[CollectorItem]:
        """Yield the newest results of all items.

        Results other than samples, such as unreadable fields, are yielded only once: the poller counts them.
        """
        for item, last in self._items.items():
            if last is not None:
                yield from last.results
                self._items[item] = last._replace(results=[one for one in last.results if isinstance(one, Sample)])

    def age(self) -> float:
        """Return the age of the oldest results in seconds, or 0 if no item was read yet."""
        now = self._clock()
        return max((now - last.at for last in self._items.values() if last is not None), default=0.0)
