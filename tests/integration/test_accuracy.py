"""Compares the latencies that the exporter measures with those that an echo server records by kernel timestamps.

Most tests use the same run. It has ten targets with ten pings per second each, and replies after a random delay. In
the middle is a stall of two seconds. In a second run, the exporter's event loop is blocked for 20 ms of every 100 ms.
"""

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.blocked_daemon import BLOCKED, PERIOD
from tests.integration.daemon import Daemon
from tests.integration.echo import EchoServer, Ping, match_pings
from tests.integration.histogram import bucket_of_quantile, count_by_bucket, histogram
from tests.integration.pages import Page
from tests.integration.probe_log import LoggedProbe, wait_for_log

pytestmark = [
    pytest.mark.integration,
    pytest.mark.alone,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kernel timestamps exist on Linux only"),
]

TARGETS = [f"target-{number}" for number in range(10)]
INTERVAL, STALL = 0.1, 2.0
#: Seconds. Only a ping in a stall takes so long.
SLOW = 0.06
PROBE = {"interval": "100ms", "timeout": "5s"}


class Run(NamedTuple):
    """The records of both sides: two pages, the probe log, the server's pings, and the pairs of probe and ping.

    Everything on the page ``last`` is in the log. ``counts`` are its histograms by target, and ``bounds`` are their
    upper bounds. ``pairs`` has only the pings that are in these histograms.
    """

    first: Page
    last: Page
    probes: list[LoggedProbe]
    pings: list[Ping]
    pairs: dict[str, list[tuple[LoggedProbe, Ping]]]
    bounds: list[float]
    counts: dict[str, list[int]]
    is_blocked: bool


def targets(server: EchoServer) -> list[dict[str, Any]]:
    return [{"name": f"target-{number}", "url": url} for number, url in enumerate(server.urls)]


def answered_probes(target: str, probes: list[LoggedProbe]) -> list[LoggedProbe]:
    """Return the answered probes of a target, in the order in which they ended."""
    return [probe for probe in probes if probe.target == target and probe.outcome == "success"]


@pytest.fixture(scope="module", params=["redis_pulse", "tests.integration.blocked_daemon"], ids=["free", "blocked"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("accuracy")
    log = folder / "probe.csv"
    with ExitStack() as stack:
        server = stack.enter_context(EchoServer(folder, len(TARGETS), delay="lognormal:0.002:0.7"))
        config = {"probe": PROBE, "poll": {"interval": "5s"}, "targets": targets(server)}
        daemon = Daemon(folder / "daemon", "--probe-log", str(log), config=config, module=request.param)
        stack.enter_context(daemon)
        first = daemon.wait_for(lambda page: all(page.up(name) == 1 for name in TARGETS))
        time.sleep(2)
        server.do("stall", **{"for": STALL})
        time.sleep(STALL + 1)
        last = daemon.page()
        bounds = histogram(last, TARGETS[0])[0]
        counts = {name: histogram(last, name)[1] for name in TARGETS}
        probes = wait_for_log(
            log, lambda probes: all(len(answered_probes(name, probes)) >= sum(counts[name]) for name in TARGETS)
        )
        pings = server.record()
    pairs: dict[str, list[tuple[LoggedProbe, Ping]]] = {name: [] for name in TARGETS}
    for probe, ping in match_pings(probes, pings):
        if len(pairs[probe.target]) < sum(counts[probe.target]):
            pairs[probe.target].append((probe, ping))
    return Run(first, last, probes, pings, pairs, bounds, counts, request.param != "redis_pulse")


def test_every_ping_arrived_once_and_was_counted_once(run: Run) -> None:
    assert run.last.reasons() == run.first.reasons(), "something failed"
    for name in TARGETS:
        assert len(run.pairs[name]) == sum(run.counts[name])
        in_flight = run.last.value("redis_operations_in_flight", operation="ping", target=name)
        failed = run.last.failures("ping", target=name)
        assert run.last.operations(target=name) == len(run.pairs[name]) + failed + (in_flight or 0)


def test_probes_are_due_on_a_grid_that_no_reply_and_no_stall_moves(run: Run) -> None:
    for name in TARGETS:
        due = sorted(probe.due for probe in run.probes if probe.target == name)
        steps = [(after - before) / 1e9 for before, after in pairwise(due)]
        assert all(abs(step - INTERVAL) < 0.002 for step in steps), [step for step in steps if step > INTERVAL + 0.002]


def test_histogram_agrees_with_the_log(run: Run) -> None:
    for name, pairs in run.pairs.items():
        assert run.counts[name] == count_by_bucket([probe.seconds for probe, _ in pairs], run.bounds), name


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9, 0.99, 1.0])
def test_quantiles_agree_with_the_servers_record_within_one_bucket(run: Run, quantile: float) -> None:
    all_measured, all_recorded = [0] * len(run.bounds), [0] * len(run.bounds)
    for name, pairs in run.pairs.items():
        measured = run.counts[name]
        recorded = count_by_bucket([(ping.left - ping.arrived) / 1e9 for _, ping in pairs if ping.left], run.bounds)
        assert sum(measured) == sum(recorded)
        assert abs(bucket_of_quantile(measured, quantile) - bucket_of_quantile(recorded, quantile)) <= 1, name
        all_measured = [a + b for a, b in zip(all_measured, measured, strict=True)]
        all_recorded = [a + b for a, b in zip(all_recorded, recorded, strict=True)]
    assert abs(bucket_of_quantile(all_measured, quantile) - bucket_of_quantile(all_recorded, quantile)) <= 1


def test_stall_has_one_slow_sample_per_probe_that_fell_into_it(run: Run) -> None:
    for name, pairs in run.pairs.items():
        slow = [(probe, ping) for probe, ping in pairs if ping.left and (ping.left - ping.arrived) / 1e9 > SLOW]
        assert (STALL - SLOW) / INTERVAL - 1 <= len(slow) <= STALL / INTERVAL + 1, name
        seconds = [probe.seconds for probe, _ in slow]
        assert seconds[0] == pytest.approx(STALL, abs=INTERVAL + 0.05)
        assert seconds == sorted(seconds, reverse=True)
        ends = [probe.received for probe, _ in slow if probe.received]
        assert (max(ends) - min(ends)) / 1e9 < 0.02, "all ended with the stall"
        counted = sum(count for bound, count in zip(run.bounds, run.counts[name], strict=True) if bound > 0.1)
        assert counted == sum(one > 0.1 for one in seconds)


def test_exporter_adds_little_latency_even_if_its_event_loop_is_blocked(run: Run) -> None:
    """The bound is generous, because the machine may be busy. A blocked loop would add many times as much."""
    pairs = [pair for pairs in run.pairs.values() for pair in pairs]
    after = [(probe.received - ping.left) / 1e6 for probe, ping in pairs if probe.received and ping.left]
    cuts = statistics.quantiles(after, n=100, method="inclusive")
    print(f"from the server's send to our timestamp, ms: p50 {cuts[49]:.3f}, p99 {cuts[98]:.3f}, max {max(after):.3f}")
    assert min(after) >= 0
    assert cuts[49] < 0.5
    assert cuts[98] < 5
    if run.is_blocked:
        late = run.last.sum("redis_exporter_probe_overhead_seconds_count") - run.last.sum(
            "redis_exporter_probe_overhead_seconds_bucket", le="0.005"
        )
        # Few replies are late: those to pings that left just before a block.
        assert late / len(pairs) > 0.02 * BLOCKED / PERIOD, "the event loop was not blocked, so the test shows nothing"


def test_kernel_timestamps_time_nearly_all_replies(run: Run) -> None:
    kernel = run.last.sum("redis_probe_clock_total", clock="kernel")
    assert kernel >= 0.99 * (kernel + run.last.sum("redis_probe_clock_total", clock="user"))
    answered = [probe for probe in run.probes if probe.received is not None]
    assert sum(probe.clock == "kernel" for probe in answered) >= 0.99 * len(answered)


@pytest.fixture
def echo(stack: ExitStack, tmp_path: Path) -> EchoServer:
    return stack.enter_context(EchoServer(tmp_path / "echo"))


def test_reply_in_pieces_ends_with_its_last_piece(
    echo: EchoServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    log = tmp_path / "probe.csv"
    daemon = start_daemon("--probe-log", str(log), config={"probe": PROBE, "targets": targets(echo)})
    daemon.wait_until_up()
    echo.do("pieces", seconds=0.03)
    probes = wait_for_log(
        log, lambda probes: sum(probe.seconds > 0.03 for probe in answered_probes("target-0", probes)) > 5
    )
    for probe, ping in match_pings(probes, echo.record()):
        assert ping.left is not None
        assert probe.received is not None
        assert ping.left <= probe.received


def test_hung_server_times_out_and_every_ping_has_its_line(
    echo: EchoServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    log = tmp_path / "probe.csv"
    config = {"targets": targets(echo)}
    daemon = start_daemon("--probe-log", str(log), config=config)
    first = daemon.wait_until_up()
    echo.do("hang")
    page = daemon.wait_for(lambda page: page.not_sent() >= 3)
    assert set(page.reasons()) == {"timeout"}
    daemon.assert_every_ping_counted(first)
    failed, unsent = page.failures("ping", "timeout"), page.not_sent()
    probes = wait_for_log(log, lambda probes: sum(probe.reason == "timeout" for probe in probes) >= failed)
    hung = [ping for _, ping in match_pings(probes, echo.record()) if ping.fate == "hang"]
    sent = [probe for probe in probes if probe.reason == "timeout" and probe.sent is not None]
    assert failed - unsent <= len(hung) <= len(sent) + 1
    assert sum(probe.reason == "timeout" and probe.sent is None for probe in probes) >= unsent
