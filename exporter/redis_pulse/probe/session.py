"""One connection of the prober, from waiting for its turn to connect until it is lost or given up."""

import asyncio
from typing import Protocol

from redis_pulse.client import Arrival, Client, Wire
from redis_pulse.errors import TargetError
from redis_pulse.telemetry import TargetInstruments, families


class Hearer(Protocol):
    """Who is told how a session fares."""

    @property
    def is_left(self) -> bool:
        """Whether the target is elsewhere now."""
        ...

    def opened(self, wire: Wire) -> None:
        """Send what waited for the connection."""
        ...

    def heard(self, wire: Wire, arrival: Arrival) -> None:
        """Take replies, in the order of the pings; may raise a TargetError to give up the connection."""
        ...

    def lost(self, error: TargetError) -> None:
        """Take note that no reply will come any more, and why; everything is closed."""
        ...


class Session:
    """Dials when it is its turn, then hands over every reply until the connection is lost or given up."""

    def __init__(self, client: Client, instruments: TargetInstruments, hearer: Hearer) -> None:
        self._client = client
        self._instruments = instruments
        self._hearer = hearer
        #: the connection, while there is one
        self.wire: Wire | None = None
        #: whether it still waits for others that connect
        self.is_queueing = True
        self._task = asyncio.get_running_loop().create_task(self._dial())

    def read(self) -> None:
        """Hand over what has arrived."""
        wire = self.wire
        if wire is None:
            return
        try:
            arrival = wire.receive()
            if arrival is not None:
                self._hearer.heard(wire, arrival)
        except TargetError as error:
            self.give_up(error)
        except Exception as error:
            self.give_up(TargetError(f"a fault of ours: {type(error).__name__}"))
            raise

    def give_up(self, error: TargetError) -> None:
        """Close the connection, and say why."""
        self._close()
        self._hearer.lost(error)

    async def stop(self) -> None:
        """Close the connection, or stop dialling, without a word."""
        self._close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _close(self) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.close()

    async def _dial(self) -> None:
        try:
            async with self._client.ramp.turn():
                self.is_queueing = False
                self.wire = wire = await self._client.dial(self._on_phase)
            wire.listen(self.read)
            if (expires := wire.certificate_expires) is not None and not self._hearer.is_left:
                self._instruments.cell(families.CERTIFICATE).set(expires)
            self._hearer.opened(wire)
        except TargetError as error:
            self.give_up(error)
        except Exception as error:
            self.give_up(TargetError(f"a fault of ours: {type(error).__name__}"))
            raise

    def _on_phase(self, phase: str, seconds: float) -> None:
        self._instruments.cell(families.PHASE, phase).observe(seconds)
