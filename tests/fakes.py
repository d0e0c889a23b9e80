"""What tests use in place of time, of the client, and of a server that misbehaves on command.

``ManualClock`` is a clock turned by hand, ``FakeCommands`` the port of the collectors with recorded replies, and
``FakeServer`` a server on a real socket (TCP, TLS or unix) whose every answer is scripted.
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

from redis_pulse.collectors.support import info_lines
from redis_pulse.errors import TargetError


class ManualClock:
    """A monotonic clock in seconds that moves only when told to."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Move forward and return the new time."""
        self.now += seconds
        return self.now


class FakeCommands:
    """The port ``Commands`` with recorded replies.

    Keys are commands as text (``"SLOWLOG LEN"``) or tuples (``("SLOWLOG", "GET", 10)``), case does not matter. A value
    is the reply, a ``TargetError`` to raise, or a callable that makes one of them. A key that ends in `` @3`` is the
    reply of database 3. A command that was not recorded fails the test. ``asked`` lists what was asked, as text.
    """

    def __init__(self, replies: Mapping[str | tuple[str | int | bytes, ...], Any]) -> None:
        self.replies = {_spelled(key): value for key, value in replies.items()}
        self.asked: list[str] = []

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
        command = _spelled(args)
        where = command if db is None else f"{command} @{db}"
        self.asked.append(where)
        found = where if where in self.replies else command
        assert found in self.replies, f"no reply was recorded for {where!r}"
        reply = self.replies[found]
        return reply() if callable(reply) else reply


def every_info(reply: Any) -> dict[str | tuple[str | int | bytes, ...], Any]:
    """Return the replies of a server that answers the same to every form of INFO."""
    return {f"INFO {words}".rstrip(): reply for words in ("", "EVERYTHING", "ALL", *info_lines.SECTIONS)}


def _spelled(command: str | tuple[str | int | bytes, ...]) -> str:
    return (command if isinstance(command, str) else " ".join(map(str, command))).upper()


@dataclass(frozen=True)
class Reply:
    """Bytes to answer with: at once, or when ``until`` is set; whole, or in so many ``pieces``."""

    data: bytes
    pieces: int = 1
    until: asyncio.Event | None = None


def error(text: str) -> Reply:
    """Make an error reply: ``error("LOADING the dataset is in memory")``."""
    return Reply(f"-{text}\r\n".encode())


def bulk(text: str | bytes) -> Reply:
    """Make a bulk string reply."""
    data = text.encode() if isinstance(text, str) else text
    return Reply(b"$%d\r\n%b\r\n" % (len(data), data))


OK = Reply(b"+OK\r\n")
#: What a healthy server answers to PING: the word that came with it, if one did.
PONG = Reply(b"+PONG\r\n")
NOAUTH = error("NOAUTH Authentication required.")
LOADING = error("LOADING Valkey is loading the dataset in memory")
MAXCLIENTS = error("ERR max number of clients reached")
GARBAGE = Reply(b"HTTP/1.1 400 Bad Request\r\n\r\n")

#: ``never``: no answer to this nor to anything later on the connection; ``swallow``: to this alone; ``twice``: the
#: answer to a PING comes twice; ``close``: FIN; ``reset``: RST.
Action = Literal["never", "swallow", "twice", "close", "reset"]
Response = Reply | Action
Command = tuple[str, ...]


class FakeServer:
    """A RESP server in the loop of the test: ``async with FakeServer() as server: … server.url …``.

    Unscripted commands get the answer of a healthy server (PING → PONG, INFO → ``info``, anything else → OK).
    ``script("PING", PONG, "reset")`` answers the first PING, and resets the connection at every later one.
    Answers are given in order; arrival is recorded at once, so pipelined commands show in ``received`` while the first
    is still unanswered.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, unix_path: Path | None = None) -> None:
        self.tls = tls
        self.unix_path = unix_path
        self.host, self.port = "127.0.0.1", 0
        self.info = bulk("# Server\r\nvalkey_version:9.1.0\r\nrole:master\r\n")
        #: Every command that arrived, in order, as text in the case it was sent.
        self.received: list[Command] = []
        #: CLIENT SETNAME and SETINFO, which are not in ``received``: each connection begins with them.
        self.introduced: list[Command] = []
        #: Connections accepted so far.
        self.accepted = 0
        #: Sent right after accept; then the connection is closed. ``MAXCLIENTS`` is what a full server does.
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
        """Where it listens, as a target's URL."""
        if self.unix_path:
            return f"unix://{self.unix_path}"
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}"

    @property
    def connected(self) -> int:
        """How many connections are open now."""
        return len(self._writers)

    async def start(self) -> None:
        """Listen; on the same port as before after a ``stop()``."""
        if self.unix_path:
            self._server = await asyncio.start_unix_server(self._serve, self.unix_path)
            return
        self._server = await asyncio.start_server(self._serve, self.host, self.port, ssl=self.tls, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening (a connect is refused then) and reset every connection."""
        if self._server is None:
            return
        self._server.close()
        await self.drop()
        await self._server.wait_closed()
        self._server = None

    async def drop(self, act: Action = "reset") -> None:
        """Close or reset every open connection."""
        for writer, task in list(self._writers.items()):
            _hang_up(writer, act)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def script(self, command: str, *behaviours: Response) -> None:
        """Answer the next commands of that name one after the other with these; the last one stays."""
        self._scripts[command.upper()] = list(behaviours)

    def hold(self) -> None:
        """Answer nothing until ``release()``, as a stopped process does."""
        self._gate.clear()

    def release(self) -> None:
        """Answer everything that was held, in order."""
        self._gate.set()

    def count(self, name: str) -> int:
        """How many commands of this name arrived."""
        return sum(1 for command in self.received if command[0].upper() == name.upper())

    async def arrived(self, name: str, count: int = 1, *, within: float = 5.0) -> None:
        """Wait until so many commands of this name have arrived."""
        async with asyncio.timeout(within), self._arrived:
            await self._arrived.wait_for(lambda: self.count(name) >= count)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._writers[writer] = task
        self.accepted += 1
        inbox: asyncio.Queue[Command] = asyncio.Queue()
        answering = asyncio.ensure_future(self._answer(inbox, writer))
        try:
            if self.greeting is not None:
                await self._act(self.greeting, writer)
                return
            async for command in _commands(reader):
                (self.introduced if _introduces(command) else self.received).append(command)
                async with self._arrived:
                    self._arrived.notify_all()
                inbox.put_nowait(command)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            answering.cancel()
            writer.close()
            try:
                await asyncio.gather(answering, return_exceptions=True)
                with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                    await writer.wait_closed()
            finally:
                del self._writers[writer]  # last: whoever stops the server waits for it

    async def _answer(self, inbox: asyncio.Queue[Command], writer: asyncio.StreamWriter) -> None:
        while True:
            command = await inbox.get()
            await self._gate.wait()
            await self._act(self._behaviour(command), writer)

    def _behaviour(self, command: Command) -> Response:
        name = " ".join(command[:2]) if _introduces(command) else command[0].upper()
        if script := self._scripts.get(name):
            behaviour = script.pop(0) if len(script) > 1 else script[0]
        else:
            behaviour = {"PING": PONG, "INFO": self.info}.get(name, OK)
        if name == "PING" and len(command) > 1:
            echoed = bulk(command[1])
            return {PONG: echoed, "twice": Reply(echoed.data * 2)}.get(behaviour, behaviour)
        return behaviour

    async def _act(self, behaviour: Response, writer: asyncio.StreamWriter) -> None:
        if behaviour == "never":
            await asyncio.Event().wait()
        elif behaviour == "swallow":
            return
        elif isinstance(behaviour, Reply):
            if behaviour.until:
                await behaviour.until.wait()
            size = -(-len(behaviour.data) // behaviour.pieces)
            for start in range(0, len(behaviour.data), size):
                writer.write(behaviour.data[start : start + size])
                await writer.drain()
                for _ in range(3):  # let the reader, in this same loop, see each piece by itself
                    await asyncio.sleep(0)
        else:
            _hang_up(writer, behaviour)


def _introduces(command: Command) -> bool:
    """Whether a client says who it is: ``script("CLIENT SETNAME", …)`` answers that."""
    return command[:2] in (("CLIENT", "SETNAME"), ("CLIENT", "SETINFO"))


def _hang_up(writer: asyncio.StreamWriter, act: Action) -> None:
    if act == "reset":
        with contextlib.suppress(OSError, AttributeError):  # a TLS client that hung up has left no socket
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()


async def _commands(reader: asyncio.StreamReader) -> AsyncIterator[Command]:
    """Read commands as clients send them: arrays of bulk strings, or one line of words."""
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
