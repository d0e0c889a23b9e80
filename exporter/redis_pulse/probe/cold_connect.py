"""Measures what a client without a pool waits for: connect, log in, send one PING and close.

It is off unless ``probe.cold_connect`` gives an interval.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from redis_pulse.client import ProbeConnection, TargetClient
from redis_pulse.errors import TargetError
from redis_pulse.telemetry import TargetMetrics

COLD_CONNECT = "cold_connect"


class ColdConnectProbe:
    """Makes a new connection to one target in every run. A run is one run of the operation ``cold_connect``."""

    def __init__(self, client: TargetClient, metrics: TargetMetrics, *, clock: Callable[[], float]) -> None:
        self._client = client
        self._operation = metrics.operation(COLD_CONNECT)
        self._timeout = client.target.connection.socket_connect_timeout
        self._clock = clock

    async def run(self, _due: float) -> None:
        """Connect, ping and close. An error of the target is only counted."""
        with suppress(TargetError), self._operation.run(self._clock, self._timeout), self._client.start_call() as call:
            async with self._client.attempt(call, self._timeout):
                await self._connect_and_ping()

    def missed(self, late: int, overrun: int) -> None:
        """Count runs that were due and never started."""
        self._operation.missed(late, overrun)

    async def _connect_and_ping(self) -> None:
        connection = await self._client.connect_probe()
        try:
            reply: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            connection.listen(lambda: _read_reply(connection, reply))
            connection.ping()
            await reply
        finally:
            connection.close()


def _read_reply(connection: ProbeConnection, reply: "asyncio.Future[None]") -> None:
    """Read the reply and resolve ``reply``, with an exception if the reply is an error."""
    if reply.done():
        return
    try:
        received = connection.receive()
        error = connection.parse_error(received.lines[0]) if received is not None else None
    except TargetError as raised:
        received, error = None, raised
    if error is not None:
        reply.set_exception(error)
    elif received is not None:
        reply.set_result(None)
