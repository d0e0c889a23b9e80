"""Accepts connections for the HTTP server: at most some at once, and without haste when descriptors run out.

asyncio's own way tries as often as the backlog is long in one turn of the loop, and for each try that finds no
descriptor it logs a line and sets a timer. Here one try that fails ends the turn, and the next comes a second later.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress

from exporter import descriptors, log

#: Connections accepted in one turn of the loop: pings are due meanwhile.
AT_ONCE = 32
#: Seconds until it is tried again when there was no descriptor, and between two lines that tell so.
PAUSE, QUIET = 1.0, 60.0

_log = log.get("web")


class Acceptor:
    """Gives every connection of a listening socket a protocol, until ``close``."""

    def __init__(self, sock: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        self._sock = sock
        self._make = make
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._told: float | None = None
        self._is_closed = False
        self._resume()

    def close(self) -> None:
        """Take what waits in the queue of the kernel, for it would get a reset; then listen no more."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._sock.fileno())
        while self._accept_one():
            pass
        self._sock.close()

    async def wait_closed(self) -> None:
        """Wait until every connection has its protocol."""
        await asyncio.gather(*self._tasks)

    def _resume(self) -> None:
        self._timer = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """Accept a connection; return whether to try for another one."""
        try:
            conn, _ = self._sock.accept()
        except (BlockingIOError, InterruptedError):
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            self._wait(error)
            return False
        conn.setblocking(False)
        task = self._loop.create_task(self._begin(conn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _begin(self, conn: socket.socket) -> None:
        with suppress(OSError):  # it is gone already
            await self._loop.connect_accepted_socket(self._make, conn)

    def _wait(self, error: OSError) -> None:
        if not self._is_closed:
            self._loop.remove_reader(self._sock.fileno())  # it stays readable, and would wake us at once
            self._timer = self._loop.call_later(PAUSE, self._resume)
        now = self._loop.time()
        if self._told is not None and now - self._told < QUIET:
            return
        self._told = now
        cure = f"the limit of open files is {descriptors.limit()}" if error.errno in descriptors.LACKING else ""
        _log.error("clients must wait: no connection can be accepted", error=error.strerror, cure=cure)
