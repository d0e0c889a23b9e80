"""Look at some keys each second: random draws, and a step of the walk.

A turn lasts a second at most. It is spread over short pipelines, so that no other client waits long. It ends early if
the server is slow. After an error it pauses, longer each time. The walk continues where it was.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from redis_pulse.backoff import Backoff
from redis_pulse.errors import TargetError, TooLargeError
from redis_pulse.keyspace import Capabilities, Draw, KeyspaceState
from redis_pulse.keyspace_sampling.budget import Pace, ServerBudget
from redis_pulse.keyspace_sampling.reading import Exchange, KeySampleReader

#: The share of the keys that are drawn at random, before and after that.
_FIRST_SHARE, _LATER_SHARE = 0.75, 0.25
#: A pipeline that takes so many seconds ends the turn: the server, or the way to it, is slow.
SLOW = 0.05
#: Every so many pipelines their cost is measured.
_MEASURE_EVERY = 8
#: Seconds after which a refused command is sent again, because an operator may have granted it.
_REFUSED_FOR = 300.0
#: Seconds of the pauses after an error, and after a name that was too long to read.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_OVERSIZED_PAUSE, _LONGEST_OVERSIZED_PAUSE = 10.0, 600.0

Sleep = Callable[[float], Awaitable[None]]


class KeyspaceSampler:
    """Looks at the keys of one server. ``is_allowed()`` returns why it must not do so now, or an empty text."""

    def __init__(
        self,
        state: KeyspaceState,
        connection: Exchange,
        *,
        is_allowed: Callable[[], str],
        clock: Callable[[], float] = monotonic,
        sleep: Sleep = asyncio.sleep,
        choice: random.Random | None = None,
        pace: Pace = Pace(),  # noqa: B008  # it is immutable
    ) -> None:
        self.state = state
        self._connection = connection
        self._reader = KeySampleReader(connection)
        self._is_allowed = is_allowed
        self._clock = clock
        self._sleep = sleep
        self._random = choice or random.Random()  # noqa: S311  # no secret depends on it
        self._pace = pace
        self.budget = ServerBudget(state.settings.keys_per_second, state.settings.server_share, pace)
        self._pause = Backoff(_PAUSE, _LONGEST_PAUSE, floor=_PAUSE)
        self._oversized = Backoff(_OVERSIZED_PAUSE, _LONGEST_OVERSIZED_PAUSE, floor=_OVERSIZED_PAUSE)
        self._not_before = -math.inf
        self._refused_at: float | None = None
        self._pipelines = 0
        self._owed = 0.0
        self._scan_count = 0

    async def run(self, _due: float = 0.0) -> None:
        """Spend one turn. Errors of the target are kept in the state, and end the turn."""
        if reason := self._is_allowed():
            self.state.paused, self.state.keys_per_second = reason, 0.0
            return
        if self._clock() < self._not_before:
            return
        self._forget_old_refusals()
        facts = self.state.facts
        self._reader.start_turn(self.state.capabilities, is_lfu=facts.is_lfu, has_no_touch=facts.has_no_touch)
        try:
            looked_at = await self._spend()
        except TooLargeError as error:
            self.state.oversized += 1
            self._stop_until(self._clock() + self._oversized.next(), error)
        except TargetError as error:
            self._stop_until(self._clock() + self._pause.next(), error)
        else:
            self._pause.reset()
            self.state.paused = ""
            self.state.keys_per_second += 0.2 * (looked_at / self._pace.every - self.state.keys_per_second)
            self.state.server_share = self.budget.share_of(self.state.keys_per_second)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._connection.aclose()

    def _stop_until(self, moment: float, error: TargetError) -> None:
        self._not_before = moment
        self.state.paused = f"paused for {math.ceil(moment - self._clock())} s: {error}"
        self.state.keys_per_second = 0.0

    def _forget_old_refusals(self) -> None:
        """Send denied commands again after some minutes."""
        if not self.state.capabilities.denied:
            self._refused_at = None
        elif self._refused_at is None:
            self._refused_at = self._clock()
        elif self._clock() - self._refused_at >= _REFUSED_FOR:
            self.state.capabilities, self._refused_at = Capabilities(), None

    async def _spend(self) -> int:
        """Look at the keys of one turn. Return how many they were."""
        wanted = self.budget.keys_per_second * self._pace.every + self._owed
        batch = self.budget.batch
        rounds = int(wanted // batch)
        self._owed = min(wanted - rounds * batch, batch)
        looked_at = 0
        for _ in range(rounds):
            began = self._clock()
            found = await self._look(batch)
            seconds = self._clock() - began
            looked_at += found
            if not found or seconds > SLOW:
                break
            await self._sleep(max(0.0, self._pace.turn / rounds - seconds))
        return looked_at

    async def _look(self, count: int) -> int:
        """Look at some keys: random ones, large ones again, or those of a step of the walk. Return their number."""
        state, can = self.state, self.state.capabilities
        databases = state.databases()
        if not databases:
            return 0
        self._pipelines += 1
        due = state.due_again(count) if self._pipelines % 4 == 0 else []
        if due:
            await self._measure_again([(one.db, one.name) for one in due])
            return len(due)
        share = _LATER_SHARE if state.window.draws() >= self._pace.enough_draws else _FIRST_SHARE
        if can.randomkey and (not can.scan or self._random.random() < share):
            return await self._draw(self._choose(databases), count)
        return await self._walk(databases, count) if can.scan else 0

    def _choose(self, databases: Sequence[int]) -> int:
        """Return a database, with a chance in proportion to its keys, and at least a fiftieth of the whole."""
        keys = self.state.keys
        least = sum(keys.values()) / 50
        return self._random.choices(databases, [max(keys.get(db, 0), least) for db in databases])[0]

    async def _draw(self, db: int, count: int) -> int:
        size = await self._reader.size_of(db) if self._pipelines % 16 == 0 else None
        if size is not None:
            self.state.set_keys(db, size)
        keys = await self._reader.random_keys(db, count)
        self._oversized.reset()
        if keys:
            self.state.add_draws(db, self._present(await self._reader.describe(db, keys, measured=self._is_measured())))
            self._take_cost()
        elif self._reader.capabilities.randomkey and size is None:
            self.state.set_keys(db, await self._reader.size_of(db) or 0)
        return count

    def _present(self, draws: Sequence[Draw]) -> list[Draw]:
        """Return the keys that still exist. Those that vanished between two commands are no draws."""
        can = self._reader.capabilities
        return [
            draw
            for draw in draws
            if draw.type != "none" and not (can.memory and draw.size is None and draw.ttl is None)
        ]

    def _is_measured(self) -> bool:
        return self._pipelines % _MEASURE_EVERY == 1 or not self.budget.is_measured

    def _take_cost(self) -> None:
        reader = self._reader
        if reader.cpu_keys:
            self.budget.measured(reader.cpu_seconds, reader.cpu_keys)
            reader.cpu_seconds, reader.cpu_keys = 0.0, 0

    async def _walk(self, databases: Sequence[int], count: int) -> int:
        """Continue the walk by one step, and keep the keys that are large."""
        state, now = self.state, self._clock()
        position = state.walk.position(list(databases), now)
        if position is None:
            return 0
        db, cursor = position
        try:
            step = await self._reader.scan(db, cursor, self._scan_count or count)
        except TooLargeError:
            if self._scan_count == 1:  # a single name is too long, and no cursor leads past it
                state.walk.restart()
            self._scan_count = 1
            raise
        if step is None:
            if state.capabilities.scan:
                state.walk.restart()
            return count
        self._scan_count = 0
        following, keys = step
        for start in range(0, len(keys), count):
            await self._keep_large(db, keys[start : start + count])
        # Only now: after an error the step is repeated.
        state.walk.advance(following, len(keys), list(databases), self._clock())
        return max(1, len(keys))

    async def _keep_large(self, db: int, keys: Sequence[bytes]) -> None:
        state = self.state
        if not state.capabilities.randomkey:  # keys of a walk come in the order of their hashes, which is random too
            draws = self._present(await self._reader.describe(db, keys))
            state.add_draws(db, draws)
            for draw in draws:
                if draw.size is not None and state.is_interesting(draw.size):
                    state.add_found(db, draw)
            return
        sizes = await self._reader.rough_sizes(db, keys)
        large = [key for key, size in zip(keys, sizes, strict=True) if size is not None and state.is_interesting(size)]
        await self._measure_again([(db, key) for key in large])

    async def _measure_again(self, keys: Sequence[tuple[int, bytes]]) -> None:
        for db in {db for db, _ in keys}:
            for draw in await self._reader.describe(db, [key for one, key in keys if one == db]):
                lengths = self._reader.lengths_allowed
                self.state.add_found(db, draw, draw.size if lengths else None)
