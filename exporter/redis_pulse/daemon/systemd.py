"""Notify systemd, as a service of ``Type=notify``: ready, reloading, stopping, and that the event loop runs.

The protocol (sd_notify(3)) is one datagram of ``NAME=value`` lines to the unix socket in ``NOTIFY_SOCKET``. Only
systemd sets this variable. Without it nothing is sent.
"""

import errno
import socket
from collections.abc import Callable, Mapping

from redis_pulse import log
from redis_pulse.file_descriptors import SHORTAGE_ERRNOS

#: Errors that pass: the socket has no space, the host lacks descriptors or memory, or systemd re-executes itself.
_TEMPORARY_ERRNOS = SHORTAGE_ERRNOS | {errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNREFUSED}


class Systemd:
    """Sends the notifications of this process.

    ``clock`` is CLOCK_MONOTONIC in seconds. ``pid`` is our process ID. ``interval`` is the time between two ticks.
    """

    def __init__(self, environ: Mapping[str, str], *, clock: Callable[[], float], pid: int, interval: float) -> None:
        self._log = log.get("systemd")
        self._clock = clock
        #: An abstract name starts with a NUL, which the variable writes as ``@``. Other kinds of address are ignored.
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path if path.startswith("/") else None
        self._unsent: str | None = None
        #: seconds without a notification after which systemd restarts us, or None if it has no watchdog
        self.watchdog: float | None = None
        microseconds = environ.get("WATCHDOG_USEC", "")
        if microseconds.isdecimal() and environ.get("WATCHDOG_PID", str(pid)) == str(pid):
            self.watchdog = int(microseconds) / 1e6
            if self.watchdog < 2 * interval:
                self._log.warning("WatchdogSec is shorter than two beats of the loop, set 10", seconds=self.watchdog)

    def ready(self, status: str) -> None:
        """Notify that pages are served, at the start and after a reload. ``systemctl status`` shows ``status``."""
        self._notify(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Notify that the configuration is being read again. ``systemctl reload`` waits until ``ready``."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock() * 1e6)}\nSTATUS=reading the configuration again")

    def stopping(self) -> None:
        """Notify that the daemon is stopping."""
        self._notify("STOPPING=1\nSTATUS=stopping")

    def tick(self) -> None:
        """Notify that the event loop runs. The loop itself calls this, so systemd restarts a loop that hangs."""
        if self._unsent is not None:
            self._notify(self._unsent)
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def _notify(self, state: str) -> None:
        """Send a state that must not be lost. If that fails for now, the next tick sends it."""
        self._unsent = None if self._send(state) else state

    def _send(self, state: str) -> bool:
        """Send a datagram. Return False only if another attempt may succeed."""
        if self._address is None:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify_socket:
                notify_socket.setblocking(False)  # pings are due, so nothing may wait for systemd
                notify_socket.sendto(state.encode(), self._address)
        except OSError as error:
            if error.errno in _TEMPORARY_ERRNOS:
                return False
            self._log.warning("systemd does not hear us", error=error.strerror)
            self._address = None
        return True
