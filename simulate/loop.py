"""An event loop whose time is virtual: when nothing is ready, it jumps to the next timer."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from simulate.clock import VirtualClock

#: So many turns without any progress of time are an endless loop of the daemon.
MAX_TURNS_AT_ONE_MOMENT = 200_000


class Connector(Protocol):
    """The network below the loop."""

    def add_reader(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Call ``callback()`` whenever the socket can be read."""
        ...

    def remove_reader(self, descriptor: int) -> bool:
        """Call the callback no more. Return whether there was one."""
        ...

    async def connect(self, sock: Any, address: Any) -> None:
        """Connect a socket."""
        ...

    async def receive(self, sock: Any, size: int) -> bytes:
        """Return what has arrived, or wait for it."""
        ...

    async def open_transport(self, factory: Any, host: str, port: int) -> tuple[Any, Any]:
        """Connect, and return transport and protocol."""
        ...

    async def accept_transport(self, factory: Any, sock: Any) -> tuple[Any, Any]:
        """Return transport and protocol of an accepted connection."""
        ...


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of the simulation. ``connector`` is set before it runs."""

    connector: Connector

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.signal_handlers: dict[int, Callable[[], object]] = {}
        #: the turns of the loop, and the turn at which time moved last
        self.turns = self._last_jump = 0
        self._selector = self  # ``BaseEventLoop`` calls ``select`` of this attribute in each turn
        self.set_task_factory(make_task)

    def time(self) -> float:
        """Return virtual seconds."""
        return self.clock.now

    def select(self, timeout: float | None) -> list[Any]:
        """Move time to the next timer, unless something is ready."""
        self.turns += 1
        if timeout == 0:
            if self.turns - self._last_jump > MAX_TURNS_AT_ONE_MOMENT:
                raise RuntimeError(f"the loop does not come to rest at {self.clock.now:.3f} s")
            return []
        if timeout is None:
            raise RuntimeError("nothing will ever happen: no timer is set and nothing is ready")
        self._last_jump = self.turns
        next_timer: float = self._scheduled[0]._when  # type: ignore[attr-defined]  # noqa: SLF001
        self.clock.now = max(self.clock.now, next_timer)
        return []

    def stall(self, seconds: float) -> None:
        """Let time pass without a turn of the loop, as when the machine stops the process."""
        self.clock.now += seconds

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """Call ``callback(*args)`` whenever a simulated socket can be read."""
        self.connector.add_reader(fd, (lambda: callback(*args)) if args else callback)

    def remove_reader(self, fd: Any) -> bool:
        """Undo ``add_reader``."""
        return self.connector.remove_reader(fd)

    async def sock_connect(self, sock: Any, address: Any) -> None:
        """Connect a simulated socket."""
        await self.connector.connect(sock, address)

    async def sock_recv(self, sock: Any, nbytes: int) -> bytes:
        """Receive from a simulated socket."""
        return await self.connector.receive(sock, nbytes)

    async def sock_sendall(self, sock: Any, data: Any) -> None:
        """Send on a simulated socket, whose buffer has space for every request of the daemon."""
        if sock.send(bytes(data)) != len(data):
            raise BlockingIOError

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
        """Connect to a simulated server."""
        return await self.connector.open_transport(protocol_factory, host, port)

    async def connect_accepted_socket(self, protocol_factory: Any, sock: Any, **_: Any) -> Any:
        """Give an accepted connection a protocol."""
        return await self.connector.accept_transport(protocol_factory, sock)

    def run_in_executor(self, executor: Any, func: Any, *_: Any) -> Any:  # type: ignore[override]
        """Refuse: a real thread would block the simulation without end."""
        raise RuntimeError(f"{func!r} shall run in a thread that is not simulated ({executor})")

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        """Remember what a signal does. ``send_signal`` does it."""
        self.signal_handlers[int(sig)] = lambda: callback(*args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Forget what a signal does."""
        return self.signal_handlers.pop(int(sig), None) is not None

    def send_signal(self, sig: int) -> None:
        """Send a signal to the daemon. Nothing happens unless the daemon handles it."""
        handler = self.signal_handlers.get(int(sig))
        if handler is not None:
            self.call_soon(handler)


class SequencedTask(asyncio.Task[Any]):
    """A task whose hash is its number. So the order of a set of tasks does not depend on addresses in memory."""

    _numbers = itertools.count(1)

    def __init__(self, coroutine: Coroutine[Any, Any, Any], **options: Any) -> None:
        self._number = next(self._numbers)  # first, because the constructor puts the task into a set
        super().__init__(coroutine, **options)

    def __hash__(self) -> int:
        return self._number


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> "asyncio.Task[Any]":
    """Return a task, as asyncio's own task factory does."""
    return SequencedTask(coroutine, loop=loop, **options)
