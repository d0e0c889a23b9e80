"""Receive published messages on a separate connection. In RESP2 it can do nothing else after SUBSCRIBE."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection

from redis_pulse.client.connect_limiter import ConnectLimiter
from redis_pulse.client.credentials import Credentials
from redis_pulse.client.error_mapping import ErrorMapper
from redis_pulse.client.pool import connection_factory
from redis_pulse.client.tls import TlsContext
from redis_pulse.config import TargetSettings
from redis_pulse.errors import OperationTimeoutError, ProtocolError
from redis_pulse.parse.reply import as_text

#: Seconds of silence after which a PING is sent, unless ``health_check_interval`` is set.
PING_AFTER = 30.0


class PubSubConnection:
    """One subscription, from ``open`` to ``aclose``. Make a new one when the connection is lost."""

    def __init__(self, settings: TargetSettings, connect_limiter: ConnectLimiter) -> None:
        self._settings = settings
        self._ping_after = settings.connection.health_check_interval or PING_AFTER
        credentials = Credentials(settings, on_not_renewed=lambda _reason: None)  # a Sentinel has a password
        self._map_error = ErrorMapper(settings, credentials)
        kind, options = connection_factory(settings, 0, TlsContext(settings.tls), credentials)
        self._connection: AbstractConnection = kind(
            **options, socket_timeout=None, on_connect=lambda *_: None, connect_limiter=connect_limiter
        )

    async def open(self, channels: Sequence[str]) -> None:
        """Connect and subscribe. Raises TargetError: PermissionDeniedError if the user may not read a channel."""
        connection = self._settings.connection
        try:
            async with asyncio.timeout(connection.socket_connect_timeout + connection.socket_timeout):
                await self._connection.connect()  # type: ignore[no-untyped-call]
                await self._send("SUBSCRIBE", *channels)
                for _ in channels:
                    await self._read()
        except Exception as error:
            raise self._map_error(error) from error

    async def message(self) -> tuple[str, str]:
        """Return channel and text of the next message. Raises TargetError when the connection is lost.

        After a long silence a PING is sent. A server that does not reply to it in time is lost.
        """
        try:
            while True:
                if (message := _parse_message(await self._next_reply())) is not None:
                    return message
        except Exception as error:
            raise self._map_error(error) from error

    async def aclose(self) -> None:
        """Close the connection."""
        await self._connection.disconnect(nowait=True)

    async def _next_reply(self) -> Any:
        try:
            async with asyncio.timeout(self._ping_after):
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


def _parse_message(reply: Any) -> tuple[str, str] | None:
    """Return channel and text of a message, or None for the reply to a PING or to SUBSCRIBE."""
    if not isinstance(reply, list) or not reply:
        raise ProtocolError("a reply that is not a published message")
    words = [as_text(word) for word in reply]
    if words[0] != "message":
        return None
    if len(words) != 3 or words[1] is None or words[2] is None:
        raise ProtocolError("a message without channel and text")
    return words[1], words[2]
