"""The live workload, as a process: ``python -m stalls_bench.load PATH``, and with ``--flood SECONDS`` the flood."""

import argparse
import contextlib
import random
import time

from stalls_bench.resp import Link, pack

#: One batch: reads, writes, keys that expire, and sometimes commands of 10 ms that fill the slow log.
_BATCH, _PAUSE = 60, 0.03
#: Commands per second below which the load counts as dead.
LEAST_RATE = 500.0
#: Connections of the flood, and commands that each sends at once.
_CONNECTIONS, _CHUNK = 20, 100


def _batch(random_numbers: random.Random) -> tuple[bytes, int]:
    value = "x" * 100
    commands = []
    for _ in range(_BATCH // 3):
        number = random_numbers.randrange(20000)
        commands += [pack("SET", f"w:{number}", value), pack("GET", f"w:{number}"), pack("SETEX", f"e:{number}", 5, 1)]
    return b"".join(commands), len(commands)


def _noise() -> tuple[bytes, int]:
    fill = [pack("RPUSH", "w:list", *["x" * 20] * 500) for _ in range(8)]
    commands = [*fill, pack("LTRIM", "w:list", 0, 3999), pack("LRANGE", "w:list", 0, -1)]
    return b"".join(commands), len(commands)


def run(path: str) -> None:
    """Send cheap commands without end. An answer may be late or an error, and the server may be another one."""
    numbers = random.Random()
    batches, noise = [_batch(numbers) for _ in range(50)], _noise()
    while True:
        with contextlib.suppress(OSError, ValueError):
            link = Link(path)
            link.run("CLIENT", "SETNAME", "load")
            for turn in range(10**9):
                data, count = noise if turn % 40 == 39 else batches[turn % len(batches)]
                link.socket.sendall(data)
                for _ in range(count):
                    link.read()
                time.sleep(_PAUSE)
        time.sleep(0.1)


def flood(path: str, seconds: float) -> None:
    """Send commands that are cheap for the slow log, on many connections, as fast as the server reads them."""
    links = [Link(path).socket for _ in range(_CONNECTIONS)]
    chunk = pack("BITCOUNT", "bits") * _CHUNK
    unsent = [b""] * len(links)
    for link in links:
        link.setblocking(False)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number, link in enumerate(links):
            data = unsent[number] or chunk
            with contextlib.suppress(OSError):
                unsent[number] = data[link.send(data) :]
            with contextlib.suppress(OSError):
                link.recv(1 << 16)
        time.sleep(0.002)


def main() -> None:
    """Run the load or the flood."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path")
    parser.add_argument("--flood", type=float, default=0.0)
    options = parser.parse_args()
    if options.flood:
        flood(options.path, options.flood)
    else:
        run(options.path)


if __name__ == "__main__":
    main()
