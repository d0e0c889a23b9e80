"""Messages that a server publishes, on a connection of its own: in RESP2 it is good for nothing else meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection

from redis_pulse.client.credentials import Credentials
from redis_pulse.client.error_mapping import map_error, safe_text
from redis_pulse.client.pool import ConnectLimiter, TlsContext, connection_factory
from redis_pulse.config import TargetSettings
from redis_pulse.errors import OperationTimeoutError, ProtocolError, TargetError
from redis_pulse.parse.reply import as_text

#: Seconds of silence after which the server is asked whether it is there, unless its settings say another time.
QUIET = 30.0


class PubSubConnection:
    """One subscription, from ``open`` to ``aclose``; who loses it makes another one."""

    def __init__(self, settings: TargetSettings, ramp: ConnectLimiter) -> None:
        self._settings = settings
        self._quiet = settings.connection.health_check_interval or QUIET
        self._credentials = Credentials(settings)
        kind, options = connection_factory(settings, 0, TlsContext(settings.tls), self._credentials)
        self._connection: AbstractConnection = kind(
            **options, socket_timeout=None, on_connect=lambda *_: None, ramp=ramp
        )

    async def open(self, channels: Sequence[str]) -> None:
        """Connect and subscribe. Raises TargetError: PermissionDeniedError when a channel is not allowed to us."""
        connection = self._settings.connection
        try:
            async with asyncio.timeout(connection.socket_connect_timeout + connection.socket_timeout):
                await self._connection.connect()  # type: ignore[no-untyped-call]
                await self._send("SUBSCRIBE", *channels)
                for _ in channels:
                    await self._read()
        except Exception as error:
            raise self._translate(error) from error

    async def message(self) -> tuple[str, str]:
        """Wait for the next message: its channel and its text. Raises TargetError when the connection is of no use.

        A server that was silent for long is sent a PING; one that does not answer it in time is gone.
        """
        try:
            while True:
                if (read := _message(await self._next())) is not None:
                    return read
        except Exception as error:
            raise self._translate(error) from error

    async def aclose(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)

    async def _next(self) -> Any:
        try:
            async with asyncio.timeout(self._quiet):
                return await self._read()
        except TimeoutError:
            await self._send("PING")
        try:
            async with asyncio.timeout(self._settings.connection.socket_timeout):
                return await self._read()
        except TimeoutError:
            raise OperationTimeoutError("no answer in time") from None

    async def _send(self, *words: str) -> None:
        await self._connection.send_packed_command(self._connection.pack_command(*words), check_health=False)

    async def _read(self) -> Any:
        return await self._connection.read_response(disconnect_on_error=False)

    def _translate(self, error: Exception) -> TargetError:
        if isinstance(error, TargetError):
            return error
        translated = map_error(error, tls=self._settings.endpoint.tls, secret=self._credentials.secret)
        return safe_text(translated, self._settings)


def _message(reply: Any) -> tuple[str, str] | None:
    """Return channel and text of a message, None for what else comes: the answer to a PING, a late confirmation."""
    if not isinstance(reply, list) or not reply:
        raise ProtocolError("a reply that is no message")
    words = [as_text(word) for word in reply]
    if words[0] != "message":
        return None
    if len(words) != 3 or words[1] is None or words[2] is None:
        raise ProtocolError("a message without channel and text")
    return words[1], words[2]
