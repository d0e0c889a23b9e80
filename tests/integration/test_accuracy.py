"""Our latencies against those that the other side wrote down: an echo server, with stamps of its own kernel.

One run serves most tests: ten targets, ten pings a second to each, answered after a random delay, and a stall of two
seconds in the middle. It is done twice, the second time with our own event loop blocked for 20 ms of every 100.
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

from tests.integration.blocked_daemon import BLOCKED, ROUND
from tests.integration.daemon import Daemon
from tests.integration.echo import EchoServer, Ping, matched
from tests.integration.histogram import bucket_of_quantile, histogram, sorted_into
from tests.integration.pages import Page
from tests.integration.probe_log import LoggedProbe, wait_for_log

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="stamps of the kernel are Linux's"),
]

TARGETS = [f"target-{number}" for number in range(10)]
INTERVAL, STALL = 0.1, 2.0
#: Seconds: nothing but a stall takes so long.
SLOW = 0.06
PROBE = {"interval": "100ms", "timeout": "5s"}


class Run(NamedTuple):
    """What both sides wrote down: two pages, the log of our slots, the server's record, and who belongs together.

    Everything on ``last`` is in the log. ``counts`` are its histograms, ``edges`` their upper edges, and ``pairs`` only
    what is in them.
    """

    first: Page
    last: Page
    slots: list[LoggedProbe]
    pings: list[Ping]
    pairs: dict[str, list[tuple[LoggedProbe, Ping]]]
    edges: list[float]
    counts: dict[str, list[int]]
    is_blocked: bool


def targets(server: EchoServer) -> list[dict[str, Any]]:
    return [{"name": f"target-{number}", "url": url} for number, url in enumerate(server.urls)]


def of(target: str, slots: list[LoggedProbe]) -> list[LoggedProbe]:
    """Return the answered slots of a target, in the order of their ends."""
    return [slot for slot in slots if slot.target == target and slot.outcome == "success"]


@pytest.fixture(scope="module", params=["redis_pulse", "tests.integration.blocked_daemon"], ids=["as it is", "blocked"])
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
        edges = histogram(last, TARGETS[0])[0]
        counts = {name: histogram(last, name)[1] for name in TARGETS}
        slots = wait_for_log(log, lambda slots: all(len(of(name, slots)) >= sum(counts[name]) for name in TARGETS))
        pings = server.record()
    pairs: dict[str, list[tuple[LoggedProbe, Ping]]] = {name: [] for name in TARGETS}
    for slot, ping in matched(slots, pings):
        if len(pairs[slot.target]) < sum(counts[slot.target]):
            pairs[slot.target].append((slot, ping))
    return Run(first, last, slots, pings, pairs, edges, counts, request.param != "redis_pulse")


def test_every_ping_arrived_once_and_was_counted_once(run: Run) -> None:
    assert run.last.reasons() == run.first.reasons(), "something failed"
    for name in TARGETS:
        assert len(run.pairs[name]) == sum(run.counts[name])
        in_flight = run.last.value("redis_operations_in_flight", operation="ping", target=name)
        failed = run.last.failures("ping", target=name)
        assert run.last.slots(target=name) == len(run.pairs[name]) + failed + (in_flight or 0)


def test_slots_are_on_a_grid_that_no_answer_and_no_stall_moves(run: Run) -> None:
    for name in TARGETS:
        due = sorted(slot.due for slot in run.slots if slot.target == name)
        steps = [(after - before) / 1e9 for before, after in pairwise(due)]
        assert all(abs(step - INTERVAL) < 0.002 for step in steps), [step for step in steps if step > INTERVAL + 0.002]


def test_the_histogram_is_the_log(run: Run) -> None:
    for name, pairs in run.pairs.items():
        assert run.counts[name] == sorted_into([slot.seconds for slot, _ in pairs], run.edges), name


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9, 0.99, 1.0])
def test_quantiles_are_those_of_the_server_s_record_within_one_bucket(run: Run, quantile: float) -> None:
    all_ours, all_theirs = [0] * len(run.edges), [0] * len(run.edges)
    for name, pairs in run.pairs.items():
        ours = run.counts[name]
        theirs = sorted_into([(ping.left - ping.arrived) / 1e9 for _, ping in pairs if ping.left], run.edges)
        assert sum(ours) == sum(theirs)
        assert abs(bucket_of_quantile(ours, quantile) - bucket_of_quantile(theirs, quantile)) <= 1, name
        all_ours = [a + b for a, b in zip(all_ours, ours, strict=True)]
        all_theirs = [a + b for a, b in zip(all_theirs, theirs, strict=True)]
    assert abs(bucket_of_quantile(all_ours, quantile) - bucket_of_quantile(all_theirs, quantile)) <= 1


def test_a_stall_is_as_many_slow_samples_as_slots_fell_into_it(run: Run) -> None:
    for name, pairs in run.pairs.items():
        slow = [(slot, ping) for slot, ping in pairs if ping.left and (ping.left - ping.arrived) / 1e9 > SLOW]
        assert (STALL - SLOW) / INTERVAL - 1 <= len(slow) <= STALL / INTERVAL + 1, name
        seconds = [slot.seconds for slot, _ in slow]
        assert seconds[0] == pytest.approx(STALL, abs=INTERVAL + 0.05)
        assert seconds == sorted(seconds, reverse=True)
        ends = [slot.received for slot, _ in slow if slot.received]
        assert (max(ends) - min(ends)) / 1e9 < 0.02, "all of them ended when the stall did"
        counted = sum(count for edge, count in zip(run.edges, run.counts[name], strict=True) if edge > 0.1)
        assert counted == sum(one > 0.1 for one in seconds)


def test_what_we_add_to_a_latency_is_small_whatever_our_loop_does(run: Run) -> None:
    """A generous bound: the machine may be busy. What our loop would have added is orders of magnitude above it."""
    pairs = [pair for pairs in run.pairs.values() for pair in pairs]
    after = [(slot.received - ping.left) / 1e6 for slot, ping in pairs if slot.received and ping.left]
    cuts = statistics.quantiles(after, n=100, method="inclusive")
    print(f"from the server's send to our stamp, ms: p50 {cuts[49]:.3f}, p99 {cuts[98]:.3f}, max {max(after):.3f}")
    assert min(after) >= 0
    assert cuts[49] < 0.5
    assert cuts[98] < 5
    if run.is_blocked:
        late = run.last.sum("redis_exporter_probe_overhead_seconds_count") - run.last.sum(
            "redis_exporter_probe_overhead_seconds_bucket", le="0.005"
        )
        assert late / len(pairs) > 0.1 * BLOCKED / ROUND, "the loop was not blocked, so nothing was shown"


def test_the_kernel_told_when_the_answers_came(run: Run) -> None:
    kernel = run.last.sum("redis_probe_clock_total", clock="kernel")
    assert kernel >= 0.99 * (kernel + run.last.sum("redis_probe_clock_total", clock="user"))
    answered = [slot for slot in run.slots if slot.received is not None]
    assert sum(slot.clock == "kernel" for slot in answered) >= 0.99 * len(answered)


@pytest.fixture
def echo(stack: ExitStack, tmp_path: Path) -> EchoServer:
    return stack.enter_context(EchoServer(tmp_path / "echo"))


def test_an_answer_in_pieces_ends_with_its_last_piece(
    echo: EchoServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    log = tmp_path / "probe.csv"
    daemon = start_daemon("--probe-log", str(log), config={"probe": PROBE, "targets": targets(echo)})
    daemon.wait_until_up()
    echo.do("pieces", seconds=0.03)
    slots = wait_for_log(log, lambda slots: sum(slot.seconds > 0.03 for slot in of("target-0", slots)) > 5)
    for slot, ping in matched(slots, echo.record()):
        assert ping.left is not None
        assert slot.received is not None
        assert ping.left <= slot.received


def test_a_server_that_swallows_everything_times_out_and_every_ping_has_its_line(
    echo: EchoServer, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    log = tmp_path / "probe.csv"
    config = {"targets": targets(echo)}
    daemon = start_daemon("--probe-log", str(log), config=config)
    first = daemon.wait_until_up()
    echo.do("hang")
    page = daemon.wait_for(lambda page: page.not_sent() >= 3)
    assert set(page.reasons()) == {"timeout"}
    daemon.assert_every_slot_counted(first)
    failed, unsent = page.failures("ping", "timeout"), page.not_sent()
    slots = wait_for_log(log, lambda slots: sum(slot.reason == "timeout" for slot in slots) >= failed)
    hung = [ping for _, ping in matched(slots, echo.record()) if ping.fate == "hang"]
    sent = [slot for slot in slots if slot.reason == "timeout" and slot.sent is not None]
    assert failed - unsent <= len(hung) <= len(sent) + 1
    assert sum(slot.reason == "timeout" and slot.sent is None for slot in slots) >= unsent
