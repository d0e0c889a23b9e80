"""What acts on a daemon while it is measured: scrapers, readers of small pages, and a watch of its memory."""

import gzip
import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import load

from redis_pulse import collectors

#: Pages that are kept of a window, to be read after it. Reading one takes a second of a core.
KEPT_PAGES = 6
#: Seconds between two requests for a small page, and between two looks at the memory.
SMALL_PAUSE, MEMORY_PAUSE = 0.025, 2.0
_AGE = re.compile(rb"^redis_commands_processed_total\{[^}]*\} (\S+)", re.MULTILINE)
_SAMPLE = re.compile(rb'^([a-z]\w*)(?:\{(?:[^"}]|"[^"]*")*\})? ', re.MULTILINE)


class Scrapers:
    """So many clients that request ``/metrics`` every ``every`` seconds, each on one connection, as Prometheus does."""

    def __init__(self, port: int, count: int, every: float, headers: str, timeout: float) -> None:
        self.seconds: list[float] = []
        self.size = 0
        self.pages: list[tuple[float, bytes]] = []  # the newest: when each was requested, and the response
        self._port, self._headers, self._timeout = port, headers, timeout
        self._count, self._every = count, every

    def run(self, seconds: float) -> None:
        """Scrape for so many seconds. Each scraper begins at another time of the period."""
        end = time.monotonic() + seconds
        threads = [threading.Thread(target=self._scrape, args=(number, end)) for number in range(self._count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(max(0.0, end - time.monotonic()))

    def _scrape(self, number: int, end: float) -> None:
        due = time.monotonic() + self._every * (number + 0.35) / self._count
        connection = load.Connection(self._port, self._headers)
        with connection.socket:
            connection.socket.settimeout(self._timeout)
            while due + 1.0 < end:
                time.sleep(max(0.0, due - time.monotonic()))
                due = max(due + self._every, time.monotonic())
                began = time.time()
                connection.send_request()
                try:
                    while (seconds := connection.read()) is None:
                        pass
                except TimeoutError:
                    self.seconds.append(math.inf)
                    return
                self.seconds.append(seconds)
                self.size = len(connection.response)
                if self._headers:
                    self.pages = [*self.pages[1 - KEPT_PAGES :], (began, bytes(connection.response))]


def ages(pages: list[tuple[float, bytes]]) -> list[float]:
    """Return the age of the samples in seconds, when their page was requested. The servers wrote their clock into one.

    A sample that the server sent after the request has the age 0.
    """
    found = []
    for began, response in pages:
        text = gzip.decompress(load.body(response))
        found += [max(0.0, began - float(value) / 1000) for value in _AGE.findall(text)]
    return found


def count_samples(response: bytes, targets: int) -> tuple[int, float, float]:
    """Return the samples of a page, and those a target: what the daemon measured, and what its server said."""
    text = gzip.decompress(load.body(response))
    of_servers = {spec.full_name for collector in collectors.load().values() for spec in collector.metrics}
    total = own = server = 0
    for line in text.splitlines():
        if line.startswith(b"#") or not (found := _SAMPLE.match(line)):
            continue
        total += 1
        if b'target="' in found[0]:
            name = found[1].decode()
            family = re.sub(r"_(bucket|count|sum)$", "", name)
            if name in of_servers or family in of_servers or name.removesuffix("_total") in of_servers:
                server += 1
            else:
                own += 1
    return total, own / targets, server / targets


class SmallPage:
    """Requests a small page again and again in a thread. ``longest`` is the longest time that one took."""

    def __init__(self, port: int, path: str, timeout: float, pause: float = SMALL_PAUSE) -> None:
        self.seconds: list[float] = []
        self._port, self._path, self._timeout, self._pause = port, path, timeout, pause

    @contextmanager
    def requested(self) -> Iterator[None]:
        """Request it until the block ends."""
        is_over = threading.Event()
        thread = threading.Thread(target=self._request, args=(is_over,))
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    @property
    def longest(self) -> float:
        """Return the longest duration in seconds, or NaN without any."""
        return max(self.seconds, default=math.nan)

    def _request(self, is_over: threading.Event) -> None:
        connection = load.Connection(self._port, "", self._path)
        with connection.socket:
            connection.socket.settimeout(self._timeout)
            while not is_over.wait(self._pause):
                connection.send_request()
                try:
                    while (seconds := connection.read()) is None:
                        pass
                except TimeoutError:
                    seconds = math.inf
                self.seconds.append(seconds)
                if seconds == math.inf:
                    return


class MemoryWatch:
    """Reads the resident memory of a process every few seconds."""

    def __init__(self, pid: int) -> None:
        self.megabytes: list[float] = []
        self._pid = pid

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Read it until the block ends."""
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(MEMORY_PAUSE):
                self.megabytes.append(resident(self._pid)["VmRSS"])

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


def resident(pid: int) -> dict[str, float]:
    """Return the resident memory and its peak in MB, by the names of ``/proc/<pid>/status``."""
    status = Path(f"/proc/{pid}/status").read_text()
    return {name: int(size) * 1024 / 1e6 for name, size in re.findall(r"(VmRSS|VmHWM):\s+(\d+) kB", status)}


def forget_peak(pid: int) -> None:
    """Let the peak begin again with the memory of now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def waited(pid: int) -> dict[str, float]:
    """Return for each thread how many seconds it was ready to run and had no core."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[task.name] = int((task / "schedstat").read_text().split()[1]) / 1e9
        except OSError:
            continue  # the thread has ended
    return found
