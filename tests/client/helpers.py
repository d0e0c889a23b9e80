"""Functions that several client tests use."""

import asyncio
import fcntl
import ssl
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic, time_ns
from typing import Any

import trustme

from redis_pulse import errors
from redis_pulse.client import ProbeConnection, Received
from tests.harness import TargetHarness
from tests.patience import at_most

#: Seconds that are long compared with the time of one reply.
TICK = 0.05


async def request(harness: TargetHarness, *args: str, within: float = 5.0) -> object:
    """Send one command as a poll does, and return its reply."""
    return await harness.client.commands("info", harness.clock() + within).execute(*args)


def tls_server(authority: trustme.CA, *names: str, tickets: int = 2) -> ssl.SSLContext:
    """Return the TLS context of a server with a certificate for ``names``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.num_tickets = tickets
    authority.issue_cert(*(names or ("127.0.0.1",))).configure_cert(context)
    return context


@asynccontextmanager
async def probe_connection(
    url: str, *, real: bool = False, **changes: Any
) -> AsyncIterator[tuple[ProbeConnection, dict[str, float]]]:
    """Connect for a probe, with manual or real clocks. Yield the connection and the timed phases."""
    harness = TargetHarness(url, clock=monotonic if real else None, wall=time_ns if real else None, **changes)
    phases: dict[str, float] = {}
    connection = await harness.client.connect_probe(phases.__setitem__)
    try:
        yield connection, phases
    finally:
        connection.close()
        await harness.close()


async def until_unread(connection: ProbeConnection) -> None:
    """Wait until a reply has arrived that is not read yet. The task continues before the event loop reports it."""
    async with at_most(5):
        while not int.from_bytes(fcntl.ioctl(connection._sock, termios.FIONREAD, bytes(4)), sys.byteorder):
            await asyncio.sleep(0)


async def wait_for_replies(connection: ProbeConnection) -> Received:
    """Wait until replies arrive, because the connection itself never waits."""
    async with at_most(5):
        while True:
            if (received := connection.receive()) is not None:
                return received
            await asyncio.sleep(0.001)


async def read_errors(connection: ProbeConnection, count: int) -> list[errors.TargetError | None]:
    """Wait for so many replies, and return the error of each, or None for a PONG."""
    results: list[errors.TargetError | None] = []
    while len(results) < count:
        results += [connection.parse_error(line) for line in (await wait_for_replies(connection)).lines]
    return results
