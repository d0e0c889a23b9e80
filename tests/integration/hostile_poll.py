"""Poll one hostile server with all collectors, and print what it cost: a program of ``test_hostile_servers.py``.

    python -m tests.integration.hostile_poll poll

prints one JSON object for each attack. It has the memory before and at its highest, in KB. It has the longest time of
the processor that one callback of the event loop took. It has the length of the page, and how each collector ended.
"""
# ruff: noqa: E501 - one line per attack

import asyncio
import gc
import json
import sys
import time
from asyncio.events import Handle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from redis_pulse import collectors
from redis_pulse.config.models import PollSettings
from redis_pulse.exposition import render_steps
from redis_pulse.polling import ConfiguredCollector, TargetPoller
from redis_pulse.sample_store import SampleStore
from redis_pulse.slices import SharedTurns
from tests.harness import TargetHarness

MB = 2**20
Answer = Callable[[list[bytes]], Iterator[bytes]]
#: Makes each collector run, and gives it something to do.
OPTIONS: dict[str, dict[str, Any]] = {
    "config": {"include_config_metrics": True},
    "clients": {"per_client": True},
    "key_groups": {"groups": ["^(.*):(.*):(.*):[a-z]+$", "^([a-z]+)+:", "(x?a){0,200}z"]},
    "key_counts": {"patterns": ["*"]},
    "keys": {"patterns": ["*"], "values": True, "text_values": True},
    "streams": {"patterns": ["*"]},
}


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(text), text)


def info(*lines: bytes) -> bytes:
    head = (b"# Server", b"redis_version:7.0.15", b"run_id:x", b"# Cluster", b"cluster_enabled:1")
    return b"\r\n".join((*head, *lines, b""))


def many(template: bytes, count: int) -> bytes:
    return b"\r\n".join([template % number for number in range(count)])


def array(*items: bytes) -> bytes:
    return b"*%d\r\n%b" % (len(items), b"".join(items))


def only(command: bytes, data: bytes) -> Answer:
    """Return a server that sends ``data`` as the reply to ``command``, and a small INFO."""

    def answer(words: list[bytes]) -> Iterator[bytes]:
        if b" ".join(words).upper().startswith(command):
            yield data
        elif words[0].upper() == b"INFO":
            yield bulk(info(b"# Keyspace", b"db0:keys=100000,expires=0"))
        else:
            yield b"-ERR unknown command\r\n"

    return answer


def endless(start: bytes, rest: bytes) -> Answer:
    def answer(words: list[bytes]) -> Iterator[bytes]:
        if words[0].upper() == b"INFO":
            yield start
            while True:
                yield rest
        yield b"+OK\r\n"

    return answer


PAIRS = b",".join([b"a%d=1" % number for number in range(13_000)])
ATTACKS: dict[str, Callable[[], Answer]] = {
    "INFO of 1 GB": lambda: endless(b"$1000000000\r\n", b"x" * 65536),
    "INFO of 16 MB in one line": lambda: only(b"INFO", bulk(info(b"os:" + b"x" * (15 * MB)))),
    "INFO with 200 000 commands": lambda: only(b"INFO", bulk(info(b"# Commandstats", many(b"cmdstat_c%d:calls=1,usec=1,rejected_calls=0,failed_calls=0", 200_000)))),
    "INFO with 200 000 databases": lambda: only(b"INFO", bulk(info(b"# Keyspace", many(b"db%d:keys=1,expires=0,avg_ttl=0", 200_000)))),
    "INFO with 200 000 replicas": lambda: only(b"INFO", bulk(info(b"# Replication", b"role:master", many(b"slave%d:ip=10.0.0.1,port=%%d,state=online,offset=1,lag=0", 200_000)))),
    "INFO with 200 000 sections": lambda: only(b"INFO", bulk(info(*[b"# S%d\r\nx:1" % number for number in range(200_000)]))),
    "INFO with lines of 13 000 pairs": lambda: only(b"INFO", bulk(info(b"# Commandstats", *[b"cmdstat_%d:calls=1," % n + PAIRS for n in range(150)]))),
    "INFO with 400 KB of open brackets": lambda: only(b"INFO", bulk(info(b"# Modules", b"module:name=x" + b",a=[" * 100_000))),
    "INFO with 3 000 000 lines": lambda: only(b"INFO", bulk(info(b"# Stats", b"a:1\r\n" * 3_000_000))),
    "INFO as 3 000 000 integers": lambda: only(b"INFO", b"*3000000\r\n" + b":1\r\n" * 3_000_000),
    "INFO as 90 000 integers": lambda: only(b"INFO", b"*90000\r\n" + b":1\r\n" * 90_000),
    "INFO as a list in lists": lambda: only(b"INFO", b"*1\r\n" * 100_000),
    "INFO of invalid UTF-8": lambda: only(b"INFO", bulk(info(b"# Stats", many(b"\xff\xfe%d:\xff", 300_000)))),
    "CLUSTER INFO of 15 MB": lambda: only(b"CLUSTER INFO", bulk(b"a:1\r\n" * 3_000_000)),
    "CLIENT LIST of 200 000 clients": lambda: only(b"CLIENT LIST", bulk(many(b"id=%d addr=1.2.3.4:5 name=n user=u", 200_000))),
    "CLIENT LIST of 1000 long lines": lambda: only(b"CLIENT LIST", bulk(b"\n".join([b"id=1" + b" aa=b" * 3000] * 1000))),
    "CONFIG GET with 1000 odd values": lambda: only(b"CONFIG", array(*[bulk(b"%d" % n) + b"" if n % 2 == 0 else bulk((b"key-" * 250, b"key" + b" " * 990, b"a:" * 490)[n % 3]) for n in range(2000)])),
    "CONFIG GET with 40 000 settings": lambda: only(b"CONFIG", array(*[bulk(b"s%d" % n) for n in range(80_000)])),
    "LATENCY LATEST with 40 000 events": lambda: only(b"LATENCY LATEST", array(*[array(bulk(b"e%d" % n), b":1\r\n") for n in range(30_000)])),
    "LATENCY HISTOGRAM with 90 000 numbers": lambda: only(b"LATENCY HISTOGRAM", array(*[bulk(b"c%d" % n) + array(bulk(b"calls"), b":1\r\n", bulk(b"histogram_usec"), array(b":1\r\n", b":1\r\n")) for n in range(12_000)]).replace(b"*12000", b"*24000", 1)),
    "SLOWLOG with 90 000 elements": lambda: only(b"SLOWLOG", array(*[array(b":1\r\n", b":1\r\n", b":1\r\n") for _ in range(22_000)])),
    "ACL LOG with 90 000 elements": lambda: only(b"ACL LOG", array(*[array(bulk(b"count"), b":1\r\n", bulk(b"reason"), bulk(b"r%d" % n)) for n in range(18_000)])),
    "SCAN with 90 000 long keys": lambda: only(b"SCAN", array(bulk(b"0"), array(*[bulk(b":" * 60 + b"%d" % n) for n in range(90_000)]))),
    "SCAN with keys for expressions": lambda: only(b"SCAN", array(bulk(b"0"), array(*[bulk(b"a" * 990 + b"%d" % n) for n in range(200)]))),
    "FT._LIST with 90 000 names": lambda: only(b"FT._LIST", array(*[bulk(b"i%d" % n) for n in range(90_000)])),
}  # fmt: skip


async def serve(answer: Answer) -> asyncio.Server:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2])
                for data in (b"+OK\r\n",) if words[0].upper() == b"CLIENT" and words[1] != b"LIST" else answer(words):
                    writer.write(data)
                    await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(handle, "127.0.0.1", 0)


def memory(what: str) -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what))


class LoopTimer:
    """Measures the time of the processor of each callback. A busy machine does not change it much."""

    def __init__(self) -> None:
        self.longest, self.where, self.longest_collection = 0.0, "", 0.0
        self._began = self._collecting = 0.0
        self._run: Any = Handle._run

    def __enter__(self) -> Self:
        run = self._run

        def timed(handle: Any) -> None:
            before, self._collecting = time.thread_time(), 0.0
            run(handle)
            took = time.thread_time() - before - self._collecting
            if took > self.longest:
                self.longest, self.where = took, repr(handle)[:300]

        Handle._run = timed  # type: ignore[method-assign,assignment]
        gc.callbacks.append(self._on_collection)
        return self

    def __exit__(self, *_: object) -> None:
        Handle._run = self._run  # type: ignore[method-assign]
        gc.callbacks.remove(self._on_collection)

    def _on_collection(self, phase: str, _info: object) -> None:
        """Measure collections of garbage apart: the objects of the whole process decide how long they take."""
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = time.thread_time() - self._began
            self._collecting += took
            self.longest_collection = max(self.longest_collection, took)


def reference() -> float:
    """Return the seconds of the processor that it takes now to make 90 000 texts, and to free them."""
    before = time.thread_time()
    texts = [bytes([number % 256]) * 60 for number in range(90_000)]
    del texts
    return time.thread_time() - before


async def poll(port: int) -> dict[str, Any]:
    harness = TargetHarness(
        f"redis://127.0.0.1:{port}", clock=time.monotonic, poll=PollSettings(timeout="30s", max_age="60s")
    )
    store = SampleStore(render_steps, time.monotonic)
    configured = [
        ConfiguredCollector(one.for_target(), one.options(**OPTIONS.get(one.name, {})))
        for one in collectors.load().values()
    ]
    poller = TargetPoller(
        harness.client, configured, store, harness.target_metrics, harness.observer,
        ping_error=lambda: None, turns=SharedTurns(), clock=time.monotonic,
    )  # fmt: skip
    before = memory("VmRSS")
    timers, references = [], [reference()]
    for _ in range(3):
        with LoopTimer() as timer:
            await poller.poll(0.0)
        timers.append(timer)
        references.append(reference())
    # A step that is too long is long in each poll. New memory and other machines of the host prolong one of them.
    timer = min(timers, key=lambda timer: timer.longest)
    page = b"".join([text for lines in store.fresh_by_collector("t").values() for text in lines.texts])
    await harness.close()
    return {
        "before": before,
        "highest": memory("VmHWM"),
        "longest_ms": round(timer.longest * 1000, 2),
        "reference_ms": round(max(references) * 1000, 2),
        "where": timer.where,
        "collection_ms": round(max(timer.longest_collection for timer in timers) * 1000, 2),
        "page": len(page),
        "longest_line": max(map(len, page.split(b"\n"))),
        "runs": sorted(
            {f"{name}: {how}" for name, how in harness.observer.runs if how not in ("ok", "unsupported: other")}
        ),
    }


def main() -> None:
    """Serve in another process, and poll in this one."""
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve_all())
    else:
        asyncio.run(poll_all())


async def serve_all() -> None:
    """Print the port of a harmless server, then the port of each attack after a line of input."""
    for name, make in {"warm up": lambda: only(b"PING", b"+PONG\r\n"), **ATTACKS}.items():
        server = await serve(make())
        print(json.dumps([name, server.sockets[0].getsockname()[1]]), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        server.close()


async def poll_all() -> None:
    """Poll each server whose name and port are on a line of the input, and print one line for each."""
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        name, port = json.loads(line)
        gc.collect()
        gc.freeze()  # as the daemon does
        Path("/proc/self/clear_refs").write_text("5")  # the highest memory so far is forgotten
        print(json.dumps({"name": name, **await poll(port)}), flush=True)


if __name__ == "__main__":
    main()
