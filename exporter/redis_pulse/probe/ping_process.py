"""Start the process with the pings, lend it connections, and pass its reports on (``probe.process``).

The process is expendable. If it ends or falls silent, every lent connection returns to its prober, and another process
is started later. ``on_restart``, ``on_lent`` and ``on_skipped`` feed metrics.
"""

import asyncio
import math
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import redis_pulse
from redis_pulse import log
from redis_pulse.backoff import Backoff
from redis_pulse.pinger.messages import BEAT, LEND, RETURN, RETURNED, SKIPPED, Order, PingReport, ReportReader

#: Seconds without a beat after which the process hangs. It beats every second.
MAX_SILENCE = 5.0
#: Seconds between two looks at it, and for its end when the daemon stops.
TICK, STOP_TIMEOUT = 1.0, 0.5
#: Seconds before another process is started: the first delay and the longest.
RETRY_BASE, RETRY_CAP = 1.0, 60.0
#: Bytes of reports that are read at once, and that may wait in the kernel if it allows so many.
_BUFFER = 1 << 20
_START = "import sys; sys.path.append(sys.argv[1]); from redis_pulse.pinger.child import main; main(sys.argv[2:])"
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")


class PingBorrower(Protocol):
    """Is notified of what becomes of the connection that it lent."""

    def on_report(self, report: PingReport, data: bytes) -> None:
        """Record a report."""
        ...

    def on_beat(self, known_until: float) -> None:
        """Check the pings that wait. All replies that had arrived before ``known_until`` are recorded."""
        ...

    def on_returned(self, due: float, number: int) -> None:
        """Continue with the moment ``due`` and the PING ``number``. There are no further reports."""
        ...

    def on_process_lost(self, due: float) -> None:
        """Continue without the process. No report came of the moment ``due`` and those after it."""
        ...


class Loan:
    """A connection that the process has. ``due`` is the first moment of which nothing was reported."""

    __slots__ = ("borrower", "due", "interval", "is_recalled", "key")

    def __init__(self, key: int, borrower: PingBorrower, due: float, interval: float) -> None:
        self.key, self.borrower, self.due, self.interval = key, borrower, due, interval
        self.is_recalled = False


class PingProcess:
    """The process, as long as it runs, and the connections that it has."""

    def __init__(
        self,
        *,
        priority: str,
        clock: Callable[[], float],
        on_restart: Callable[[], None],
        on_lent: Callable[[int], None],
        on_skipped: Callable[[int], None],
        python: Sequence[str] = (sys.executable, "-I", "-S"),
    ) -> None:
        self._priority, self._clock, self._python = priority, clock, python
        self._on_restart, self._on_lent, self._on_skipped = on_restart, on_lent, on_skipped
        self._log = log.get("probe")
        self._process: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._reader = ReportReader()
        self._loans: dict[int, Loan] = {}
        self._keys = 0
        self._unsent: deque[bytes] = deque()  # orders to return, for which the link had no space
        self._waiting: dict[int, Loan] = {}  # those with a ping that has no reply yet
        self._timer: asyncio.TimerHandle | None = None
        self._retry = Backoff(RETRY_BASE, RETRY_CAP, floor=RETRY_BASE)
        self._next_start = self._beat_at = -math.inf
        self._is_ready = self._is_stopped = False

    @property
    def pid(self) -> int | None:
        """The id of the process, or None while it does not run."""
        return None if self._process is None else self._process.pid

    def lend(
        self, borrower: PingBorrower, descriptor: int, first: float, number: int, interval: float, *, is_numbered: bool
    ) -> Loan | None:
        """Let the process send the PINGs from the moment ``first`` on. Return None if it cannot now."""
        if self._link is None and not self._is_stopped and self._clock() >= self._next_start:
            self._start()
        if self._link is None or not self._is_ready or self._unsent:
            return None
        self._keys = self._keys % 0xFFFFFFFF + 1
        order = Order(LEND, self._keys, first, number, interval, is_numbered)
        try:
            socket.send_fds(self._link, [order.encode()], [descriptor])
        except OSError:
            return None  # it is full, or the process has ended: the next reading notices
        loan = self._loans[self._keys] = Loan(self._keys, borrower, first, interval)
        self._on_lent(len(self._loans))
        return loan

    def recall(self, loan: Loan) -> None:
        """Ask for a connection. ``on_returned`` follows."""
        if not loan.is_recalled:
            loan.is_recalled = True
            self._unsent.append(Order(RETURN, loan.key).encode())
            self._send_orders()

    def forget(self, loan: Loan) -> None:
        """Let the process close a connection. Its reports are ignored from now on."""
        self.recall(loan)
        self._end(loan)

    def wait_for_reply(self, loan: Loan) -> None:
        """Call ``on_beat`` from now on, until ``stop_waiting``."""
        self._waiting[loan.key] = loan

    def stop_waiting(self, loan: Loan) -> None:
        """Call ``on_beat`` no more."""
        self._waiting.pop(loan.key, None)

    def read(self) -> None:
        """Pass on the reports that have arrived."""
        while self._link is not None:
            try:
                data = self._link.recv(_BUFFER)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self._lost("it has ended")
                return
            for report, content in self._reader.feed(data):
                self._pass_on(report, content)

    async def stop(self) -> None:
        """End the process. Connections that it has are lost."""
        self._is_stopped = True
        process = self._process
        self._close()
        for loan in list(self._loans.values()):
            self._end(loan)
        if process is not None:
            for _ in range(round(STOP_TIMEOUT / 0.01)):
                if process.poll() is not None:
                    return
                await asyncio.sleep(0.01)
            _kill(process)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        folder = str(Path(redis_pulse.__file__).parents[1])
        command = [*self._python, "-c", _START, folder, str(theirs.fileno()), self._priority]
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            ours.setblocking(False)
            try:
                with _signals_blocked():
                    self._process = subprocess.Popen(  # noqa: S603  # this interpreter, with this package
                        command, stdin=subprocess.DEVNULL, env=environment, pass_fds=[theirs.fileno()]
                    )
            except OSError as error:
                ours.close()
                self._log.warning("the process with the pings does not start", error=str(error))
                self._next_start = self._clock() + self._retry.next()
                return
        self._link, self._reader, self._beat_at = ours, ReportReader(), self._clock()
        loop = asyncio.get_running_loop()
        loop.add_reader(ours.fileno(), self.read)
        self._timer = loop.call_later(TICK, self._tick)
        self._log.info("the process with the pings has started", pid=self._process.pid)

    def _pass_on(self, report: PingReport, data: bytes) -> None:
        if report.kind == BEAT:
            self._beat_at, self._is_ready = report.read, True
            for waiting in list(self._waiting.values()):
                self._guard(waiting.borrower.on_beat, report.read)
            return
        loan = self._loans.get(report.key)
        if loan is None:
            return  # it was forgotten
        if report.kind == RETURNED:
            self._end(loan)
            self._guard(loan.borrower.on_returned, report.due, report.number)
            return
        if report.kind == SKIPPED:
            self._on_skipped(report.number)
        if report.due:
            loan.due = max(loan.due, report.due + loan.interval)
        self._guard(loan.borrower.on_report, report, data)

    def _guard(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            function(*arguments)
        except Exception as error:  # noqa: BLE001  # the reports of other targets are recorded all the same
            self._log.error("a report of a ping was not recorded", exc_info=error)

    def _end(self, loan: Loan) -> None:
        self._loans.pop(loan.key, None)
        self._waiting.pop(loan.key, None)
        self._on_lent(len(self._loans))

    def _send_orders(self) -> None:
        """Send the orders that wait. Try again when there is space."""
        loop = asyncio.get_running_loop()
        if self._link is None:
            self._unsent.clear()
            return
        try:
            while self._unsent:
                self._link.send(self._unsent[0])
                self._unsent.popleft()
        except (BlockingIOError, InterruptedError):
            loop.add_writer(self._link.fileno(), self._send_orders)
            return
        except OSError:
            self._unsent.clear()  # the process has ended: the next reading notices
        loop.remove_writer(self._link.fileno())

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        self.read()  # a loop that was late must not take its own delay for silence
        if self._link is not None and self._clock() - self._beat_at > MAX_SILENCE:
            self._lost("it has been silent for too long")

    def _lost(self, why: str) -> None:
        process, loans = self._process, list(self._loans.values())
        self._close()
        if process is not None:
            _kill(process)
        delay = self._retry.next()
        self._next_start = self._clock() + delay
        self._log.warning("the process with the pings is lost", why=why, targets=len(loans), next_in=round(delay, 1))
        self._on_restart()
        for loan in loans:
            self._end(loan)
            self._guard(loan.borrower.on_process_lost, loan.due)

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._link is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._link.fileno())
            loop.remove_writer(self._link.fileno())
            self._link.close()
        self._timer = self._link = self._process = None
        self._unsent.clear()
        self._is_ready = False


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Let a process inherit that it gets no signals to end. A terminal and systemd send these to all processes.

    The daemon decides when the process ends, and which pings it still sends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.1)
