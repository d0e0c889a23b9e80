"""Give memory back to the machine after a burst: many slow clients, a huge reply, a large change of targets.

glibc keeps the pages of freed small objects. It gives back most of them only when ``malloc_trim`` is called. The call
takes a few milliseconds for 100 MB, in a thread.

A block of more than ``MMAP_THRESHOLD`` gets pages of its own, and gives them back when it is freed. glibc raises that
limit to 32 MB by itself. Then a reply of 12 MB leaves holes in the heap, and a target costs 20 MB more.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

#: Bytes. Each read of a socket allocates 256 KB, for which a mapping of its own would be slow.
MMAP_THRESHOLD = 512 * 1024
#: Free bytes at the end of the heap that are kept.
_TRIM_THRESHOLD = 4 * 1024 * 1024
#: Heaps of all threads. Each would keep free memory of its own.
_MAX_ARENAS = 2
#: Parameters of ``mallopt``, from ``malloc.h``.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

#: Bytes by which the resident memory must have grown.
MIN_GROWTH = 8 * 1024 * 1024
#: Bytes by which it may grow in one tick. If it grows faster, the burst goes on.
STEADY = 1024 * 1024
#: Ticks between two calls. The number doubles each time, because a burst may go on. Then the growth is permanent.
#: It begins again if the memory grows after a call: that is another burst.
MIN_TICKS, MAX_TICKS = 5, 160


class MemoryTrimmer:
    """Calls ``trim`` in a thread when the resident memory has grown and is steady again.

    Call ``tick`` once a second.
    """

    def __init__(self, resident: Callable[[], int], trim: Callable[[], None] | None) -> None:
        self._resident = resident
        self._trim = trim
        self._thread: threading.Thread | None = None
        self._base = self._latest = self._after_trim = resident()
        self._ticks = 0
        self._pause = MIN_TICKS

    def tick(self) -> None:
        """Trim if it is worth it."""
        if self._trim is None or (self._thread is not None and self._thread.is_alive()):
            return
        self._ticks += 1
        before, self._latest = self._latest, self._resident()
        if self._thread is not None:
            self._after_trim = self._latest
            if self._pause > MAX_TICKS:
                self._base = self._latest
        self._thread = None
        self._after_trim = min(self._after_trim, self._latest)
        if self._latest >= self._after_trim + MIN_GROWTH:
            self._pause = MIN_TICKS
        self._base = min(self._base, self._latest)
        if self._latest < self._base + MIN_GROWTH:
            self._pause = MIN_TICKS
        elif self._latest <= before + STEADY and self._ticks >= self._pause:
            self._ticks, self._pause = 0, self._pause * 2
            self._thread = threading.Thread(target=self._trim, name="trim memory", daemon=True)
            self._thread.start()


def resident_bytes() -> int:
    """Return the resident memory of this process, or 0 on a system without ``/proc``."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def configure_allocator() -> None:
    """Let the C library give back large blocks when they are freed. Other libraries than glibc have no such setting."""
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in (
            (_M_MMAP_THRESHOLD, MMAP_THRESHOLD),
            (_M_TRIM_THRESHOLD, _TRIM_THRESHOLD),
            (_M_ARENA_MAX, _MAX_ARENAS),
        ):
            mallopt(parameter, value)


def find_trim() -> Callable[[], None] | None:
    """Return a function that gives memory back, or None if the C library has none (musl, macOS)."""
    try:
        malloc_trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
    return lambda: malloc_trim(0)
