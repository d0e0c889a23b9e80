"""The prober's own connection: pings are written when due, replies are read in their order."""

from collections.abc import Callable

from redis.asyncio.connection import AbstractConnection

from exporter.client.translate import is_reply
from exporter.errors import ProtocolError, TargetError


class Wire:
    """One connection on which nothing but PING is sent."""

    __slots__ = ("_connection", "_ping", "_translate")

    def __init__(self, connection: AbstractConnection, translator: Callable[[BaseException], TargetError]) -> None:
        self._connection = connection
        self._ping = b"".join(connection.pack_command("PING"))
        self._translate = translator

    async def ping(self) -> None:
        """Write one PING. Raises TargetError when the connection is gone."""
        try:
            await self._connection.send_packed_command(self._ping, check_health=False)
        except Exception as error:
            raise self._translate(error) from error

    async def reply(self) -> TargetError | None:
        """Wait for the next reply: None for a PONG, or the error that the server answered, as a value.

        Raises TargetError when the connection is gone or does not speak the protocol.
        """
        try:
            reply = await self._connection.read_response(timeout=float("inf"), disconnect_on_error=False)
        except Exception as error:
            translated = self._translate(error)
            if is_reply(error):
                return translated
            raise translated from error
        if reply != b"PONG":
            raise ProtocolError("the answer to PING is no PONG")
        return None

    async def close(self) -> None:
        """Close the connection; never waits for the server."""
        await self._connection.disconnect(nowait=True)
