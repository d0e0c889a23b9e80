"""One connection for one purpose, beside those of polls and pings.

The database and CLIENT NO-TOUCH are set on it, and so never affect a poll. No poll waits for it. The circuit
breaker neither allows nor counts what it sends.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection

from redis_pulse.client.bounded_parser import parser_factory
from redis_pulse.client.client_name import ClientNaming
from redis_pulse.client.connect_limiter import ConnectLimiter, QueueTicket
from redis_pulse.client.credentials import Credentials
from redis_pulse.client.error_mapping import ErrorMapper, is_error_reply
from redis_pulse.client.pool import connection_factory
from redis_pulse.client.tls import TlsContext
from redis_pulse.commands import Args
from redis_pulse.config import TargetSettings
from redis_pulse.errors import AuthError, MaxClientsError, OperationTimeoutError, SkippedError, TargetError


class DedicatedConnection:
    """A connection that is made when it is needed, and again after it was lost. Replies have a limit of their own."""

    def __init__(
        self, settings: TargetSettings, credentials: Credentials, connect_limiter: ConnectLimiter, *, max_reply: int
    ) -> None:
        self._within = settings.connection.socket_timeout
        self._connect_within = settings.connection.socket_connect_timeout
        self._credentials = credentials
        self._renamed = {name.upper(): word.get_secret_value() for name, word in settings.commands.items()}
        self._map_error = ErrorMapper(settings, credentials, self._renamed)
        #: The commands that tell the server the name of this client.
        self.naming = ClientNaming()
        kind, options = connection_factory(settings, 0, TlsContext(settings.tls), credentials)
        options["parser_class"] = parser_factory(max_reply)
        self._connection: AbstractConnection = kind(
            **options, socket_timeout=None, on_connect=lambda *_: None, connect_limiter=connect_limiter
        )
        self._db = 0
        self._sent: set[Args] = set()

    async def exchange(
        self, commands: Sequence[Args], *, db: int = 0, once: Sequence[Args] = (), within: float | None = None
    ) -> list[Any]:
        """Send commands at once and return their replies, with error replies as values.

        ``once`` are sent once on each connection, and their replies are ignored. Raises TargetError when there is no
        reply, or if the database cannot be selected. The connection is then closed.
        """
        ticket = QueueTicket()
        try:
            async with asyncio.timeout(self._connect_within):
                await self._connect(ticket)
            async with asyncio.timeout(within or self._within):
                return await self._write_and_read(commands, db, once)
        except TimeoutError:
            await self.aclose()
            if ticket.is_waiting:
                raise SkippedError("too many connects at once") from None
            raise OperationTimeoutError("no answer in time") from None
        except BaseException as error:
            await self.aclose()  # late replies may still arrive on it
            if isinstance(error, Exception):
                raise self._map_error(error) from error
            raise

    async def aclose(self) -> None:
        """Close the connection. The next exchange makes another one."""
        self._db = 0
        self._sent.clear()
        with suppress(Exception):
            await self._connection.disconnect(nowait=True)

    async def _connect(self, ticket: QueueTicket) -> None:
        if self._connection.is_connected and self._must_replace():
            await self.aclose()
        if not self._connection.is_connected:
            self._db = 0
            self._sent.clear()
            await self._connection.connect(ticket)  # type: ignore[call-arg, no-untyped-call]

    def _must_replace(self) -> bool:
        """Whether the service will soon cut the connection, and a new login can prevent that."""
        connection: Any = self._connection
        is_due = asyncio.get_running_loop().time() >= connection.serves_until
        return is_due and self._credentials.has_newer(connection.login)

    async def _write_and_read(self, commands: Sequence[Args], db: int, once: Sequence[Args]) -> list[Any]:
        names = [args for args in self.naming.commands() if args not in self._sent]
        first = [*names, *(args for args in once if args not in self._sent)]
        select: list[Args] = [("SELECT", db)] if db != self._db else []
        packed = self._connection.pack_commands([self._with_server_name(args) for args in (*first, *select, *commands)])
        await self._connection.send_packed_command(packed)
        for args in first:
            self._sent.add(args)
            reply = await self._read()
            if isinstance(reply, MaxClientsError | AuthError):
                raise reply
            if args in names:
                self.naming.record_reply(args, reply if isinstance(reply, TargetError) else None)
        selected = [await self._read() for _ in select]
        replies = [await self._read() for _ in commands]
        if select and isinstance(selected[0], TargetError):
            raise selected[0]  # what came after it was read from another database
        self._db = db
        return replies

    def _with_server_name(self, args: Args) -> Args:
        name = self._renamed.get(str(args[0]).upper()) if self._renamed else None
        return args if name is None else (name, *args[1:])

    async def _read(self) -> Any:
        """Read one reply. An error reply is returned as a TargetError."""
        try:
            return await self._connection.read_response(disconnect_on_error=False)
        except Exception as error:
            if is_error_reply(error):
                return self._map_error(error)
            raise
