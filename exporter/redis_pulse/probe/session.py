"""One connection of the prober, from waiting for its turn to connect until it is lost or given up."""

import asyncio
from typing import Protocol

from redis_pulse.client import ProbeConnection, Received, TargetClient
from redis_pulse.errors import TargetError
from redis_pulse.telemetry import TargetMetrics, families


class ProbeSessionListener(Protocol):
    """Who is told how a session fares."""

    @property
    def is_replaced(self) -> bool:
        """Whether the target is elsewhere now."""
        ...

    def connection_opened(self, wire: ProbeConnection) -> None:
        """Send what waited for the connection."""
        ...

    def received(self, wire: ProbeConnection, arrival: Received) -> None:
        """Take replies, in the order of the pings; may raise a TargetError to give up the connection."""
        ...

    def connection_lost(self, error: TargetError) -> None:
        """Take note that no reply will come any more, and why; everything is closed."""
        ...


class ProbeSession:
    """Dials when it is its turn, then hands over every reply until the connection is lost or given up."""

    def __init__(self, client: TargetClient, instruments: TargetMetrics, hearer: ProbeSessionListener) -> None:
        self._client = client
        self._metrics = instruments
        self._listener = hearer
        #: the connection, while there is one
        self.connection: ProbeConnection | None = None
        #: whether it still waits for others that connect
        self.is_queueing = True
        self._task = asyncio.get_running_loop().create_task(self._connect())

    def read(self) -> None:
        """Hand over what has arrived."""
        wire = self.connection
        if wire is None:
            return
        try:
            arrival = wire.receive()
            if arrival is not None:
                self._listener.received(wire, arrival)
        except TargetError as error:
            self.give_up(error)
        except Exception as error:
            self.give_up(TargetError(f"a fault of ours: {type(error).__name__}"))
            raise

    def give_up(self, error: TargetError) -> None:
        """Close the connection, and say why."""
        self._close()
        self._listener.connection_lost(error)

    async def stop(self) -> None:
        """Close the connection, or stop dialling, without a word."""
        self._close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _close(self) -> None:
        wire, self.connection = self.connection, None
        if wire is not None:
            wire.close()

    async def _connect(self) -> None:
        try:
            async with self._client.connect_limiter.acquire():
                self.is_queueing = False
                self.connection = wire = await self._client.connect_probe(self._on_phase)
            wire.listen(self.read)
            if (expires := wire.certificate_expires) is not None and not self._listener.is_replaced:
                self._metrics.value(families.CERTIFICATE).set(expires)
            self._listener.connection_opened(wire)
        except TargetError as error:
            self.give_up(error)
        except Exception as error:
            self.give_up(TargetError(f"a fault of ours: {type(error).__name__}"))
            raise

    def _on_phase(self, phase: str, seconds: float) -> None:
        self._metrics.value(families.PHASE, phase).observe(seconds)
