"""Hosts and connections: latency, loss, refusal and reset. Nothing is ever sent."""

import errno
import itertools
import math
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

from simulate.loop import VirtualLoop

Address = tuple[str, int]
#: Bytes that a receiver has not read yet. A sender must wait for more.
WINDOW = 262_144
#: Seconds after which TCP repeats what a broken path lost, once the path works again.
RETRANSMIT = (0.2, 1.6)
#: Seconds without any reply after which keepalive ends a connection of the probe.
KEEPALIVE_SECONDS = 30.0
#: The end of the data (FIN) and a reset (RST), as items of a stream beside data.
FIN, RST = b"", None


class Listener(Protocol):
    """A process that listens on an address."""

    def accept(self, stream: "Stream") -> None:
        """Take a new connection. ``stream`` is its own end."""
        ...


class Host:
    """A machine, with the state of the path to it."""

    def __init__(self, address: str, latency: float) -> None:
        self.address = address
        #: seconds for one way
        self.latency = latency
        #: whether every packet is lost, in both directions
        self.is_cut = False
        self.listeners: dict[int, Listener] = {}
        self.streams: dict[int, Stream] = {}
        #: connects that wait for a reply to their first packet
        self.waiting: list[Callable[[], None]] = []


class Stream:
    """One end of a connection.

    ``on_event()`` is called when data, the end or an error has arrived, or when there is space to send again.
    """

    __slots__ = (
        "_held", "_next_arrival", "_timer", "closed", "eof", "error", "fresh", "host", "inbox", "keepalive", "local",
        "network", "number", "on_event", "outstanding", "peer", "remote", "retransmits", "user_timeout",
    )  # fmt: skip

    def __init__(self, network: "Network", host: Host, local: Address, remote: Address) -> None:
        self.network, self.host, self.local, self.remote = network, host, local, remote
        self.number = next(network.numbers)
        self.peer: Stream = self
        #: what has arrived and is not read, with the moment of its arrival
        self.inbox: deque[tuple[bytes, float]] = deque()
        self.eof = self.closed = False
        self.error: OSError | None = None
        self.on_event: Callable[[], None] = _ignore
        #: bytes that the peer has not read
        self.outstanding = 0
        self.user_timeout: float | None = None
        self.keepalive = False
        self.retransmits = 0
        self._next_arrival = 0.0
        self._held: list[bytes | None] = []
        self._timer = False

    @property
    def is_readable(self) -> bool:
        """Whether a read would return at once."""
        return bool(self.inbox) or self.eof or self.error is not None

    def room(self) -> int:
        """Return how many bytes can be sent now."""
        return max(0, WINDOW - self.outstanding)

    def send(self, data: bytes) -> int:
        """Send as much as there is space for, and return how much that was. Raises OSError."""
        if self.error is not None:
            raise self.error
        if self.closed:
            raise OSError(errno.EBADF, "closed")
        count = min(len(data), WINDOW - self.outstanding)
        if count <= 0:
            return 0
        self.outstanding += count
        self._put(data if count == len(data) else data[:count])
        return count

    def read(self, size: int) -> tuple[bytes, float]:
        """Return data and the moment when its last part arrived. Raises BlockingIOError without data."""
        if not self.inbox:
            if self.error is not None:
                raise self.error
            if self.eof:
                return b"", self.network.loop.time()
            raise BlockingIOError
        data, at = self.inbox.popleft()
        while self.inbox and len(data) + len(self.inbox[0][0]) <= size:
            more, at = self.inbox.popleft()
            data += more
        if len(data) > size:
            self.inbox.appendleft((data[size:], at))
            data = data[:size]
        self.peer.consumed(len(data))
        return data, at

    def consumed(self, count: int) -> None:
        """Free the space of bytes that the peer has read."""
        was_full = self.outstanding >= WINDOW
        self.outstanding -= count
        if was_full:
            self.network.loop.call_soon(self._notify)

    def close(self) -> None:
        """End the connection in order, or reset it if data is unread, as the kernel does."""
        if not self.closed:
            self._put(RST if self.inbox else FIN)
            self._forget()

    def reset(self) -> None:
        """Reset the connection."""
        if not self.closed:
            self._put(RST)
            self._forget()

    def lose(self, error: OSError) -> None:
        """End the connection here with an error. The other end learns nothing."""
        if self.error is None and not self.closed:
            self.error = error
            self._notify()

    def repeat_lost(self) -> None:
        """Send again what a broken path lost."""
        held, self._held = self._held, []
        self._timer = False
        for item in held:
            self._put(item)

    def vanish(self) -> None:
        """Forget this end without telling the other end: the host has crashed."""
        self._forget()

    def _forget(self) -> None:
        self.closed = True
        self.on_event = _ignore
        self.inbox.clear()
        self.network.forget(self)

    def _put(self, item: bytes | None) -> None:
        if self.host.is_cut:
            self._held.append(item)
            self.retransmits += 1
            if self.user_timeout is not None and not self._timer:
                self._timer = True
                self.network.loop.call_later(self.user_timeout, self._time_out)
            return
        loop = self.network.loop
        # Two timers with the same moment may run in any order, so each arrival has its own.
        at = max(loop.time() + self.host.latency, math.nextafter(self._next_arrival, math.inf))
        self._next_arrival = at
        loop.call_at(at, self.peer.arrive, item, at)

    def _time_out(self) -> None:
        if self._held and self._timer:
            self.lose(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))

    def arrive(self, item: bytes | None, at: float) -> None:
        """Take what the peer has sent."""
        if self.closed:
            if item:  # no process reads it: the kernel answers with a reset
                self.peer.refuse()
            return
        if self.error is not None:
            return
        if item is RST:
            self.error = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
        elif item == FIN:
            self.eof = True
        else:
            self.inbox.append((item or b"", at))
        self._notify()

    def refuse(self) -> None:
        """Learn after the latency that the peer no longer exists."""
        if not self.closed and not self.host.is_cut:
            at = self.network.loop.time() + self.host.latency
            self.network.loop.call_at(at, self.arrive, RST, at)

    def _notify(self) -> None:
        self.on_event()


def _ignore() -> None:
    """Do nothing, as an end without an owner."""


class Connect:
    """One attempt of the daemon to connect."""

    def __init__(
        self,
        network: "Network",
        host: Host | None,
        address: Address,
        connected: Callable[[Stream], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._network, self._host, self._address = network, host, address
        self._connected, self._failed = connected, failed
        self._local = address
        self._is_given_up = False

    def begin(self, local: Address) -> None:
        """Send the first packet."""
        self._local = local
        loop = self._network.loop
        if self._host is None:
            loop.call_soon(self._fail, OSError(errno.EHOSTUNREACH, "No route to host"))
        else:
            loop.call_later(self._host.latency, self._arrive)

    def give_up(self) -> None:
        """Call neither function. A connection that is made meanwhile is reset."""
        self._is_given_up = True

    def _arrive(self) -> None:
        host, loop = self._host, self._network.loop
        if self._is_given_up or host is None:
            return
        listener = host.listeners.get(self._address[1])
        if host.is_cut:
            host.waiting.append(self._arrive)
        elif listener is None:
            loop.call_later(host.latency, self._fail, ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
        else:
            ours, theirs = self._network.pair(host, self._local, self._address)
            listener.accept(theirs)
            loop.call_later(host.latency, self._succeed, ours)

    def _succeed(self, stream: Stream) -> None:
        if self._is_given_up:
            stream.reset()
        else:
            self._connected(stream)

    def _fail(self, error: OSError) -> None:
        if not self._is_given_up:
            self._failed(error)


class Network:
    """All hosts. ``on_connect(address)`` is called for every attempt of the daemon."""

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self.loop, self._random = loop, rng
        self.numbers = itertools.count(1)
        self._ports = itertools.count(30_000)
        self.hosts: dict[str, Host] = {}
        self.on_connect: Callable[[Address], None] = lambda _address: None
        #: the streams of the daemon's side
        self.open: dict[int, Stream] = {}
        self.connects = 0

    def add_host(self, address: str, latency: float = 0.0002) -> Host:
        """Return a host, which is new unless it exists."""
        return self.hosts.setdefault(address, Host(address, latency))

    def connect(
        self, address: Address, connected: Callable[[Stream], None], failed: Callable[[OSError], None]
    ) -> "Connect":
        """Connect from the daemon. One of the two functions is called later, unless the attempt is given up."""
        self.connects += 1
        self.on_connect(address)
        attempt = Connect(self, self.hosts.get(address[0]), address, connected, failed)
        attempt.begin(("10.255.0.1", next(self._ports)))
        return attempt

    def pair(self, host: Host, local: Address, remote: Address) -> tuple[Stream, Stream]:
        """Return both ends of a connection: the daemon's, and that of the host."""
        ours, theirs = Stream(self, host, local, remote), Stream(self, host, remote, local)
        ours.peer, theirs.peer = theirs, ours
        self.open[ours.number] = ours
        host.streams[theirs.number] = theirs
        return ours, theirs

    def forget(self, stream: Stream) -> None:
        """Remove a closed end."""
        self.open.pop(stream.number, None)
        stream.host.streams.pop(stream.number, None)

    def cut(self, host: Host) -> None:
        """Lose every packet from and to a host from now on."""
        host.is_cut = True
        self.loop.call_later(KEEPALIVE_SECONDS, self._end_by_keepalive, host)

    def heal(self, host: Host) -> None:
        """Let packets pass again. TCP repeats what was lost."""
        host.is_cut = False
        waiting, host.waiting = host.waiting, []
        for arrive in waiting:
            self.loop.call_later(self._random.uniform(*RETRANSMIT), arrive)
        for stream in [*host.streams.values()]:
            for end in (stream, stream.peer):
                self.loop.call_later(self._random.uniform(*RETRANSMIT), self._repeat, end)

    @staticmethod
    def _repeat(stream: Stream) -> None:
        if not stream.host.is_cut:
            stream.repeat_lost()

    def _end_by_keepalive(self, host: Host) -> None:
        if not host.is_cut:
            return
        for stream in [*self.open.values()]:
            if stream.host is host and stream.keepalive:
                stream.lose(TimeoutError(errno.ETIMEDOUT, "Connection timed out"))
