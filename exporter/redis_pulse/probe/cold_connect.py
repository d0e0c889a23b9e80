"""What a client without a pool feels: connect, log in, one PING, and close; every few seconds, off unless asked for."""

import asyncio
from collections.abc import Callable

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import ProbeConnection, TargetClient
from redis_pulse.errors import OperationTimeoutError, SkippedError, TargetError
from redis_pulse.telemetry import TargetMetrics

COLD_CONNECT = "cold_connect"


class ColdConnectProbe:
    """Connects to one target anew with every run; the whole of it is one slot of the operation ``cold_connect``."""

    def __init__(
        self, client: TargetClient, breaker: CircuitBreaker, instruments: TargetMetrics, *, clock: Callable[[], float]
    ) -> None:
        self._client = client
        self._breaker = breaker
        self._operation = instruments.operation(COLD_CONNECT)
        self._timeout = client.target.settings.connection.socket_connect_timeout
        self._clock = clock

    async def run(self, _due: float) -> None:
        """Connect, ping and close."""
        self._operation.total.inc()
        started = self._clock()
        try:
            await self._with_breaker()
        except TargetError as error:
            waited = isinstance(error, OperationTimeoutError) and error.was_tried
            self._operation.failed(error.reason, self._timeout if waited else None)
        except asyncio.CancelledError:
            self._operation.failed("other")
            raise
        else:
            self._operation.succeeded(self._clock() - started)

    def missed(self, late: int, overrun: int) -> None:
        """Book runs that were due and never started."""
        self._operation.total.inc(late + overrun)
        self._operation.failed("skipped", count=late)
        self._operation.failed("timeout", count=overrun)

    async def _with_breaker(self) -> None:
        if (waiting := self._client.reconnect_delay_error()) is not None:
            raise waiting.untried()
        permit = self._breaker.acquire()
        if permit is None:
            raise self._breaker.rejection_error()
        try:
            async with asyncio.timeout(self._timeout):
                await self._connect_and_ping()
        except TimeoutError:
            error = OperationTimeoutError("no answer in time")
            permit.failure(error)
            raise error from None
        except SkippedError:
            permit.release()
            raise
        except TargetError as error:
            permit.failure(error) if error.unavailable else permit.success()
            raise
        except BaseException:
            permit.release()
            raise
        permit.success()

    async def _connect_and_ping(self) -> None:
        wire = await self._client.connect_probe()
        try:
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            wire.listen(lambda: _read_reply(wire, answer))
            wire.ping()
            await answer
        finally:
            wire.close()


def _read_reply(wire: ProbeConnection, answer: "asyncio.Future[None]") -> None:
    """Take the reply; what is wrong with it is the answer's exception."""
    if answer.done():
        return
    try:
        arrival = wire.receive()
        error = wire.parse_error(arrival.lines[0]) if arrival is not None else None
    except TargetError as raised:
        arrival, error = None, raised
    if error is not None:
        answer.set_exception(error)
    elif arrival is not None:
        answer.set_result(None)
