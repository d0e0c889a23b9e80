"""How busy the machine is: the time for which a thread was ready to run, but other processes ran."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self


def run_delays(process: str) -> dict[str, float]:
    """Return for each thread of a process, by its id, the seconds for which it has waited for a core.

    ``process`` is a process id. The dictionary is empty if the kernel does not count them.
    """
    return {thread: times[1] for thread, times in _schedule(process).items()}


def run_times(process: str) -> dict[str, float]:
    """Return for each thread of a process, by its id, the seconds for which it has run on a core."""
    return {thread: times[0] for thread, times in _schedule(process).items()}


def _schedule(process: str) -> dict[str, tuple[float, float]]:
    """Return for each thread the seconds for which it has run, and for which it has waited."""
    times = {}
    for path in Path(f"/proc/{process}/task").glob("*/schedstat"):
        try:
            ran, waited = path.read_text().split()[:2]
            times[path.parent.name] = (int(ran) / 1e9, int(waited) / 1e9)
        except (OSError, ValueError):  # the thread has ended
            continue
    return times


def longest_delay(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the longest time for which one thread waited, or ran. Their sum would count the same time several times.

    It may be any thread of the daemon. If a thread holds the lock of the interpreter, the event loop waits with it.
    """
    return max((seconds - before.get(thread, 0.0) for thread, seconds in after.items()), default=0.0)


def own_delays() -> dict[str, float]:
    """Return the delay of the current thread, as ``run_delays`` does."""
    thread = str(threading.get_native_id())
    return {thread: run_delays("self").get(thread, 0.0)}


class DelayOf:
    """Measures the longest delay of a thread of a process, or of the current thread, in a ``with`` block.

    The process may end in the block. So its delays are read every few milliseconds.
    """

    INTERVAL = 0.05

    def __init__(self, pid: int) -> None:
        self._pid = str(pid)
        self._ended = threading.Event()
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._own = own_delays()
        self._before = run_delays(self._pid)
        self._latest = dict(self._before)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.seconds = max(longest_delay(self._before, self._latest), longest_delay(self._own, own_delays()))

    def _watch(self) -> None:
        while True:
            self._latest |= run_delays(self._pid)
            if self._ended.wait(self.INTERVAL):
                return
