"""Ask the kernel to run the event loop soon, also beside busy neighbours. A late ping measures nothing for that time.

Only the thread of the event loop is raised. It sends the pings, and it sleeps for most of the time. Its threads and the
programs that it starts get the usual priority. Real-time priority is not used: a busy daemon could then stop the host.

``nice`` needs CAP_SYS_NICE or a limit (``LimitNICE``, ``--ulimit nice``). A short time slice needs nothing. Since Linux
6.12 it means less time per turn, and an earlier turn.
"""

import ctypes
import os
import platform
import sys
from typing import Final

#: The niceness that is tried. It is nine times the weight of a usual process.
NICE: Final = -10
#: Nanoseconds of a turn. The least that the kernel takes.
SLICE: Final = 100_000
#: Numbers of the system call ``sched_setattr``.
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
_SCHED_OTHER: Final = 0
_RESET_ON_FORK: Final = 1


class _Attributes(ctypes.Structure):
    """``struct sched_attr`` of the kernel."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def raise_priority() -> int:
    """Raise the priority of this thread as far as permitted. Return its niceness."""
    current = niceness()
    if not sys.platform.startswith("linux") or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return current  # the service manager has chosen
    for wanted in dict.fromkeys((min(current, NICE), current)):
        if _set(wanted):
            return wanted
    return niceness()


def niceness() -> int:
    """Return the niceness of this thread. Lower is served first."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def _set(nice: int) -> bool:
    """Set niceness and time slice of this thread. Return whether that was permitted."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        except OSError:
            return False
        return True
    attributes = _Attributes(ctypes.sizeof(_Attributes), _SCHED_OTHER, _RESET_ON_FORK, nice, 0, SLICE, 0, 0)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return bool(libc.syscall(number, 0, ctypes.byref(attributes), 0) == 0)
    except (OSError, AttributeError):
        return False
