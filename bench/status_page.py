"""The page `/`: bytes and milliseconds for 1, 8 and 1000 targets, and the memory of their history.

`make bench BENCH=status_page`. The targets are those of `tests/web/pages/scenes.py`. The times are those of the
CPU, the best of five. A slice is the time between two turns of the event loop; the longest one is shown.
"""

import asyncio
import gzip
import sys
import time
import tracemalloc
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from starlette.requests import Request  # noqa: E402

from redis_pulse.slices import SharedTurns  # noqa: E402
from redis_pulse.status import StatusRegistry  # noqa: E402
from redis_pulse.web.status_handlers import StatusHandlers  # noqa: E402
from tests.web.fakes import FakeDaemon  # noqa: E402
from tests.web.pages.scenes import FakeStatus, eight, target, thousand  # noqa: E402

SCENES = {"1": [target("one")], "8": eight(), "1000": thousand()}
SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "server": ("x", 1)}


async def measure(name: str) -> None:
    """Print size, time and longest slice of one page."""
    best, longest, body = 9.0, 9.0, b""
    for _ in range(5):
        handlers = StatusHandlers(FakeDaemon(status=FakeStatus(SCENES[name])), "/metrics", SharedTurns())
        gaps: list[float] = []

        async def tick(found: list[float] = gaps) -> None:
            while True:
                began = time.process_time()
                await asyncio.sleep(0)
                found.append(time.process_time() - began)

        ticking = asyncio.ensure_future(tick())
        await asyncio.sleep(0)
        began = time.process_time()
        response = await handlers.index(Request({**SCOPE, "scheme": "http"}))
        best = min(best, time.process_time() - began)
        ticking.cancel()
        longest, body = min(longest, max(gaps, default=best)), bytes(response.body)
    size, packed = len(body), len(gzip.compress(body, 5))
    print(f"{name:>5} targets {size:>8} bytes {packed:>7} gzip {best * 1e3:6.0f} ms, slices of {longest * 1e3:.1f} ms")


def memory(count: int = 1000) -> None:
    """Print the memory of a quiet target, and the cost of a ping."""
    now = 6000.0
    registry = StatusRegistry(lambda: now)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    statuses = [registry.watch(f"target-{number}", 0.01) for number in range(count)]
    for second in range(120):
        now = 6000.0 + second
        for status in statuses:
            status.on_probe(0.0002, None)
    used = (tracemalloc.get_traced_memory()[0] - before) / count
    tracemalloc.stop()
    print(f"history of a quiet target: {used:.0f} bytes")
    began = time.process_time()
    for _ in range(100):
        for status in statuses:
            status.on_probe(0.0002, None)
    print(f"cost of a ping: {(time.process_time() - began) / 100 / count * 1e6:.2f} µs")


if __name__ == "__main__":
    for scene in SCENES:
        asyncio.run(measure(scene))
    memory()
