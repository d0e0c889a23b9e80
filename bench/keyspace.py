"""How true the estimates of ``keyspace_sample`` are, and what they cost. See docs/keyspace.md.

python bench/keyspace.py [--intervals 60] [--scale 1.0] [--keys 1000000] [--seconds 30] [--only simulate|server|draws]

1. Ten key spaces of 1 to 10 million keys are simulated, with the pace of the defaults. The table has the intervals of
   95 % and how many of them have the true value. It has the mean error, and the time until the sum is known to 5 %.
2. A real server is filled. The sampler runs with its defaults, in turns with pauses, while another process sends a PING
   each millisecond. Printed are the server's CPU and the PINGs with and without it. Then come a run of 8 seconds as
   ``redis-pulse keyspace`` makes it, and ``redis-cli --memkeys``: time, CPU, result.
3. ``draws``: how much the chances of single keys differ in RANDOMKEY, which limits the error from below.
"""

import argparse
import asyncio
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import redis
from key_collectors import Pings, quantile
from keyspace_spaces import simulate
from process import free_port

from redis_pulse.client import ConnectLimiter, DedicatedConnection
from redis_pulse.client.credentials import Credentials
from redis_pulse.config import TargetSettings, parse_url
from redis_pulse.keyspace import KeyspaceSettings, KeyspaceState
from redis_pulse.keyspace_sampling import MAX_REPLY, KeyspaceSampler, examine_keyspace
from redis_pulse.keyspace_sampling.stand_alone import read_facts

#: Seconds of each turn with and without the sampler.
TURN = 5


def main() -> None:
    """Measure and print."""
    options = arguments()
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}"
    if options.only in (None, "simulate"):
        print(f"Runs of 10 minutes each, 100 keys a second, seed {options.seed}; {machine}\n")
        table(options)
    if options.only in (None, "server", "draws"):
        with tempfile.TemporaryDirectory(prefix="redis-pulse-bench-") as folder:
            port = free_port()
            command = ["redis-server", "--port", str(port), "--save", "", "--dir", folder]
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            try:
                if options.only == "draws":
                    draws(wait_for(port))
                else:
                    measure(wait_for(port), port, options)
            finally:
                server.terminate()
                server.wait()


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--intervals", type=int, default=60, help="intervals of each space at least")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--space", default="", help="simulate only spaces with this in their title")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=30, help="running time of the sampler, without pauses")
    parser.add_argument("--only", choices=("simulate", "server", "draws"))
    return parser.parse_args()


def table(options: argparse.Namespace) -> None:
    """Simulate, and print Markdown."""
    print("| key space | keys | intervals | with the truth | mean error | mean half width | 5 % after |")
    print("| --- " + "| --- " * 6 + "|")
    intervals = covered = 0
    for one in simulate(options.scale, options.intervals, options.seed, options.space):
        intervals, covered = intervals + one.judged, covered + one.covered
        share = f"{100 * one.covered / one.judged:.1f} %" if one.judged else "none"
        figures = f"{share} | {100 * one.error:.1f} % | {100 * one.width:.1f} % | {one.reached}"
        print(f"| {one.title} | {one.keys:,} | {one.judged} | {figures} |", flush=True)
    print(f"| all | | {intervals} | {100 * covered / max(1, intervals):.1f} % | | | |\n")


def wait_for(port: int) -> redis.Redis:
    """Return a client of the server when it replies."""
    server = redis.Redis(port=port)
    for _ in range(100):
        try:
            server.ping()
        except redis.ConnectionError:
            time.sleep(0.05)
    return server


def fill(server: redis.Redis, keys: int) -> None:
    """Write the keys of ``keyspace-proof.py``, more of them."""
    source = random.Random(1)
    pipeline = server.pipeline(transaction=False)
    for number in range(int(keys * 0.82)):
        pipeline.set(f"session:{source.getrandbits(64):x}", "x" * source.randint(50, 400))
        if number % 5000 == 0:
            pipeline.execute()
    for number in range(int(keys * 0.12)):
        pipeline.hset(f"user:{number}:profile", mapping={f"f{k}": "y" * 20 for k in range(12)})
        if number % 2000 == 0:
            pipeline.execute()
    for number in range(int(keys * 0.06)):
        pipeline.zadd(f"feed:{number}", {f"m{k}": k for k in range(source.randint(1, 60))})
        if number % 2000 == 0:
            pipeline.execute()
    for number in range(500):
        pipeline.rpush(f"queue:{number}", *["z" * 100] * 2000)
    for number in range(5):
        pipeline.set(f"blob:{number}", "b" * 20_000_000)
    pipeline.execute()


def cpu(server: redis.Redis) -> float:
    """Return the CPU seconds of the server."""
    info = server.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def target(port: int) -> TargetSettings:
    """Return the settings of the server."""
    return TargetSettings(name="t", endpoint=parse_url(f"redis://127.0.0.1:{port}").endpoint)


def measure(server: redis.Redis, port: int, options: argparse.Namespace) -> None:
    """Fill the server, run the sampler, the stand-alone run and redis-cli."""
    fill(server, options.keys)
    version = server.info("server")["redis_version"]
    print(f"Redis {version}, {server.dbsize():,} keys, {server.info('memory')['used_memory'] / 1e6:.0f} MB\n")
    with Pings(port, 4 * options.seconds + 30) as pings:
        turns, used, looked_at = asyncio.run(run_in_turns(server, port, options.seconds))
    quiet, busy = pings.split(turns)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        print(f"PING {name} without / with: {1e3 * quantile(quiet, share):.3f} / {1e3 * quantile(busy, share):.3f} ms")
    seconds = sum(end - begin for begin, end in turns)
    print(f"server CPU of the sampler: {100 * used / seconds:.2f} % of a core, {1e6 * used / looked_at:.1f} us a key\n")
    before = cpu(server)
    asyncio.run(stand_alone(port))
    print(f"server CPU of that run: {cpu(server) - before:.2f} s\n")
    if shutil.which("redis-cli"):
        before, began = cpu(server), time.perf_counter()
        with Pings(port, 600) as pings:
            began = time.perf_counter()
            output = subprocess.run(
                ["redis-cli", "-p", str(port), "--memkeys"], capture_output=True, text=True, check=True
            ).stdout
            ended = time.perf_counter()
        times = sorted(seconds for sent, seconds in pings._sent if began <= sent < ended)  # noqa: SLF001
        print(f"redis-cli --memkeys: {ended - began:.1f} s, server CPU {cpu(server) - before:.1f} s,", end=" ")
        print(f"PING p99 {1e3 * times[int(0.99 * len(times))]:.3f} ms; its result:")
        print("\n".join(output.strip().splitlines()[-14:]))


async def run_in_turns(server: redis.Redis, port: int, seconds: int) -> tuple[list[tuple[float, float]], float, int]:
    """Let the sampler run and rest in turns. Return the turns, the CPU of the server in them, and the keys."""
    state = KeyspaceState(KeyspaceSettings())
    connection = DedicatedConnection(
        target(port),
        Credentials(target(port), on_not_renewed=lambda _reason: None),
        ConnectLimiter(),
        max_reply=MAX_REPLY,
    )
    sampler = KeyspaceSampler(state, connection, is_allowed=lambda: "")
    turns, used, looked_at, resting = [], 0.0, 0, 0.0
    state.observe(await read_facts(connection))
    while sum(end - begin for begin, end in turns) < seconds:
        begin, before = time.perf_counter(), cpu(server)
        walked, drawn = state.walk.walked, state.draws_total
        for _ in range(TURN):
            started = time.perf_counter()
            await sampler.run()
            await asyncio.sleep(max(0.0, 1 - (time.perf_counter() - started)))
        turns.append((begin, time.perf_counter()))
        middle = cpu(server)
        used += middle - before
        looked_at += state.walk.walked - walked + state.draws_total - drawn
        await asyncio.sleep(TURN)
        resting += cpu(server) - middle
    await sampler.aclose()
    # The PINGs cost the server as much with the sampler as without it.
    return turns, used - resting, max(1, looked_at)


async def stand_alone(port: int) -> None:
    """Look at the keys for eight seconds, and print what is known then."""
    began = time.perf_counter()
    async for report in examine_keyspace(target(port), seconds=8.0):
        last = report
    print(f"redis-pulse keyspace: {time.perf_counter() - began:.1f} s, {last.draws_total} draws. {last.certainty}")
    for usage in last.patterns:
        if usage.memory is not None:
            memory = f"{usage.memory.value / 1e6:8.1f} +- {usage.memory.error / 1e6:.1f} MB"
            print(f"  {usage.pattern:18} {memory:24} {usage.keys.value:10.0f} +- {usage.keys.error:.0f} keys")


def draws(server: redis.Redis) -> None:
    """Draw each of 1000 keys 400 times on average, and print how much their chances differ."""
    server.flushall()
    for number in range(1000):
        server.set(f"key:{number}", "x")
    counts: Counter[bytes] = Counter()
    for _ in range(400):
        with server.pipeline(transaction=False) as pipeline:
            for _ in range(1000):
                pipeline.randomkey()
            counts.update(pipeline.execute())
    values = [counts[f"key:{number}".encode()] for number in range(1000)]
    mean = statistics.mean(values)
    excess = max(0.0, statistics.pvariance(values) - mean)
    print(
        f"Redis {server.info('server')['redis_version']}: the chances of single keys differ by {excess**0.5 / mean:.2f}"
    )


if __name__ == "__main__":
    main()
