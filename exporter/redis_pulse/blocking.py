"""Blocking calls, off the event loop: daemon threads of our own, and a deadline for every call.

    text = await FILES.run(path, partial(read_regular_file, path, LIMIT), within=2)

A call that hangs costs only its own caller: the caller gets ``BlockedError`` at the deadline, and the thread is left
to itself. Calls with the same key share one thread and its result, so a path or a name that hangs for ever holds one
thread and no more. A hung thread never delays the end of the process: it is a daemon thread, and nobody joins it.

Nothing else in the daemon may use the default executor of asyncio: ``asyncio.run`` joins its threads at the end.
"""

import asyncio
import errno
import os
import socket
import stat
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

#: So many calls of one kind may run within their deadlines at once. The others wait.
AT_ONCE = 16
#: So many threads of one kind there are at most, those that hang included.
MOST = 128
#: Seconds for a file: a local one takes a millisecond, one of a slow network file system a second.
FILE_DEADLINE = 2.0


class BlockedError(OSError):
    """A call did not return within its deadline."""

    def __init__(self, seconds: float) -> None:
        super().__init__(errno.ETIMEDOUT, f"no answer within {seconds:g} s")


class NoThreadError(OSError):
    """The system gives us no further thread: our fault, or that of a limit on us."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "no further thread can be started: raise the limit of processes (TasksMax)")


class _Work:
    """One call, and everybody who waits for it."""

    __slots__ = ("call", "is_counted", "is_started", "key", "waiting")

    def __init__(self, key: Hashable, call: Callable[[], Any]) -> None:
        self.key = key
        self.call = call
        self.is_started = False
        #: whether it takes one of the places for calls within their deadlines
        self.is_counted = False
        self.waiting: list[asyncio.Future[Any]] = []


class DeadlineThreads:
    """Runs blocking calls of one kind. Works with any number of event loops."""

    def __init__(self, name: str, *, at_once: int = AT_ONCE, most: int = MOST) -> None:
        self._name = name
        self._at_once = at_once
        self._most = most
        self._lock = threading.Lock()
        self._works: dict[Hashable, _Work] = {}
        self._queue: dict[Hashable, _Work] = {}  # not started yet, the oldest first
        self._counted = 0
        self._threads = 0

    @property
    def threads(self) -> int:
        """How many threads there are, those that hang included."""
        return self._threads

    async def run(self, key: Hashable, call: Callable[[], T], *, within: float | None) -> T:
        """Return what ``call()`` returns, in a thread; raise what it raises.

        Calls with the same key must do the same: who comes while one is under way gets its result. Raises BlockedError
        after ``within`` seconds (None: never), NoThreadError when no thread can be started.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            work = self._works.get(key)
            if work is None:
                if self._threads >= self._most:
                    raise NoThreadError  # all of them hang: to wait for one would look like a call that hangs
                work = self._works[key] = self._queue[key] = _Work(key, call)
            work.waiting.append(future)
            self._start()
        try:
            async with asyncio.timeout(within) as limit:
                return await future
        except TimeoutError:
            if within is None or not limit.expired():
                raise  # the call's own
            raise BlockedError(within) from None
        finally:
            with self._lock:
                self._leave(work, future)

    def _leave(self, work: _Work, future: "asyncio.Future[Any]") -> None:
        if future in work.waiting:
            work.waiting.remove(future)
        if work.waiting:
            return
        if not work.is_started:
            self._queue.pop(work.key, None)
            self._works.pop(work.key, None)
        elif work.is_counted:  # it hangs: it must not keep others waiting
            work.is_counted = False
            self._counted -= 1
            self._start()

    def _start(self) -> None:
        """Start threads for what is queued, as far as there is room. The lock is held."""
        while self._queue and self._counted < self._at_once and self._threads < self._most:
            work = self._next()
            try:
                threading.Thread(target=self._work, args=(work,), name=self._name, daemon=True).start()
            except RuntimeError:
                self._counted -= 1
                self._settle(work, None, NoThreadError())
                continue
            self._threads += 1

    def _next(self) -> _Work:
        work = self._queue.pop(next(iter(self._queue)))
        work.is_started = work.is_counted = True
        self._counted += 1
        return work

    def _work(self, work: _Work | None) -> None:
        while work is not None:
            result, error = None, None
            try:
                result = work.call()
            except BaseException as raised:  # noqa: BLE001  whatever it is, it is the caller's
                error = raised
            with self._lock:
                self._counted -= work.is_counted
                self._settle(work, result, error)
                error = None  # else its traceback would hold this frame, and this frame it
                has_room = self._queue and self._counted < self._at_once
                work = self._next() if has_room else None
                self._threads -= work is None

    def _settle(self, work: _Work, result: Any, error: BaseException | None) -> None:
        work.is_counted = False
        if self._works.get(work.key) is work:
            del self._works[work.key]
        for future in work.waiting:
            with suppress(RuntimeError):  # its loop is closed
                future.get_loop().call_soon_threadsafe(_tell, future, result, error)


def _tell(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        future.set_exception(error)
    else:
        future.set_exception(RuntimeError(f"a blocking call ended with {type(error).__name__}"))


#: Files of secrets and the like; files of targets; names of hosts; the configuration, whose reading takes long. One
#: kind cannot stop another.
FILES, TARGET_FILES, NAMES = DeadlineThreads("file"), DeadlineThreads("targets"), DeadlineThreads("dns")
CONFIGURATIONS = DeadlineThreads("configuration", at_once=4, most=4)
#: Questions over HTTP; work that computes for long.
QUESTIONS, WORK = DeadlineThreads("http"), DeadlineThreads("work", at_once=2)


def regular(path: Path | str) -> os.stat_result:
    """Return the status of a regular file; links are followed. Raises OSError, also for any other kind of file.

    Anything else may block for ever, or never end: a FIFO, a socket, a terminal.
    """
    status = Path(path).stat()
    _refuse_irregular(status.st_mode)
    return status


def _refuse_irregular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")


def read_regular_file(path: Path | str, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes. Raises OSError.

    It may still hang, on a file system that does: call it in a thread of ``FILES``.
    """
    regular(path)  # before it is opened: opening a FIFO waits, opening a device may do something
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(handle, "rb") as file:
        _refuse_irregular(os.fstat(handle).st_mode)  # it may be another one by now
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"longer than {limit} bytes")
    return data


def literal(host: str, port: int) -> list[tuple[int, Any]] | None:
    """Return where an address leads; None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return [(int(family), (host, port))]
    return None


async def resolve(host: str, port: int, *, within: float) -> list[tuple[int, Any]]:
    """Return family and address for each address of a host. Raises socket.gaierror, BlockedError, OSError."""
    if (known := literal(host, port)) is not None:
        return known
    # By the host alone: a hundred ports of one host are one question.
    found = await NAMES.run(host, partial(_look_up, host), within=within)
    return [(family, (address[0], port, *address[2:])) for family, address in found]


def _look_up(host: str) -> list[tuple[int, Any]]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror:
        # Without a free descriptor the resolver says only that the name is not known.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM):
            raise
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in found))
