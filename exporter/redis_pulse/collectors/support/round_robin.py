"""Many things to look at, each poll as many as its budget allows; what was found of the others stands meanwhile."""

from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from redis_pulse.collectors.support.time_budget import Clock, TimeBudget
from redis_pulse.metric import CollectorItem, Sample

Thing = TypeVar("Thing", bound=Hashable)
#: Look at some things and return what was found of each.
ReadBatch = Callable[[list[Thing]], Awaitable[dict[Thing, list[CollectorItem]]]]


class _Seen(NamedTuple):
    at: float
    found: list[CollectorItem]


class RoundRobin(Generic[Thing]):
    """Things in the order in which their turn comes: what was never looked at first, then what was longest ago."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._things: dict[Thing, _Seen | None] = {}

    async def run(
        self,
        things: Iterable[Thing],
        pace: TimeBudget,
        batch: int,
        look: ReadBatch[Thing],
        alike: Callable[[Thing], Hashable],
    ) -> None:
        """Look at each of ``things`` once, as long as the pace allows, in batches of things that are ``alike``.

        Things that are no longer among them are forgotten.
        """
        wanted = dict.fromkeys(things)
        new: dict[Thing, _Seen | None] = {thing: None for thing in wanted if self._things.get(thing) is None}
        self._things = new | {thing: seen for thing, seen in self._things.items() if seen and thing in wanted}
        waiting = list(self._things)
        while waiting:
            kind = alike(waiting[0])
            turn = [thing for thing in waiting if alike(thing) == kind][:batch]
            await pace.wait()
            found = await look(turn)
            now = self._clock()
            for thing in turn:
                del self._things[thing]
                self._things[thing] = _Seen(now, found.get(thing, []))
            if pace.exhausted:
                return
            taken = set(turn)
            waiting = [thing for thing in waiting if thing not in taken]

    def results(self) -> Iterator[CollectorItem]:
        """Yield what was last found of everything; what could not be read is told once, when it was met."""
        for thing, seen in self._things.items():
            if seen is not None:
                yield from seen.found
                self._things[thing] = seen._replace(found=[one for one in seen.found if isinstance(one, Sample)])

    def age(self) -> float:
        """Return how long ago the thing was looked at whose turn comes next, in seconds; 0 when there is none."""
        now = self._clock()
        return max((now - seen.at for seen in self._things.values() if seen is not None), default=0.0)
