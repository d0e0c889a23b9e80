"""File descriptors: as many as we may have, and some of them kept for pages, files and names.

The kernel gives the lowest free number. So a socket whose number is within the last ``reserve()`` below the limit says
that all lower ones are taken: it is closed again, and the connect is not made. That is our fault, not the target's.
"""

import errno
import os
import resource
import socket
from contextlib import suppress

#: Descriptors of the daemon itself: standard streams, loop, listening socket, log, threads that read; and its pages.
OWN = 64
#: Descriptors that a target takes as a rule: its probe, its poll, and one more now and then.
EACH = 3
_RESERVE = 32

#: What the system answers when we lack descriptors or memory: our fault, or that of a limit on us.
LACKING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

#: How often a connect was not made for want of a descriptor; whoever logs looks at it now and then.
shortages = 0


def limit() -> int | None:
    """Return how many descriptors we may have; None when that is not limited."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> int | None:
    """Raise the soft limit to the hard one, and return what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS takes no unlimited one: then it stays as it is
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def reserve(most: int) -> int:
    """Return how many of ``most`` descriptors no target may take."""
    return min(_RESERVE, most // 4)


def needed(targets: int) -> int:
    """Return the limit that so many targets need, rounded up to what people write."""
    return -(-(OWN + _RESERVE + EACH * targets) // 256) * 256


def advice(targets: int) -> str:
    """Say which limit is needed, and where it is set."""
    wanted = needed(targets)
    return f"raise the limit of open files to {wanted} (ulimit -n {wanted}, LimitNOFILE={wanted} for systemd)"


def refuse_reserved(descriptor: int) -> None:
    """Raise OSError (EMFILE) when a descriptor that was just opened is one of the reserve."""
    most = limit()
    if most is not None and descriptor >= most - reserve(most):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def check_room() -> None:
    """Raise OSError (EMFILE) when the next descriptor would be one of the reserve."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        refuse_reserved(sock.fileno())


def note_shortage() -> None:
    """Count a connect that was not made for want of a descriptor or of memory."""
    global shortages  # noqa: PLW0603  # one process has one limit
    shortages += 1
