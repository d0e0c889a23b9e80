"""Real servers that stall in different ways: what the histogram, the reasons and the probe log must show.

There are ten pings per second with a deadline of five seconds. So each probe that falls into a stall is a slow sample,
and none is a failure.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.histogram import histogram
from tests.integration.pages import Page
from tests.integration.probe_log import LoggedProbe, wait_for_log
from tests.integration.proxy import Proxy
from tests.integration.servers import RealServer, free_port
from tests.patience import Stopwatch

pytestmark = [pytest.mark.integration, pytest.mark.slow]

INTERVAL = 0.1
PATIENT = {"interval": "100ms", "timeout": "5s"}
#: Seconds. Pings of a healthy server are faster, even on a busy machine.
SLOW = 0.1

Watched = tuple[Daemon, Path]
Start = Callable[..., RealServer]


@pytest.fixture
def watch(start_daemon: Callable[..., Daemon], tmp_path: Path) -> Callable[..., Watched]:
    """Start a daemon that monitors one address. Return it when it is up, and its probe log.

    Polls are so rare that only pings can open the breaker.
    """

    def start(url: str, **settings: Any) -> Watched:
        log = tmp_path / "probe.csv"
        config = {"probe": PATIENT, "poll": {"interval": "60s"}, **settings, "targets": [{"name": "it", "url": url}]}
        daemon = start_daemon("--probe-log", str(log), config=config)
        daemon.wait_until_up()
        return daemon, log

    return start


def between(began: int, ended: int) -> Callable[[list[LoggedProbe]], bool]:
    """Return a condition: all probes that were due between two times (ns of the wall clock) are in the log."""

    def done(probes: list[LoggedProbe]) -> bool:
        due = [probe.due for probe in probes]
        return (
            max(due) > ended
            and len([one for one in due if began < one < ended]) >= (ended - began) / 1e9 / INTERVAL - 2
        )

    return done


def written_until(moment: int) -> Callable[[list[LoggedProbe]], bool]:
    """Return a condition: a probe that was due after a time (ns of the wall clock) is in the log."""
    return lambda probes: max(probe.due for probe in probes) > moment


def count_slower(page: Page, bound: float) -> int:
    """Return how many pings took longer than a bound of the histogram."""
    return sum(count for upper, count in zip(*histogram(page, "it"), strict=True) if upper > bound)


def assert_shows_stall(daemon: Daemon, log: Path, first: Page, began: int, ended: int, watch: Stopwatch) -> None:
    """Assert one sample per probe that fell into the stall, as long as the rest of the stall. No probe failed.

    The time since the creation of ``watch`` for which processes waited for a core may make the stall longer.
    """
    probes = wait_for_log(log, between(began, ended + 200_000_000))
    page = daemon.wait_for(lambda page: page.value("redis_operations_in_flight", operation="ping") == 0)
    assert page.reasons() == first.reasons()
    stall = (ended - began) / 1e9
    slow = sorted(
        (probe for probe in probes if probe.outcome == "success" and probe.seconds > SLOW), key=lambda one: one.due
    )
    assert -2 <= len(slow) - (stall - SLOW) / INTERVAL <= 2 + watch.delay / INTERVAL, [probe.seconds for probe in slow]
    assert -INTERVAL - 0.1 <= slow[0].seconds - stall <= INTERVAL + 0.1 + watch.delay
    ends = [probe.received for probe in slow if probe.received]
    assert (max(ends) - min(ends)) / 1e9 < 0.05 + watch.delay, "all ended with the stall"
    assert count_slower(page, SLOW) - count_slower(first, SLOW) == len(slow)
    assert page.breaker() == "closed"


def test_paused_server_shows_every_probe_of_the_pause(server: RealServer, watch: Callable[..., Watched]) -> None:
    daemon, log = watch(server.url)
    first = daemon.page()
    began, stopwatch = time.time_ns(), Stopwatch()
    server.run("CLIENT", "PAUSE", 2000, "ALL")
    assert_shows_stall(daemon, log, first, began, began + 2_000_000_000, stopwatch)


def test_sleeping_server_shows_every_probe_of_its_sleep(
    software: str, start_server: Start, watch: Callable[..., Watched]
) -> None:
    server = start_server(software, enable_debug_command="local")
    daemon, log = watch(server.url)
    first = daemon.page()
    began, stopwatch = time.time_ns(), Stopwatch()
    server.run("DEBUG", "SLEEP", "1.2")
    assert_shows_stall(daemon, log, first, began, time.time_ns(), stopwatch)


def test_frozen_server_has_timeouts_slow_replies_and_late_replies(
    server: RealServer, watch: Callable[..., Watched]
) -> None:
    """Frozen for 3 s with a deadline of 1 s: 20 timeouts, observed at 1 s. The 10 probes after them are slow."""
    daemon, log = watch(server.url, probe={"interval": "100ms", "timeout": "1s"}, breaker={"force": "closed"})
    first = daemon.page()
    began, stopwatch = time.time_ns(), Stopwatch()
    server.freeze()
    time.sleep(3)
    server.thaw()
    ended = time.time_ns()
    probes = wait_for_log(log, between(began, ended + 200_000_000))
    page = daemon.wait_for(lambda page: page.value("redis_operations_in_flight", operation="ping") == 0)
    timeouts = [probe for probe in probes if probe.reason == "timeout"]
    frozen = (ended - began) / 1e9
    tolerance = 2 + stopwatch.delay / INTERVAL
    assert abs(len(timeouts) - (frozen - 1) / INTERVAL) <= tolerance
    assert page.reasons() == {**first.reasons(), "timeout": len(timeouts)}
    assert page.value("redis_late_replies_total") == len(timeouts), "each was answered in the end"
    slow = [probe for probe in probes if probe.outcome == "success" and probe.seconds > SLOW]
    assert abs(len(slow) - (1 - SLOW) / INTERVAL) <= tolerance
    assert count_slower(page, SLOW) - count_slower(first, SLOW) == len(slow) + len(timeouts), (
        "a timeout is observed at its deadline"
    )
    assert count_slower(page, 1.0) == 0, "and at no longer duration"


def test_script_that_runs_too_long_is_busy_and_no_latency(server: RealServer, watch: Callable[..., Watched]) -> None:
    server.run("CONFIG", "SET", "lua-time-limit", "200")
    daemon, log = watch(server.url, breaker={"force": "closed"})
    first = daemon.page()
    script = threading.Thread(target=_run_endless_script, args=(server,))
    began, stopwatch = time.time_ns(), Stopwatch()
    script.start()
    time.sleep(1.5)
    server.run("SCRIPT", "KILL")
    ended = time.time_ns()
    script.join()
    probes = wait_for_log(log, between(began, ended + 200_000_000))
    page = daemon.wait_for(lambda page: page.value("redis_operations_in_flight", operation="ping") == 0)
    busy = [probe for probe in probes if probe.reason == "busy"]
    assert page.reasons() == {**first.reasons(), "busy": len(busy)}
    assert abs(len(busy) - (ended - began) / 1e9 / INTERVAL) <= 2 + stopwatch.delay / INTERVAL
    assert count_slower(page, 0.0) == page.operations() - page.failures("ping"), "an error reply is no sample"


def _run_endless_script(server: RealServer) -> None:
    import redis

    with redis.Redis(port=server.port, socket_timeout=10) as client, pytest.raises(redis.ResponseError):
        client.eval("while true do end", 0)


def test_consecutive_scripts_delay_every_ping(start_server: Start, watch: Callable[..., Watched]) -> None:
    """The server is never idle, so each ping waits for the rest of the script that runs."""
    server = start_server()
    daemon, log = watch(server.url)
    first = daemon.page()
    spin = "local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i % 7 end return n"
    began, stopwatch = time.monotonic(), Stopwatch()
    server.admin.eval(spin, 0, 1_000_000)
    rounds = int(1_000_000 * 0.03 / (time.monotonic() - began))
    durations = []
    while time.monotonic() < began + 2.5:
        start = time.monotonic()
        server.admin.eval(spin, 0, rounds)
        durations.append(time.monotonic() - start)
    page = daemon.page()
    probes = wait_for_log(
        log, lambda probes: sum(probe.outcome == "success" for probe in probes) >= count_slower(page, 0.0)
    )
    assert page.reasons() == first.reasons()
    latencies = sorted(probe.seconds for probe in probes if probe.outcome == "success")
    assert latencies[-1] < 2 * max(durations) + 0.02 + stopwatch.delay
    assert count_slower(page, 0.002) - count_slower(first, 0.002) >= 0.5 * (page.operations() - first.operations())


def test_fork_of_a_large_process_delays_the_pings_during_the_fork(
    start_server: Start, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """There are 1500 pings per second. The first ping that a fork delays waits for nearly all of the fork.

    Pings are not evenly spread. So that ping may come later by up to the widest gap between two pings.
    """
    server = start_server(enable_debug_command="local", rdbcompression="no")
    server.run("DEBUG", "POPULATE", 1_000_000, "key", 100)
    log = tmp_path / "probe.csv"
    many = [{"name": f"it-{number}", "url": f"{server.url}/{number}"} for number in range(15)]
    config = {"probe": {"interval": "10ms", "timeout": "1s"}, "poll": {"interval": "60s"}, "targets": many}
    daemon = start_daemon("--probe-log", str(log), config=config)
    for target in many:
        daemon.wait_until_up(target["name"])
    for _ in range(10):
        began = time.time_ns()
        server.run("BGSAVE")
        ended = time.time_ns()
        fork = server.admin.info("stats")["latest_fork_usec"] / 1e6
        probes = wait_for_log(log, written_until(ended + 100_000_000))
        sent = sorted(
            probe.sent for probe in probes if probe.sent and began - 20_000_000 < probe.sent < ended + 20_000_000
        )
        gap = max(later - earlier for earlier, later in pairwise(sent)) / 1e9
        during_fork = [
            probe for probe in probes if probe.sent and probe.received and probe.received > began and probe.sent < ended
        ]
        longest = max(probe.seconds for probe in during_fork)
        print(f"fork {fork * 1000:.2f} ms, widest gap {gap * 1000:.2f} ms, longest ping {longest * 1000:.2f} ms")
        assert longest >= 0.9 * fork - gap
        assert all(probe.outcome == "success" for probe in during_fork)
        if gap < 0.8 * fork:
            return
        while server.admin.info("persistence")["rdb_bgsave_in_progress"]:
            time.sleep(0.1)
    pytest.fail("the pings were never close enough to each other to show anything")


@pytest.fixture
def through_proxy(stack: ExitStack, start_server: Start, watch: Callable[..., Watched]) -> tuple[Proxy, Daemon, Path]:
    """A healthy server that is monitored through a proxy."""
    proxy = stack.enter_context(Proxy(start_server().port, free_port()))
    return proxy, *watch(f"redis://127.0.0.1:{proxy.port}", breaker={"force": "closed"})


def test_network_delay_of_50_ms_is_in_the_bucket_above_50_ms(through_proxy: tuple[Proxy, Daemon, Path]) -> None:
    proxy, daemon, log = through_proxy
    proxy.delay = 0.05
    began, stopwatch = time.time_ns() + 100_000_000, Stopwatch()
    first = daemon.wait_for(lambda page: page.requested_at)
    probes = wait_for_log(log, between(began, began + 2_000_000_000))
    last = daemon.page()
    delayed = [probe for probe in probes if probe.due > began and probe.outcome == "success"]
    assert min(probe.seconds for probe in delayed) >= 0.05
    assert sorted(probe.seconds for probe in delayed)[len(delayed) // 2] < 0.1 + stopwatch.delay
    assert count_slower(last, 0.05) - count_slower(first, 0.05) >= len(delayed)
    assert last.reasons() == first.reasons()


@pytest.mark.parametrize("fault", ["reset", "half_close"])
def test_pings_in_flight_when_a_connection_ends_are_failures(
    through_proxy: tuple[Proxy, Daemon, Path], fault: str
) -> None:
    proxy, daemon, log = through_proxy
    first = daemon.page()
    proxy.delay = 30.0
    hung = daemon.wait_for(lambda page: (page.value("redis_operations_in_flight", operation="ping") or 0) >= 10)
    proxy.delay = 0.0
    getattr(proxy, fault)()
    last = daemon.wait_for(lambda page: page.up() == 1 and page.failures("ping", "reset") > 0)
    assert set(last.reasons()) - set(first.reasons()) == {"reset"}
    lost = last.failures("ping", "reset")
    assert lost >= (hung.value("redis_operations_in_flight", operation="ping") or 0)
    assert count_slower(last, SLOW) == count_slower(first, SLOW), "a ping without a reply has no latency"
    probes = wait_for_log(log, lambda probes: sum(probe.reason == "reset" for probe in probes) >= lost)
    assert all(probe.received is None for probe in probes if probe.reason == "reset")
