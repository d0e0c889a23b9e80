"""What a service of ``Type=notify`` tells systemd: ready, reloading, stopping, and that its loop still turns.

The protocol (sd_notify(3)) is one datagram of ``NAME=value`` lines to the unix socket in ``NOTIFY_SOCKET``. Where that
variable is not set, as everywhere but under systemd, nothing is sent.
"""

import errno
import socket
from collections.abc import Callable, Mapping

from redis_pulse import log
from redis_pulse.file_descriptors import LACKING

#: What passes: no room for it now, no descriptor or memory of ours, systemd executes itself anew.
_PASSES = LACKING | {errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNREFUSED}


class Systemd:
    """One end of the notification socket.

    ``clock`` is CLOCK_MONOTONIC in seconds, ``pid`` our process's, ``interval`` the seconds between two beats.
    """

    def __init__(self, environ: Mapping[str, str], *, clock: Callable[[], float], pid: int, interval: float) -> None:
        self._log = log.get("systemd")
        self._clock = clock
        #: an abstract name is written with @ for the NUL that it begins with; other kinds of address are not for us
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path if path.startswith("/") else None
        self._unsent: str | None = None
        #: seconds after which systemd gives us up when it hears nothing; None: nobody listens
        self.watchdog: float | None = None
        microseconds = environ.get("WATCHDOG_USEC", "")
        if microseconds.isdecimal() and environ.get("WATCHDOG_PID", str(pid)) == str(pid):
            self.watchdog = int(microseconds) / 1e6
            if self.watchdog < 2 * interval:
                self._log.warning("WatchdogSec is shorter than two beats of the loop, set 10", seconds=self.watchdog)

    def ready(self, status: str) -> None:
        """Tell that pages are served, at first and after a reload; ``status`` is shown by ``systemctl status``."""
        self._tell(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """Tell that the configuration is being read again: until ``ready``, ``systemctl reload`` may wait."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock() * 1e6)}\nSTATUS=reading the configuration again")

    def stopping(self) -> None:
        """Tell that we end."""
        self._tell("STOPPING=1\nSTATUS=stopping")

    def beat(self) -> None:
        """Tell that the loop turns; called by the loop itself, so that one that hangs falls silent and is restarted."""
        if self._unsent is not None:
            self._tell(self._unsent)
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        """Send what must not be lost: when systemd has no room for it now, the next beat tries again."""
        self._unsent = None if self._send(state) else state

    def _send(self, state: str) -> bool:
        if self._address is None:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
                door.setblocking(False)  # pings are due: nothing may wait for systemd
                door.sendto(state.encode(), self._address)
        except OSError as error:
            if error.errno in _PASSES:
                return False
            self._log.warning("systemd does not hear us", error=error.strerror)
            self._address = None
        return True
