"""The simulated workload of the demo: a small shop with slow waves of load and a few mistakes.

It changes everything that a panel shows: hits and misses, expired and evicted keys, hashes, lists, sorted sets. It has
a stream with two consumers, a channel, clients that connect and leave, a slow script, and error replies. It sends a few
hundred commands a second at most. It retries a server that hangs or dies until the server is back.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from time import monotonic
from typing import Any

from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

Command = tuple[str | bytes | int | float, ...]
Job = Callable[[Valkey], Awaitable[None]]

TICK = 0.2  # seconds between two batches
RETRY = 1.0  # seconds before a broken job starts again
WAVE = 240.0  # seconds from one rush hour to the next
TIMEOUT = 1.0  # seconds for a connection or a reply
PRODUCTS = 500
VISITORS = 6
GROUP = "workers"

#: Keeps the server busy for ARGV[1] seconds.
SLOW_SCRIPT = "local till = os.clock() + ARGV[1] while os.clock() < till do end return 'done'"

#: Each gets another error reply: WRONGTYPE, unknown command, wrong number of arguments, NOSCRIPT, WRONGPASS.
MISTAKES: tuple[Command, ...] = (
    ("INCR", "bestsellers"),
    ("GETT", "product:1"),
    ("SET", "product:1"),
    ("EVALSHA", "0" * 40, 0),
    ("AUTH", "nobody", "wrong"),
)


def load(now: float) -> float:
    """Return the load at ``now`` seconds: a slow wave between 0.2 at night and 1 in the rush hour."""
    return 0.6 + 0.4 * math.sin(2 * math.pi * now / WAVE)


def miss_share(now: float) -> float:
    """Return the share of lookups at ``now`` seconds for keys that do not exist: 4 to 16 percent."""
    return 0.10 + 0.06 * math.sin(2 * math.pi * now / (0.4 * WAVE))


class Workload:
    """Reads and writes ``primary``, and reads ``replica`` (URLs).

    ``clock`` (seconds) drives the waves, and ``sleep`` makes all pauses. Tests replace both.
    """

    def __init__(
        self,
        primary: str,
        replica: str,
        *,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Random | None = None,
    ) -> None:
        self._primary = primary
        self._replica = replica
        self._clock = clock
        self._start = clock()
        self._sleep = sleep
        self._random = random or Random()  # noqa: S311

    async def run(self) -> None:
        """Run all jobs concurrently, until cancelled."""
        jobs: list[Job] = [self._shop, self._slow, self._mistakes, self._listen, *[self._visit] * VISITORS]
        jobs += [self._consumer(name) for name in ("billing", "shipping")]
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(self._forever(job, self._primary))
            tasks.create_task(self._forever(self._browse, self._replica))

    async def _forever(self, job: Job, url: str) -> None:
        """Run ``job`` with its own client, again and again. After an error, pause and retry without a message."""
        while True:
            try:
                async with Valkey.from_url(url, socket_connect_timeout=TIMEOUT, socket_timeout=None) as client:
                    await job(client)
            except (ValkeyError, OSError):  # hung, killed, loading, out of memory: users break the servers on purpose
                await self._sleep(RETRY)

    # Commands: plain data, chosen without a server.

    def lookups(self, count: int) -> list[Command]:
        """Return ``count`` GETs: most of them of products, popular ones more often, and some of missing keys."""
        misses = miss_share(self._elapsed())
        return [
            ("GET", f"gone:{self._random.randrange(10**6)}" if self._random.random() < misses else self._product())
            for _ in range(count)
        ]

    def batch(self) -> list[Command]:
        """Return the commands of one tick. There are more in the rush hour."""
        random = self._random
        busy = load(self._elapsed())
        commands = self.lookups(round(14 * busy))
        for _ in range(round(4 * busy)):
            user = random.randrange(2000)
            commands += [
                ("SET", f"session:{random.randrange(10**9)}", self._blob(1000, 8000), "EX", random.randint(20, 60)),
                ("HINCRBY", f"cart:{user % 200}", self._product(), 1),
                ("ZINCRBY", "bestsellers", 1, self._product()),
            ]
            if random.random() < 0.3:
                commands += [
                    ("LPUSH", "visits", user),
                    ("LTRIM", "visits", 0, 999),
                    ("DEL", f"cart:{user % 200}"),
                    ("XADD", "orders", "MAXLEN", "~", 1000, "*", "user", user, "total", random.randint(5, 500)),
                    ("PUBLISH", "news", f"user {user} bought something"),
                ]
        return commands

    def refill(self, commands: Iterable[Command], replies: Iterable[Any]) -> list[Command]:
        """Return a SET for each product that a GET in ``commands`` did not find."""
        missed = {
            key
            for (name, key, *_), reply in zip(commands, replies, strict=True)
            if name == "GET" and reply is None and str(key).startswith("product:")
        }
        return [("SET", key, self._blob(500, 3000)) for key in sorted(missed, key=str)]

    def _product(self) -> str:
        return f"product:{int(PRODUCTS * self._random.random() ** 2)}"

    def _blob(self, minimum: int, maximum: int) -> str:
        return "x" * self._random.randint(minimum, maximum)

    def _elapsed(self) -> float:
        return self._clock() - self._start

    # Jobs: each has its own client.

    async def _shop(self, client: Valkey) -> None:
        pending: list[Command] = [("SET", f"product:{number}", self._blob(500, 3000)) for number in range(PRODUCTS)]
        while True:
            replies = await _send(client, pending)
            await self._sleep(TICK)
            pending = self.refill(pending, replies) + self.batch()

    async def _browse(self, client: Valkey) -> None:
        while True:
            await _send(client, [*self.lookups(2), ("ZREVRANGE", "bestsellers", 0, 9)])
            await self._sleep(TICK / load(self._elapsed()))

    async def _slow(self, client: Valkey) -> None:
        while True:
            await self._sleep(self._random.uniform(10, 25))
            await _send(
                client, [("EVAL", SLOW_SCRIPT, 0, round(self._random.uniform(0.012, 0.035), 3)), ("KEYS", "c*")]
            )

    async def _mistakes(self, client: Valkey) -> None:
        while True:
            await self._sleep(self._random.uniform(2, 6))
            await _send(client, [self._random.choice(MISTAKES)])

    async def _listen(self, client: Valkey) -> None:
        async with client.pubsub() as channel:
            await channel.subscribe("news")
            while True:
                await channel.get_message(timeout=5)

    async def _visit(self, client: Valkey) -> None:
        """Connect, read for some seconds and leave. ``_forever`` starts the next visitor."""
        await self._sleep(self._random.uniform(1, 8) / load(self._elapsed()))
        for _ in range(self._random.randint(2, 8)):
            await _send(client, self.lookups(1))
            await self._sleep(self._random.uniform(0.2, 1.5))

    def _consumer(self, name: str) -> Job:
        read: Command = ("XREADGROUP", "GROUP", GROUP, name, "COUNT", 5, "BLOCK", 500, "STREAMS", "orders", ">")

        async def consume(client: Valkey) -> None:
            await _send(client, [("XGROUP", "CREATE", "orders", GROUP, "$", "MKSTREAM")])  # fails if the group exists
            while True:
                [orders] = await _send(client, [read])
                if isinstance(orders, ValkeyError):  # NOGROUP: the stream was evicted
                    raise orders
                await self._sleep(self._random.uniform(0.1, 0.6))  # the work: the entries are pending meanwhile
                for _, entries in orders or ():
                    await _send(client, [("XACK", "orders", GROUP, *(entry for entry, _ in entries))])

        return consume


async def _send(client: Valkey, commands: Iterable[Command]) -> list[Any]:
    """Send all commands in one round trip and return the replies. An error reply is one of them.

    ``asyncio.timeout`` replaces the ``socket_timeout`` of the client, which uses ``asyncio.wait_for``. On Python 3.11,
    that sometimes swallows a cancellation, and the daemon would then wait for the workload without end.
    """
    async with asyncio.timeout(TIMEOUT), client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies
