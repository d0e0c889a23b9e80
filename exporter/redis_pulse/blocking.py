"""Run blocking calls outside of the event loop: in daemon threads, with a deadline for every call.

    text = await FILES.run(path, partial(read_regular_file, path, LIMIT), within=2)

A call that hangs affects only its own caller. The caller gets ``BlockedError`` at the deadline, and the thread is
abandoned. Calls with the same key share one thread and its result. So a path or a name that hangs occupies only one
thread. A thread that hangs never delays the end of the process, because it is a daemon thread.

No other module may use the default executor of asyncio, because ``asyncio.run`` joins its threads at the end.
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

#: How many calls of one kind may run within their deadlines at once. Further calls wait.
MAX_CONCURRENT_CALLS = 16
#: The limit of threads of one kind, including those that hang.
MAX_THREADS = 128
#: Seconds to read a file. A local file takes a millisecond, one on a slow network file system a second.
FILE_DEADLINE = 2.0


class BlockedError(OSError):
    """A call did not return within its deadline."""

    def __init__(self, seconds: float) -> None:
        super().__init__(errno.ETIMEDOUT, f"no answer within {seconds:g} s")


class NoThreadError(OSError):
    """No further thread can be started: all of them hang, or a limit of the system is reached."""

    def __init__(self) -> None:
        super().__init__(errno.EAGAIN, "no further thread can be started: raise the limit of processes (TasksMax)")


class _Call:
    """One call, and the futures of all callers that wait for it."""

    __slots__ = ("function", "is_counted", "is_started", "key", "waiters")

    def __init__(self, key: Hashable, function: Callable[[], Any]) -> None:
        self.key = key
        self.function = function
        self.is_started = False
        #: whether it counts towards the limit of calls within their deadlines
        self.is_counted = False
        self.waiters: list[asyncio.Future[Any]] = []


class _Started(threading.Event):
    """``Thread.start`` waits for this event until the new thread runs.

    On a busy machine the new thread waits for a core, and the event loop would wait with it. Nothing here needs that.
    """

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        """Return at once."""
        return True


class DeadlineThreads:
    """Runs blocking calls of one kind. Works with any number of event loops."""

    def __init__(
        self, name: str, *, max_concurrent: int = MAX_CONCURRENT_CALLS, max_threads: int = MAX_THREADS
    ) -> None:
        self._name = name
        self._max_concurrent = max_concurrent
        self._max_threads = max_threads
        self._lock = threading.Lock()
        self._calls: dict[Hashable, _Call] = {}
        self._queue: dict[Hashable, _Call] = {}  # calls that have not started, the oldest first
        self._counted = 0
        self._threads = 0

    @property
    def threads(self) -> int:
        """The number of threads, including those that hang."""
        return self._threads

    async def run(self, key: Hashable, function: Callable[[], T], *, within: float | None) -> T:
        """Run ``function()`` in a thread, and return its result or raise its exception.

        Functions with the same key must do the same, because callers share the result of a call that is running.
        Raises BlockedError after ``within`` seconds (None: never), and NoThreadError when no thread can be started.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lock:
            call = self._calls.get(key)
            if call is None:
                if self._threads >= self._max_threads:
                    raise NoThreadError  # all threads hang: waiting for one would look like a call that hangs
                call = self._calls[key] = self._queue[key] = _Call(key, function)
            call.waiters.append(future)
            self._start_threads()
        try:
            async with asyncio.timeout(within) as limit:
                return await future
        except TimeoutError:
            if within is None or not limit.expired():
                raise  # the function itself raised it
            raise BlockedError(within) from None
        finally:
            with self._lock:
                self._remove_waiter(call, future)

    def _remove_waiter(self, call: _Call, future: "asyncio.Future[Any]") -> None:
        if future in call.waiters:
            call.waiters.remove(future)
        if call.waiters:
            return
        if not call.is_started:
            self._queue.pop(call.key, None)
            self._calls.pop(call.key, None)
        elif call.is_counted:  # it hangs: it must not make other calls wait
            call.is_counted = False
            self._counted -= 1
            self._start_threads()

    def _start_threads(self) -> None:
        """Start threads for queued calls, within the limits. The caller holds the lock."""
        while self._queue and self._counted < self._max_concurrent and self._threads < self._max_threads:
            call = self._take_queued()
            try:
                thread = threading.Thread(target=self._run_calls, args=(call,), name=self._name, daemon=True)
                thread._started = _Started()  # type: ignore[attr-defined]  # noqa: SLF001
                thread.start()
            except RuntimeError:
                self._counted -= 1
                self._finish(call, None, NoThreadError())
                continue
            self._threads += 1

    def _take_queued(self) -> _Call:
        call = self._queue.pop(next(iter(self._queue)))
        call.is_started = call.is_counted = True
        self._counted += 1
        return call

    def _run_calls(self, call: _Call | None) -> None:
        while call is not None:
            result, error = None, None
            try:
                result = call.function()
            except BaseException as raised:  # noqa: BLE001  # every exception belongs to the caller
                error = raised
            with self._lock:
                self._counted -= call.is_counted
                self._finish(call, result, error)
                error = None  # breaks the reference cycle of this frame and the traceback
                has_next = self._queue and self._counted < self._max_concurrent
                call = self._take_queued() if has_next else None
                self._threads -= call is None

    def _finish(self, call: _Call, result: Any, error: BaseException | None) -> None:
        call.is_counted = False
        if self._calls.get(call.key) is call:
            del self._calls[call.key]
        for future in call.waiters:
            with suppress(RuntimeError):  # the loop of the waiter is closed
                future.get_loop().call_soon_threadsafe(_set_result, future, result, error)


def _set_result(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, Exception) and not isinstance(error, StopIteration):
        future.set_exception(error)
    else:
        future.set_exception(RuntimeError(f"a blocking call ended with {type(error).__name__}"))


#: One instance for each kind, so that one kind cannot block another.
#: For secrets and similar files, for target files, and for host names.
FILES, TARGET_FILES, NAMES = DeadlineThreads("file"), DeadlineThreads("targets"), DeadlineThreads("dns")
#: For logins that expire: programs, and the libraries of clouds.
TOKENS = DeadlineThreads("token")
#: For the configuration, which takes long to read.
CONFIGURATIONS = DeadlineThreads("configuration", max_concurrent=4, max_threads=4)
#: For HTTP requests, and for long computations.
HTTP_REQUESTS, COMPUTATIONS = DeadlineThreads("http"), DeadlineThreads("work", max_concurrent=2)


def regular_file_status(path: Path | str) -> os.stat_result:
    """Return the status of a regular file, following links. Raises OSError, also for any other kind of file.

    Other kinds of files may block for any time, or never end: a FIFO, a socket, a terminal.
    """
    status = Path(path).stat()
    _reject_irregular(status.st_mode)
    return status


def _reject_irregular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file")


def read_regular_file(path: Path | str, limit: int) -> bytes:
    """Return the content of a regular file of at most ``limit`` bytes. Raises OSError.

    It may still hang if the file system hangs. Call it in a thread of ``FILES``.
    """
    regular_file_status(path)  # before opening: to open a FIFO waits, and to open a device may have an effect
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(handle, "rb") as file:
        _reject_irregular(os.fstat(handle).st_mode)  # the path may lead to another file now
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"longer than {limit} bytes")
    return data


def numeric_address(host: str, port: int) -> list[tuple[int, Any]] | None:
    """Return family and address of a numeric host, as ``resolve`` does, or None for a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, ValueError):
            continue
        return [(int(family), (host, port))]
    return None


async def resolve(host: str, port: int, *, within: float) -> list[tuple[int, Any]]:
    """Return family and address for each address of a host. Raises socket.gaierror, BlockedError, OSError."""
    if (numeric := numeric_address(host, port)) is not None:
        return numeric
    # The key is the host alone, so that a hundred ports of one host need one query.
    addresses = await NAMES.run(host, partial(_look_up, host), within=within)
    return [(family, (address[0], port, *address[2:])) for family, address in addresses]


def _look_up(host: str) -> list[tuple[int, Any]]:
    try:
        results = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror:
        # Without a free descriptor the resolver reports an unknown name. Opening a socket raises the true error then.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM):
            raise
    return list(dict.fromkeys((int(family), address) for family, _, _, _, address in results))
