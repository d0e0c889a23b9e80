"""The load on the servers of the showcase: small jobs, each for one server, until cancelled."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from valkey.asyncio import Valkey
from valkey.asyncio.cluster import ValkeyCluster
from valkey.exceptions import ValkeyError

from redis_pulse.demo.workload import SLOW_SCRIPT


async def forever(job: Callable[[], Awaitable[None]]) -> None:
    """Repeat ``job``, after a pause if it failed."""
    while True:
        try:
            await job()
        except (ValkeyError, OSError, TimeoutError):
            await asyncio.sleep(1)


async def queue(url: str) -> None:
    """Push jobs and take them."""
    async with Valkey.from_url(url, socket_timeout=2) as client:
        while True:
            for _ in range(random.randint(5, 40)):
                await client.lpush("jobs", random.randbytes(200))
            for _ in range(40):
                await client.rpop("jobs")
            await asyncio.sleep(0.3)


async def payments(url: str) -> None:
    """Write records that expire, and read some that do not exist."""
    async with Valkey.from_url(url, socket_timeout=2) as client:
        while True:
            for _ in range(random.randint(10, 30)):
                number = random.randrange(8000)
                await client.set(f"payment:{number}", random.randbytes(random.randint(200, 1500)), ex=300)
                await client.get(f"payment:{random.randrange(8200)}")
            await asyncio.sleep(0.25)


async def cart(port: int) -> None:
    """Fill and read shopping carts on all nodes of a cluster."""
    async with ValkeyCluster(host="127.0.0.1", port=port, socket_timeout=2) as client:
        while True:
            for _ in range(20):
                await client.hset(f"cart:{random.randrange(5000)}", "item", random.randbytes(100))
                await client.hgetall(f"cart:{random.randrange(5200)}")
            await asyncio.sleep(0.2)


async def slow(url: str) -> None:
    """Block the server for 30 ms, several times a second."""
    async with Valkey.from_url(url) as client:
        while True:
            await client.eval(SLOW_SCRIPT, 0, 0.03)
            await asyncio.sleep(0.15)
