"""A simulated server: recorded replies, and the states of a process that matter to a client."""

import math
import random
from fnmatch import fnmatchcase
from typing import Literal

from simulate.network import Host, Network, Stream
from simulate.replies import encode, normalize, template

OK, PONG = b"+OK\r\n", b"+PONG\r\n"
LOADING = b"-LOADING Redis is loading the dataset in memory\r\n"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
WRONGPASS = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
UNKNOWN = b"-ERR unknown command '%b', with args beginning with: \r\n"
_PING_HEAD = b"*2\r\n$4\r\nPING\r\n$6\r\n"
#: Seconds until a healthy server replies, at most.
MAX_SERVICE_SECONDS = 0.0005

State = Literal["running", "hung", "down"]


class ServerConnection:
    """One connection, as the server sees it."""

    __slots__ = ("_server", "_unparsed", "busy_until", "is_authenticated", "is_subscribed", "stream")

    def __init__(self, server: "SimulatedServer", stream: Stream) -> None:
        self._server, self.stream = server, stream
        self._unparsed = b""
        self.is_authenticated = self.is_subscribed = False
        self.busy_until = 0.0
        stream.on_event = self.on_event

    def on_event(self) -> None:
        """Read and answer, unless the process hangs."""
        server, stream = self._server, self.stream
        if server.state != "running":
            return
        while stream.inbox:
            data, _ = stream.read(1_000_000)
            if data.startswith(_PING_HEAD) and len(data) == 28 and not self._unparsed:  # the usual case
                server.reply(self, ("PING", data[20:26].decode()))
            else:
                self._unparsed += data
                while (words := self._next_command()) is not None:
                    server.reply(self, words)
        if stream.error is not None:
            stream.vanish()
            server.connections.pop(stream.number, None)
        elif stream.eof:
            stream.close()
            server.connections.pop(stream.number, None)

    def _next_command(self) -> tuple[str, ...] | None:
        data = self._unparsed
        end = data.find(b"\r\n")
        if end < 0:
            return None
        if data[:1] != b"*":
            self._unparsed = data[end + 2 :]
            return tuple(data[:end].decode(errors="replace").split()) or None
        words = []
        at = end + 2
        for _ in range(int(data[1:end])):
            end = data.find(b"\r\n", at)
            if end < 0:
                return None
            size = int(data[at + 1 : end])
            if len(data) < end + 2 + size + 2:
                return None
            words.append(data[end + 2 : end + 2 + size].decode(errors="replace"))
            at = end + 2 + size + 2
        self._unparsed = data[at:]
        return tuple(words)


class SimulatedServer:
    """A server on its own host. ``state`` is that of its process."""

    role = "primary"

    def __init__(self, network: Network, rng: random.Random, host: Host, port: int, software: str) -> None:
        self.network, self.host, self.port, self.software = network, host, port, software
        self.random = rng
        self.state: State = "down"
        self.is_loading = False
        self.password = ""
        #: further seconds for each reply
        self.slow_seconds = 0.0
        #: how many of the next replies are cut off in the middle, with a reset
        self.cut_replies = 0
        self.connections: dict[int, ServerConnection] = {}
        self._started_at = 0.0
        self.run_id = ""
        self.commands = 0
        self._accepted = 0
        self.start()

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.host.address}:{self.port}"

    # The process

    def start(self) -> None:
        """Start the process."""
        self.state = "running"
        self._started_at = self.network.loop.time()
        self.run_id = self.random.randbytes(20).hex()
        self.commands = self._accepted = 0
        self.host.listeners[self.port] = self

    def kill(self) -> None:
        """Kill the process: the kernel resets its connections, and refuses new ones."""
        self.state = "down"
        self.host.listeners.pop(self.port, None)
        for connection in [*self.connections.values()]:
            connection.stream.reset()
        self.connections.clear()

    def hang(self) -> None:
        """Stop the process. Its kernel still accepts connections and data."""
        self.state = "hung"

    def resume(self) -> None:
        """Let a stopped process go on: it answers everything that has arrived."""
        self.state = "running"
        for connection in [*self.connections.values()]:
            self.network.loop.call_soon(connection.on_event)

    def crash_host(self) -> None:
        """Lose all connections without a packet, and start again: the next packet of a client gets a reset."""
        for connection in [*self.connections.values()]:
            connection.stream.vanish()
        self.connections.clear()
        self.start()

    def drop_connections(self) -> None:
        """Close all connections, as CLIENT KILL does."""
        for connection in [*self.connections.values()]:
            connection.stream.close()
        self.connections.clear()

    def accept(self, stream: Stream) -> None:
        """Take a new connection."""
        self._accepted += 1
        self.connections[stream.number] = ServerConnection(self, stream)

    def is_up(self) -> bool:
        """Return whether a plain client gets PONG now."""
        return self.state == "running" and not self.is_loading and not self.host.is_cut and self.slow_seconds < 1

    # Replies

    def reply(self, connection: ServerConnection, words: tuple[str, ...]) -> None:
        """Send the reply to one command after the time that the command takes."""
        self.commands += 1
        data = self._authorized_reply(connection, words)
        loop = self.network.loop
        seconds = self.slow_seconds + self.random.random() * MAX_SERVICE_SECONDS
        at = max(loop.time() + seconds, math.nextafter(connection.busy_until, math.inf))
        connection.busy_until = at
        loop.call_at(at, self._send, connection, data)

    def _send(self, connection: ServerConnection, data: bytes) -> None:
        stream = connection.stream
        if stream.closed or stream.error is not None:
            return
        if self.state == "hung":  # it had not sent the reply when it stopped
            self.network.loop.call_later(0.1, self._send, connection, data)
            return
        if self.cut_replies > 0:
            self.cut_replies -= 1
            stream.send(data[: len(data) // 2])
            stream.reset()
            self.connections.pop(stream.number, None)
            return
        stream.send(data)

    def _authorized_reply(self, connection: ServerConnection, words: tuple[str, ...]) -> bytes:
        name = words[0].upper()
        if name == "AUTH":
            connection.is_authenticated = words[-1] == self.password
            return OK if connection.is_authenticated else WRONGPASS
        if self.password and not connection.is_authenticated:
            return NOAUTH
        if self.is_loading and name not in ("INFO", "CLIENT", "SELECT"):
            return LOADING
        return self.answer(connection, name, words)

    def answer(self, connection: ServerConnection, name: str, words: tuple[str, ...]) -> bytes:  # noqa: ARG002  # Sentinels use it
        """Return the reply to a command that may be answered."""
        if name == "PING":
            return PONG if len(words) == 1 else encode(words[1])
        if name == "INFO":
            return self._info()
        if name in ("SELECT", "QUIT", "READONLY") or (name == "CLIENT" and words[1].upper() in ("SETNAME", "SETINFO")):
            return OK
        replies = template(self.software, self.role).replies
        if name == "CONFIG" and len(words) > 2 and words[1].upper() == "GET":
            return self._config(words[2:])
        return replies.get(normalize(words)) or UNKNOWN % name.encode()

    def replication(self) -> str:
        """Return the fields of the section Replication."""
        return "role:master\r\nconnected_slaves:0\r\nmaster_repl_offset:0\r\n"

    def _config(self, patterns: tuple[str, ...]) -> bytes:
        found: list[str] = []
        for name, value in template(self.software, self.role).config.items():
            if any(fnmatchcase(name, pattern) for pattern in patterns):
                found += [name, value]
        return encode(found)

    def _info(self) -> bytes:
        clock = self.network.loop.clock
        uptime = int(clock.now - self._started_at)
        fields = {
            b"run_id": self.run_id.encode(),
            b"tcp_port": b"%d" % self.port,
            b"uptime_in_seconds": b"%d" % uptime,
            b"uptime_in_days": b"%d" % (uptime // 86_400),
            b"total_commands_processed": b"%d" % self.commands,
            b"total_connections_received": b"%d" % self._accepted,
            b"connected_clients": b"%d" % (len(self.connections) + 1),
            b"loading": b"%d" % self.is_loading,
            b"rdb_last_save_time": b"%d" % (clock.wall() - uptime % 600),
            b"rdb_changes_since_last_save": b"%d" % (self.commands % 100),
            b"used_cpu_user": b"%.6f" % (0.001 * uptime),
            b"instantaneous_ops_per_sec": b"%d" % (2 if uptime else 0),
            b"server_time_usec": b"%d" % (clock.wall_ns() // 1000),
            b"replication": f"# Replication\r\n{self.replication()}\r\n".encode(),
        }
        return encode(template(self.software, self.role).info % fields)
