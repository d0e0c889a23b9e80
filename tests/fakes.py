"""Replacements for time, for the client and for a server in tests.

``ManualClock`` moves only on demand. ``CountingBreaker`` counts permits and verdicts. ``FakeCommands`` is the port of
the collectors with recorded replies. ``FakeServer`` has scripted replies and a real socket (TCP, TLS or unix).
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from redis_pulse.circuit_breaker import CircuitBreaker, Permit, Verdict
from redis_pulse.collectors.support import info_lines
from redis_pulse.errors import TargetError
from tests.patience import at_most


class ManualClock:
    """A monotonic clock in seconds that moves only in ``advance``."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Move forward and return the new time."""
        self.now += seconds
        return self.now


class CountingBreaker(CircuitBreaker):
    """A circuit breaker that counts all calls and verdicts, including late verdicts of earlier periods."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.permitted = self.rejected = self.successes = self.failures = self.releases = 0
        super().__init__(*args, **kwargs)

    @property
    def outstanding(self) -> int:
        """The number of permits without a verdict."""
        return self.permitted - self.successes - self.failures - self.releases

    def acquire(self) -> Permit | None:
        """Request a permit for heavy work, and count the decision."""
        return self._count(super().acquire())

    def acquire_probe(self, due: float) -> Permit | None:
        """Request a permit for a ping, and count the decision."""
        return self._count(super().acquire_probe(due))

    def _count(self, permit: Permit | None) -> Permit | None:
        self.permitted += permit is not None
        self.rejected += permit is None
        return permit

    def record(self, permit: Permit, verdict: Verdict, error: TargetError | None) -> None:
        """Count the verdict, and record it."""
        self.successes += verdict == "success"
        self.failures += verdict == "failure"
        self.releases += verdict == "released"
        super().record(permit, verdict, error)


class FakeCommands:
    """The port ``Commands`` with recorded replies.

    Keys are commands as text (``"SLOWLOG LEN"``) or tuples (``("SLOWLOG", "GET", 10)``), in upper or lower case. A
    value is the reply, a ``TargetError`` to raise, or a callable that returns one of them. A key that ends in `` @3``
    holds the reply of database 3. A command without a recording fails the test. ``requests`` lists the sent commands as
    text.
    """

    def __init__(self, replies: Mapping[str | tuple[str | int | bytes, ...], Any]) -> None:
        self.replies = {_as_text(key): value for key, value in replies.items()}
        self.requests: list[str] = []

    async def execute(self, *args: str | int | bytes, db: int | None = None) -> Any:
        """Return the recorded reply, or raise the recorded error."""
        reply = self._reply(args, db)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[tuple[str | int | bytes, ...]], *, db: int | None = None) -> list[Any]:
        """Return the recorded replies, errors as values."""
        return [self._reply(args, db) for args in commands]

    def _reply(self, args: tuple[str | int | bytes, ...], db: int | None) -> Any:
        command = _as_text(args)
        key = command if db is None else f"{command} @{db}"
        self.requests.append(key)
        recorded = key if key in self.replies else command
        assert recorded in self.replies, f"no reply was recorded for {key!r}"
        reply = self.replies[recorded]
        return reply() if callable(reply) else reply


def every_info(reply: Any) -> dict[str | tuple[str | int | bytes, ...], Any]:
    """Return the recordings of a server that sends the same reply to every form of INFO."""
    return {f"INFO {words}".rstrip(): reply for words in ("", "EVERYTHING", "ALL", *info_lines.SECTIONS)}


def _as_text(command: str | tuple[str | int | bytes, ...]) -> str:
    return (command if isinstance(command, str) else " ".join(map(str, command))).upper()


@dataclass(frozen=True)
class Reply:
    """Bytes to send as a reply: at once, or when ``until`` is set; whole, or in so many ``pieces``."""

    data: bytes
    pieces: int = 1
    until: asyncio.Event | None = None


def error(text: str) -> Reply:
    """Return an error reply: ``error("LOADING the dataset is in memory")``."""
    return Reply(f"-{text}\r\n".encode())


def bulk(text: str | bytes) -> Reply:
    """Return a bulk string reply."""
    data = text.encode() if isinstance(text, str) else text
    return Reply(b"$%d\r\n%b\r\n" % (len(data), data))


OK = Reply(b"+OK\r\n")
#: The reply of a healthy server to PING. A PING with a word gets this word as its reply.
PONG = Reply(b"+PONG\r\n")
NOAUTH = error("NOAUTH Authentication required.")
LOADING = error("LOADING Valkey is loading the dataset in memory")
MAXCLIENTS = error("ERR max number of clients reached")
GARBAGE = Reply(b"HTTP/1.1 400 Bad Request\r\n\r\n")

#: ``never``: no further reply on the connection. ``swallow``: no reply to this command. ``twice``: two replies to
#: a PING. ``close``: FIN. ``reset``: RST.
Action = Literal["never", "swallow", "twice", "close", "reset"]
Response = Reply | Action
Command = tuple[str, ...]


class FakeServer:
    """A RESP server in the loop of the test: ``async with FakeServer() as server: … server.url …``.

    Commands without a script get the reply of a healthy server (PING → PONG, INFO → ``info``, all others → OK).
    ``script("PING", PONG, "reset")`` replies to the first PING, and resets the connection at every later one.
    Replies are sent in order. Arrivals are recorded at once, so pipelined commands are in ``received`` before the first
    reply is sent.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, unix_path: Path | None = None) -> None:
        self.tls = tls
        self.unix_path = unix_path
        self.host, self.port = "127.0.0.1", 0
        self.info = bulk("# Server\r\nvalkey_version:9.1.0\r\nrole:master\r\n")
        #: All received commands in order, as text, in their original case.
        self.received: list[Command] = []
        #: CLIENT SETNAME and SETINFO, with which each connection begins. They are not in ``received``.
        self.introduced: list[Command] = []
        #: The number of accepted connections.
        self.accepted = 0
        #: Sent right after accept. Then the connection is closed. A full server sends ``MAXCLIENTS``.
        self.greeting: Response | None = None
        self._scripts: dict[str, list[Response]] = {}
        self._gate = asyncio.Event()
        self._gate.set()
        self._arrived = asyncio.Condition()
        self._writers: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """The address of the server, as the URL of a target."""
        if self.unix_path:
            return f"unix://{self.unix_path}"
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}"

    @property
    def connected(self) -> int:
        """The number of open connections."""
        return len(self._writers)

    async def start(self) -> None:
        """Listen. After a ``stop()`` the port stays the same."""
        if self.unix_path:
            self._server = await asyncio.start_unix_server(self._serve, self.unix_path)
            return
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening, so that connects are refused, and reset every connection."""
        if self._server is None:
            return
        self._server.close()
        await self.drop()
        await self._server.wait_closed()
        self._server = None

    async def drop(self, action: Action = "reset") -> None:
        """Close or reset every open connection."""
        for writer, task in list(self._writers.items()):
            _hang_up(writer, action)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def script(self, command: str, *responses: Response) -> None:
        """Reply to the next commands with this name with these responses, in order. The last one is repeated."""
        self._scripts[command.upper()] = list(responses)

    def hold(self) -> None:
        """Send no reply until ``release()``, like a stopped process."""
        self._gate.clear()

    def release(self) -> None:
        """Send all held replies, in order."""
        self._gate.set()

    def count(self, name: str) -> int:
        """Return how many commands of this name have arrived."""
        return sum(1 for command in self.received if command[0].upper() == name.upper())

    async def arrived(self, name: str, count: int = 1, *, within: float = 5.0) -> None:
        """Wait until so many commands of this name have arrived."""
        async with at_most(within), self._arrived:
            await self._arrived.wait_for(lambda: self.count(name) >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._writers[writer] = task
        self.accepted += 1
        inbox: asyncio.Queue[Command] = asyncio.Queue()
        replying = asyncio.ensure_future(self._reply_in_order(inbox, writer))
        try:
            if self.greeting is not None:
                await self._perform(self.greeting, writer)
                return
            async for command in _commands(reader):
                (self.introduced if _is_introduction(command) else self.received).append(command)
                async with self._arrived:
                    self._arrived.notify_all()
                inbox.put_nowait(command)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            replying.cancel()
            writer.close()
            try:
                await asyncio.gather(replying, return_exceptions=True)
                with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                    await writer.wait_closed()
            finally:
                del self._writers[writer]  # the last step, because ``stop`` waits for it

    async def _reply_in_order(self, inbox: asyncio.Queue[Command], writer: asyncio.StreamWriter) -> None:
        while True:
            command = await inbox.get()
            await self._gate.wait()
            await self._perform(self._response(command), writer)

    def _response(self, command: Command) -> Response:
        name = " ".join(command[:2]) if _is_introduction(command) else command[0].upper()
        if script := self._scripts.get(name):
            response = script.pop(0) if len(script) > 1 else script[0]
        else:
            response = {"PING": PONG, "INFO": self.info}.get(name, OK)
        if name == "PING" and len(command) > 1:
            echoed = bulk(command[1])
            return {PONG: echoed, "twice": Reply(echoed.data * 2)}.get(response, response)
        return response

    async def _perform(self, response: Response, writer: asyncio.StreamWriter) -> None:
        if response == "never":
            await asyncio.Event().wait()
        elif response == "swallow":
            return
        elif isinstance(response, Reply):
            if response.until:
                await response.until.wait()
            size = -(-len(response.data) // response.pieces)
            for start in range(0, len(response.data), size):
                writer.write(response.data[start : start + size])
                await writer.drain()
                for _ in range(3):  # let the reader, in the same loop, receive each piece separately
                    await asyncio.sleep(0)
        else:
            _hang_up(writer, response)


def _is_introduction(command: Command) -> bool:
    """Return whether a command names the client: ``script("CLIENT SETNAME", …)`` scripts its reply."""
    return command[:2] in (("CLIENT", "SETNAME"), ("CLIENT", "SETINFO"))


def _hang_up(writer: asyncio.StreamWriter, act: Action) -> None:
    if act == "reset":
        with contextlib.suppress(OSError, AttributeError):  # there is no socket after a TLS client has closed
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


async def _commands(reader: asyncio.StreamReader) -> AsyncIterator[Command]:
    """Yield the commands of a client: arrays of bulk strings, or lines of words."""
    while line := await reader.readline():
        if not line.startswith(b"*"):
            if words := line.split():
                yield tuple(word.decode() for word in words)
            continue
        words = []
        for _ in range(int(line[1:])):
            length = int((await reader.readline())[1:])
            try:
                words.append((await reader.readexactly(length + 2))[:-2])
            except asyncio.IncompleteReadError:
                return
        yield tuple(word.decode(errors="replace") for word in words)
