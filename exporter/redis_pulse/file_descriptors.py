"""The limit of file descriptors, and a reserve for pages, files and DNS.

The kernel assigns the lowest free number. If a new socket has one of the last ``reserve()`` numbers below the limit,
all lower numbers are taken. The socket is then closed and the connect is not made. That is not the target's fault.
"""

import errno
import os
import resource
import socket
from collections.abc import Callable
from contextlib import suppress

#: Descriptors of the daemon: standard streams, event loop, listening socket, log, threads that read, and its pages.
_DAEMON_DESCRIPTORS = 64
#: Usual number of descriptors per target: one for its probe, one for its poll, and sometimes one more.
_PER_TARGET = 3
_RESERVE = 32

#: Error numbers for a lack of descriptors or memory on this host: not the target's fault.
SHORTAGE_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

#: How many connects were not made because descriptors or memory were missing. The daemon reads it and logs changes.
shortages = 0
#: Called for each of them. The HTTP server closes idle clients, so that the next connect can be made.
on_shortage: Callable[[], None] | None = None


def limit() -> int | None:
    """Return the limit of descriptors, or None if there is no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int | None:
    """Raise the soft limit to the hard limit, and return the new limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS accepts no unlimited value: the limit then stays unchanged
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def reserve(total: int) -> int:
    """Return how many of ``total`` descriptors are reserved: targets may not take them."""
    return min(_RESERVE, total // 4)


def required_limit(targets: int) -> int:
    """Return the limit that so many targets need, rounded up to a multiple of 256."""
    return -(-(_DAEMON_DESCRIPTORS + _RESERVE + _PER_TARGET * targets) // 256) * 256


def limit_hint(targets: int) -> str:
    """Return a hint with the required limit and where to set it."""
    required = required_limit(targets)
    return f"raise the limit of open files to {required} (ulimit -n {required}, LimitNOFILE={required} for systemd)"


def is_reserved(descriptor: int) -> bool:
    """Return whether a new descriptor belongs to the reserve."""
    total = limit()
    return total is not None and descriptor >= total - reserve(total)


def reject_reserved(descriptor: int) -> None:
    """Raise OSError (EMFILE) if a new descriptor belongs to the reserve."""
    if is_reserved(descriptor):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def check_descriptor_available() -> None:
    """Raise OSError (EMFILE) if the next descriptor would belong to the reserve."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        reject_reserved(sock.fileno())


def count_shortage() -> None:
    """Count a connect that was not made because descriptors or memory were missing."""
    global shortages  # noqa: PLW0603  # one process has one limit
    shortages += 1
    if on_shortage is not None:
        on_shortage()
