"""One connection of the prober, from dialling to its loss."""

import asyncio
from typing import Protocol

from exporter.client import Client, Wire
from exporter.errors import OperationTimeoutError, TargetError


class Hearer(Protocol):
    """Who is told how a session fares."""

    async def opened(self, wire: Wire) -> None:
        """Send what waited for the connection."""
        ...

    def answered(self, error: TargetError | None) -> None:
        """Take the next reply: a PONG, or an error; may raise a TargetError to give up the connection."""
        ...

    def lost(self, error: TargetError) -> None:
        """Take note that no reply will come any more, and why."""
        ...

    def ended(self) -> None:
        """Take note that everything is closed."""
        ...


class Session:
    """Dials at once, then reads replies until the connection is lost or given up."""

    def __init__(self, client: Client, hearer: Hearer) -> None:
        self._client = client
        self._hearer = hearer
        #: the connection, while there is one
        self.wire: Wire | None = None
        self._task = asyncio.get_running_loop().create_task(self._run())

    def hang_up(self) -> None:
        """Give up the connection; ``ended()`` is heard when it is closed."""
        self.wire = None
        if self._task is not asyncio.current_task():
            self._task.cancel()

    async def stop(self) -> None:
        """Give up the connection and wait until it is closed."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        wire: Wire | None = None
        try:
            async with asyncio.timeout(self._client.target.settings.connection.socket_connect_timeout):
                wire = await self._client.dial()
            self.wire = wire
            await self._hearer.opened(wire)
            while True:
                self._hearer.answered(await wire.reply())
        except TimeoutError:
            self._hearer.lost(OperationTimeoutError("no connection in time"))
        except TargetError as error:
            self._hearer.lost(error)
        except Exception as error:
            self._hearer.lost(TargetError(f"a fault of ours: {type(error).__name__}"))
            raise
        finally:
            self.wire = None
            if wire is not None:
                await wire.close()
            self._hearer.ended()
