"""Perform the attacks one after the other, print a table, and exit 1 if one succeeds."""

import argparse
import contextlib
import http.client
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable
from pathlib import Path

from attack import rules, table, wheel
from attack.machine import DelayOf
from attack.rows.base import Row
from attack.rows.catalog import ROWS, chosen
from attack.table import Result
from attack.world import CONTROL_TARGETS, ROOT, SCRAPE_TIMEOUT, Meter, Scraper, Shared, World, page_of, shared

#: Seconds after the warm-up, so that all collectors have run.
SETTLE = 1.0
#: Seconds with scrapes and without an attack. The highest memory in it is what a peak is compared with.
QUIET = 4.0
#: Seconds after the attack within which memory must be given back.
REST = 30.0


def attack(row: Row, of: Shared, folder: Path) -> Result:
    """Perform one attack on a new daemon."""
    result = Result(row.name, row.title)
    world = World(of, folder)
    try:
        row.prepare(world)
        world.write_config()
        world.daemon.start()
        world.wait_until_good()
        time.sleep(SETTLE)
        _measure(row, world, result)
        result.problems += _collect(row.check, world, "check")
        result.not_run = world.notes.get("not run", "")
        result.problems += rules.no_secret(world.secrets, world.outputs())
        result.problems += rules.lines_are_short(page_of(world.daemon).text)
        _stop(row, world, result)
        result.problems += _collect(row.after, world, "after")
        result.problems += rules.log_is_small([line.text for line in world.daemon.lines])
    except Exception as error:  # noqa: BLE001  # the other attacks can still be made
        result.problems.append(f"the attack could not be completed: {error!r}"[:300])
        (folder / "harness.txt").write_text(traceback.format_exc())
    finally:
        world.close()
    return result


def _measure(row: Row, world: World, result: Result) -> None:
    """Attack for some seconds, and measure memory, waits, scrapes and pings meanwhile."""
    good = [entry["name"] for entry in world.shared.good]
    control_good = good[:CONTROL_TARGETS]
    before, control_before = page_of(world.daemon), page_of(world.shared.control)
    result.normal = world.notes["normal"] = world.rss()
    world.reset_peak()
    scraper = Scraper(world.daemon)
    time.sleep(QUIET)
    scraper.stop()
    cost_of_scrapes = max(0.0, world.peak() - result.normal)
    world.reset_peak()
    meter, scraper = Meter(world.daemon, world.control, world.ca_file), Scraper(world.daemon)
    for helper in world.helpers:
        helper.begin()
    row.begin(world)
    time.sleep(row.seconds)
    scraper.stop()
    waits, control = meter.stop()
    after, control_after = page_of(world.daemon), page_of(world.shared.control)
    result.peak = world.peak() - cost_of_scrapes
    row.end(world)
    if row.is_inbound:
        for helper in world.helpers:
            helper.kill()
    deadline = time.monotonic() + REST
    while rules.is_kept(result.normal, world.rss()) and time.monotonic() < deadline:
        time.sleep(0.5)
    result.kept = world.notes["kept"] = world.rss()
    result.wait = rules.longest_wait(waits, control).seconds
    result.scrape = max(scraper.seconds, default=SCRAPE_TIMEOUT)
    lost = rules.lost_pings(before, after, good)
    result.lost = sum(lost.values())
    control_lost = rules.lost_pings(control_before, control_after, control_good)
    for problems in (
        rules.pages_on_time(waits, control),
        rules.scraper_is_served(scraper.seconds, scraper.failures, SCRAPE_TIMEOUT),
        rules.good_targets_keep_their_pings(lost, control_lost, max((one.delay for one in waits), default=0.0)),
        rules.memory_is_bounded(result.normal, result.peak, result.kept, row.memory),
    ):
        result.problems += problems


def _stop(row: Row, world: World, result: Result) -> None:
    with DelayOf(world.daemon.pid) as delay:
        code, seconds = world.daemon.stop(4 * row.stop)
    result.stop = max(0.0, seconds - delay.seconds)
    if code is None or result.stop > row.stop:
        result.problems.append(f"SIGTERM did not end the daemon within {row.stop:g} s")
    elif code != 0:
        result.problems.append(f"SIGTERM ended the daemon with exit code {code}")


def _collect(check: "object", world: World, what: str) -> list[str]:
    assert callable(check)
    try:
        found: Iterable[str] = check(world)
        return list(found)
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        return [f"the {what} could not be made: {error!r}"]


def main() -> int:
    """Perform the attacks and print the table."""
    parser = argparse.ArgumentParser(prog="make attack", description=__doc__)
    parser.add_argument("--only", default="", help="names of attacks, separated by commas, such as H1,M2")
    parser.add_argument("--targets", type=int, default=100, help="how many good targets there are")
    parser.add_argument(
        "--checkout", type=Path, nargs="?", const=ROOT, help="use a checkout, without building the wheel"
    )
    parser.add_argument("--list", action="store_true", help="only list the attacks")
    arguments = parser.parse_args()
    if arguments.list:
        for row in ROWS:
            print(f"{row.name:5} {row.title}")
        return 0
    try:
        rows = chosen(arguments.only)
    except ValueError as error:
        parser.error(str(error))
    # A background job of a shell ignores Ctrl-C by default.
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = Path(tempfile.mkdtemp(prefix="redis-pulse-attack-"))
    print(f"{len(rows)} attacks, {arguments.targets} good targets, files in {folder}", flush=True)
    checkout = arguments.checkout and arguments.checkout.resolve()
    python = Path(sys.executable) if checkout else wheel.install(ROOT, folder)
    results = []
    with shared(folder, python, checkout, arguments.targets) as of:
        print(table.head(), flush=True)
        for row in rows:
            results.append(attack(row, of, folder / row.name))
            print(table.line(results[-1]), flush=True)
            for problem in results[-1].problems:
                print(f"    {problem}", flush=True)
    print("\n" + table.summary(results))
    code = table.exit_code(results)
    if code == 0:
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
    else:
        print(f"logs: {folder}")
    return code


if __name__ == "__main__":
    sys.exit(main())
