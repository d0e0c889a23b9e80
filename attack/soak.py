"""Run the daemon for an hour while everything around it changes. It must not grow, and it must lose nothing.

200 servers come and go as targets, in files that are replaced every second. Clients scrape, or read slowly, or send
requests and read nothing. The configuration is reloaded and the password file is rotated all the time. The probe log
reaches its maximum size and is rotated.
"""

import argparse
import contextlib
import http.client
import json
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from attack import rules, wheel
from attack.machine import DelayOf
from attack.trend import BLOCK, Trend, blocks, trend
from attack.world import PROBE_INTERVAL, ROOT, SCRAPE_TIMEOUT, Scraper, World, page_of, shared
from chaos import rules as chaos_rules
from chaos.page import Page
from chaos.watch import DelayMeter

TARGETS = 200
#: Seconds between two polls of a target: the default of the daemon.
POLL_INTERVAL = 15.0
#: Files with targets. Each has at most a tenth of them.
FILES = 10
#: Seconds between two changes of targets, reloads, rotations of the password file, and samples.
CHURN, RELOAD, ROTATION, SAMPLE = 1.0, 15.0, 7.0, 2.5
#: The share of the time after which growth is measured. Before, caches and pools fill.
WARM_UP = 0.3
#: The growth during the run that is allowed: a share of the mean, or the number if that is more.
TOLERANCES = {
    "RSS, MB": (0.05, 4.0),
    "PSS, MB": (0.05, 4.0),
    "descriptors": (0.03, 5.0),
    "threads": (0.0, 1.0),
    "tasks": (0.03, 5.0),
}
PERMANENT = ("permanent", "login")


class Soak:
    """One run."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self.problems: list[str] = []
        self.counts = {"changes of targets": 0, "reloads": 0, "rotations": 0}
        self.times: list[float] = []
        self.samples: dict[str, list[float]] = {name: [] for name in TOLERANCES}
        self._found = world.folder / "found"
        self._found.mkdir()
        self._server = world.real("login", requirepass="soak-password")
        self._configure()

    def _configure(self) -> None:
        world = self._world
        password = world.write("password", "soak-password")
        world.config["targets"] = [
            {"name": PERMANENT[0], "url": world.shared.good[0]["url"]},
            {"name": PERMANENT[1], "url": self._server.url, "password_file": str(password)},
        ]
        world.config["poll"] = {"interval": POLL_INTERVAL, "timeout": 5.0}
        world.config["probe_log"] = {"file": str(world.folder / "probes.csv"), "size": 200_000, "backups": 2}
        world.discovery(files=[{"path": str(self._found / "*.json"), "interval": "1s"}])
        for number in range(FILES):
            self._write_targets(number)
        world.write_config()

    def _write_targets(self, number: int) -> None:
        """Replace one file. It lists about two thirds of its targets."""
        own = self._world.shared.good[1 + number :: FILES]
        groups = [
            {"targets": [entry["url"]], "labels": {"__name": entry["name"], "team": f"t{self._random.randrange(5)}"}}
            for entry in own
            if self._random.random() < 0.66
        ]
        path = self._found / f".{number}.new"
        path.write_text(json.dumps(groups))
        path.replace(self._found / f"{number}.json")

    def run(self, seconds: float) -> None:
        """Run for some seconds."""
        world = self._world
        world.daemon.start()
        for kind in ("few-slow", "few-pipeline", "few-idle"):
            world.clients(kind)
        _wait_for(world, PERMANENT)
        for helper in world.helpers:
            helper.begin()
        delay_meter = DelayMeter()
        scrapers = [Scraper(world.daemon) for _ in range(3)]
        jobs = ((CHURN, self._churn), (RELOAD, self._reload), (ROTATION, self._rotate))
        threads = [threading.Thread(target=self._repeat, args=job, daemon=True) for job in jobs]
        first = page_of(world.daemon)
        for thread in threads:
            thread.start()
        ends = time.monotonic() + seconds
        try:
            while time.monotonic() < ends and world.daemon.is_alive():
                time.sleep(SAMPLE)
                self._sample()
        finally:
            self._ended.set()
            for scraper in scrapers:
                scraper.stop()
                self.problems += rules.scraper_is_served(scraper.seconds, scraper.failures, SCRAPE_TIMEOUT)
            for thread in threads:
                thread.join(30)
            delay_meter.stop()
        self.counts["scrapes"] = sum(len(scraper.seconds) for scraper in scrapers)
        self._check_pings(first, page_of(world.daemon), sum(delay_meter.take_delays()))
        self.problems += rules.no_secret(["soak-password"], world.outputs())

    def _check_pings(self, first: Page, last: Page, delay: float) -> None:
        """Check that the permanent targets lost no ping, except those due while the machine itself was late."""
        for target in PERMANENT:
            lost = rules.lost_pings(first, last, [target])[target]
            if lost > 2 * delay / PROBE_INTERVAL:
                self.problems.append(
                    f"{target} lost {lost:g} pings, while the machine was late by {delay:.1f} s in total"
                )
            self.problems += chaos_rules.ping_schedule(first, last, target, PROBE_INTERVAL)
        self.counts["pings of permanent targets"] = int(
            sum(chaos_rules.scheduled_pings(last, one) - chaos_rules.scheduled_pings(first, one) for one in PERMANENT)
        )

    def _repeat(self, interval: float, job: Any) -> None:
        while not self._ended.wait(interval):
            try:
                job()
            except Exception as error:  # noqa: BLE001  # without the report, the thread would end unnoticed
                self.problems.append(f"the harness failed: {error!r}")

    def _churn(self) -> None:
        self._write_targets(self._random.randrange(FILES))
        self.counts["changes of targets"] += 1

    def _reload(self) -> None:
        world = self._world
        world.config["targets"][0]["labels"] = {"round": str(self.counts["reloads"])}
        world.write_config()
        connection = http.client.HTTPConnection("127.0.0.1", world.daemon.port, timeout=30)
        try:
            connection.request("POST", "/-/reload")
            response = connection.getresponse()
            if response.status != 200:
                self.problems.append(f"a reload gets {response.status}: {response.read(200)!r}")
        except (OSError, http.client.HTTPException) as error:
            self.problems.append(f"a reload fails: {error!r}")
        finally:
            connection.close()
        self.counts["reloads"] += 1

    def _rotate(self) -> None:
        """Replace the password file, and close the connections of polls, so that the daemon reads it again."""
        path = self._world.folder / "password.new"
        path.write_text("soak-password\n" if self.counts["rotations"] % 2 else "soak-password")
        path.replace(self._world.folder / "password")
        self._server.run("CONFIG", "SET", "requirepass", "soak-password")
        self.counts["rotations"] += 1

    def _sample(self) -> None:
        world = self._world
        with contextlib.suppress(OSError, http.client.HTTPException):
            page = world.daemon.page(SCRAPE_TIMEOUT)
            usage = world.daemon.usage()
            rollup = Path(f"/proc/{world.daemon.pid}/smaps_rollup").read_text()
            values = (
                usage.megabytes,
                int(re.findall(r"\nPss:\s+(\d+)", rollup)[0]) / 1024,
                float(usage.descriptors),
                float(usage.threads),
                page.value("redis_exporter_tasks") or 0.0,
            )
            self.times.append(time.monotonic())
            for name, value in zip(TOLERANCES, values, strict=True):
                self.samples[name].append(value)

    def trends(self) -> dict[str, Trend]:
        """Return the trend of each quantity after the warm-up."""
        start = int(len(self.times) * WARM_UP)
        return {name: trend(*blocks(self.times[start:], values[start:])) for name, values in self.samples.items()}


def _wait_for(world: World, targets: tuple[str, ...]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        page = page_of(world.daemon)
        if all(page.value("redis_up", target=target) == 1 for target in targets):
            return
        time.sleep(0.2)
    raise RuntimeError("the permanent targets are not up")


def report(soak: Soak) -> list[str]:
    """Print the trends. Return the problems."""
    problems = list(soak.problems)
    print(", ".join(f"{count} {name}" for name, count in soak.counts.items()))
    print("\n| quantity | mean | slope per hour | standard error | certain growth in the run | verdict |")
    print("|---|---|---|---|---|---|")
    for name, line in soak.trends().items():
        share, least = TOLERANCES[name]
        flat = line.is_flat(max(least, share * line.mean))
        verdict = "flat" if flat else "GROWS"
        print(f"| {name} | {line.mean:.1f} | {line.slope:+.2f} | {line.error:.2f} | {line.growth:.2f} | {verdict} |")
        if not flat:
            problems.append(f"{name} grew by {line.growth:.1f} at least")
    return problems


def main() -> int:
    """Run for some minutes, and print the trends."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--targets", type=int, default=TARGETS, help="how many servers come and go")
    parser.add_argument("--seed", type=int, default=1, help="seed of the changes of targets")
    parser.add_argument(
        "--checkout", type=Path, nargs="?", const=ROOT, help="use a checkout, without building the wheel"
    )
    arguments = parser.parse_args()
    if arguments.minutes * 60 * (1 - WARM_UP) < 3 * BLOCK:
        parser.error("--minutes: a trend needs at least 1.5 minutes")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    folder = Path(tempfile.mkdtemp(prefix="redis-pulse-soak-"))
    print(
        f"soak: {arguments.minutes:g} minutes, {arguments.targets} targets, seed {arguments.seed}, files in {folder}",
        flush=True,
    )
    checkout = arguments.checkout and arguments.checkout.resolve()
    python = Path(sys.executable) if checkout else wheel.install(ROOT, folder)
    with shared(folder, python, checkout, arguments.targets) as of:
        world = World(of, folder / "soak")
        try:
            soak = Soak(world, arguments.seed)
            soak.run(arguments.minutes * 60)
            with DelayOf(world.daemon.pid) as delay:
                code, seconds = world.daemon.stop(20)
            seconds -= delay.seconds
            soak.problems += chaos_rules.stopped_in_time(code, seconds, 5)
            soak.problems += rules.no_fault_in_log([line.text for line in world.daemon.lines])
            problems = report(soak)
        finally:
            world.close()
    for problem in problems:
        print(f"FAIL: {problem}")
    print("nothing grew and nothing was lost" if not problems else f"files: {folder}")
    if not problems:
        shutil.rmtree(folder, ignore_errors=True)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
