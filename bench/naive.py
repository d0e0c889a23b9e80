"""The obvious solution, for comparison: ``await client.ping()`` between two readings of the clock, one task per target.

python bench/naive.py --ports PORTS.json --log FILE.csv [--interval 1]

It writes one line for each finished ping: ``port,began_ns,seconds,error``. ``began_ns`` is on CLOCK_REALTIME.
"""

import argparse
import asyncio
import json
import random
import resource
import signal
import time
from pathlib import Path
from typing import TextIO

import redis.asyncio


async def measure(port: int, interval: float, log: TextIO) -> None:
    """Ping a target at the due times of a grid. Due times that pass during a ping are skipped."""
    client = redis.asyncio.Redis(port=port)
    due = time.perf_counter() + random.random() * interval
    while True:
        await asyncio.sleep(due - time.perf_counter())
        began, start, error = time.time_ns(), time.perf_counter(), ""
        try:
            await client.ping()
        except redis.RedisError as exception:
            error = type(exception).__name__
        log.write(f"{port},{began},{time.perf_counter() - start:.9f},{error}\n")
        while due <= time.perf_counter():
            due += interval


async def main() -> None:
    """Ping until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ports", type=Path, required=True, help="JSON, a list of ports of 127.0.0.1")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--interval", type=float, default=1.0)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    with options.log.open("w") as log:
        tasks = [
            asyncio.create_task(measure(port, options.interval, log)) for port in json.loads(options.ports.read_text())
        ]
        await stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=2)


if __name__ == "__main__":
    asyncio.run(main())
