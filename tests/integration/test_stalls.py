"""Real servers that stall, each in its own way: what the histogram, the reasons and the log must say of it.

Ten pings a second that may take five seconds: a stall is as many slow samples as slots fell into it, and no failure.
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

pytestmark = pytest.mark.integration

INTERVAL = 0.1
PATIENT = {"interval": "100ms", "timeout": "5s"}
#: Seconds; healthy pings of a busy machine are faster.
SLOW = 0.1

Watched = tuple[Daemon, Path]
Start = Callable[..., RealServer]


@pytest.fixture
def watch(start_daemon: Callable[..., Daemon], tmp_path: Path) -> Callable[..., Watched]:
    """Watch one address: a daemon that is up, and its probe log. Nothing but a ping can open the breaker, or none."""

    def start(url: str, **settings: Any) -> Watched:
        log = tmp_path / "probe.csv"
        config = {"probe": PATIENT, "poll": {"interval": "60s"}, **settings, "targets": [{"name": "it", "url": url}]}
        daemon = start_daemon("--probe-log", str(log), config=config)
        daemon.wait_until_up()
        return daemon, log

    return start


def between(began: int, ended: int) -> Callable[[list[LoggedProbe]], bool]:
    """Every slot that was due between two moments (ns of the wall clock) has ended and is written down."""

    def done(slots: list[LoggedProbe]) -> bool:
        due = [slot.due for slot in slots]
        return (
            max(due) > ended
            and len([one for one in due if began < one < ended]) >= (ended - began) / 1e9 / INTERVAL - 2
        )

    return done


def written_until(moment: int) -> Callable[[list[LoggedProbe]], bool]:
    """Some slot that was due after a moment (ns of the wall clock) is written down."""
    return lambda slots: max(slot.due for slot in slots) > moment


def slower(page: Page, edge: float) -> int:
    """Return how many pings took longer than an edge of the histogram."""
    return sum(count for upper, count in zip(*histogram(page, "it"), strict=True) if upper > edge)


def assert_shows_stall(daemon: Daemon, log: Path, first: Page, began: int, ended: int) -> None:
    """One sample for every slot that fell into the stall, as long as what was left of it; nothing failed."""
    slots = wait_for_log(log, between(began, ended + 200_000_000))
    page = daemon.wait_for(lambda page: page.value("redis_operations_in_flight", operation="ping") == 0)
    assert page.reasons() == first.reasons()
    stall = (ended - began) / 1e9
    slow = sorted(
        (slot for slot in slots if slot.outcome == "success" and slot.seconds > SLOW), key=lambda one: one.due
    )
    assert abs(len(slow) - (stall - SLOW) / INTERVAL) <= 2, [slot.seconds for slot in slow]
    assert slow[0].seconds == pytest.approx(stall, abs=INTERVAL + 0.1)
    ends = [slot.received for slot in slow if slot.received]
    assert (max(ends) - min(ends)) / 1e9 < 0.05, "all of them ended when the stall did"
    assert slower(page, SLOW) - slower(first, SLOW) == len(slow)
    assert page.breaker() == "closed"


def test_a_paused_server_shows_every_slot_of_the_pause(server: RealServer, watch: Callable[..., Watched]) -> None:
    daemon, log = watch(server.url)
    first = daemon.page()
    began = time.time_ns()
    server.run("CLIENT", "PAUSE", 2000, "ALL")
    assert_shows_stall(daemon, log, first, began, began + 2_000_000_000)


def test_a_sleeping_server_shows_every_slot_of_its_sleep(
    software: str, start_server: Start, watch: Callable[..., Watched]
) -> None:
    server = start_server(software, enable_debug_command="local")
    daemon, log = watch(server.url)
    first = daemon.page()
    began = time.time_ns()
    server.run("DEBUG", "SLEEP", "1.2")
    assert_shows_stall(daemon, log, first, began, time.time_ns())


def test_a_frozen_server_times_out_or_is_slow_and_late_replies_are_counted_apart(
    server: RealServer, watch: Callable[..., Watched]
) -> None:
    """Frozen for 3 s with a deadline of 1 s: 20 timeouts, observed there; the 10 slots after them are slow answers."""
    daemon, log = watch(server.url, probe={"interval": "100ms", "timeout": "1s"}, breaker={"force": "closed"})
    first = daemon.page()
    began = time.time_ns()
    server.freeze()
    time.sleep(3)
    server.thaw()
    ended = time.time_ns()
    slots = wait_for_log(log, between(began, ended + 200_000_000))
    page = daemon.wait_for(lambda page: page.value("redis_operations_in_flight", operation="ping") == 0)
    timeouts = [slot for slot in slots if slot.reason == "timeout"]
    frozen = (ended - began) / 1e9
    assert abs(len(timeouts) - (frozen - 1) / INTERVAL) <= 2
    assert page.reasons() == {**first.reasons(), "timeout": len(timeouts)}
    assert page.value("redis_late_replies_total") == len(timeouts), "every one of them was answered at last"
    slow = [slot for slot in slots if slot.outcome == "success" and slot.seconds > SLOW]
    assert abs(len(slow) - (1 - SLOW) / INTERVAL) <= 2
    assert slower(page, SLOW) - slower(first, SLOW) == len(slow) + len(timeouts), (
        "a timeout is observed at its deadline"
    )
    assert slower(page, 1.0) == 0, "and not later"


def test_a_script_that_runs_too_long_is_busy_and_no_latency(server: RealServer, watch: Callable[..., Watched]) -> None:
    server.run("CONFIG", "SET", "lua-time-limit", "200")
    daemon, log = watch(server.url, breaker={"force": "closed"})
    first = daemon.page()
    guest = threading.Thread(target=_run_for_ever, args=(server,))
    began = time.time_ns()
    guest.start()
    time.sleep(1.5)
    server.run("SCRIPT", "KILL")
    ended = time.time_ns()
    guest.join()
    slots = wait_for_log(log, between(began, ended + 200_000_000))
    page = daemon.wait_for(lambda page: page.value("redis_operations_in_flight", operation="ping") == 0)
    busy = [slot for slot in slots if slot.reason == "busy"]
    assert page.reasons() == {**first.reasons(), "busy": len(busy)}
    assert abs(len(busy) - (ended - began) / 1e9 / INTERVAL) <= 2
    assert slower(page, 0.0) == page.slots() - page.failures("ping"), "a refusal is no sample"


def _run_for_ever(server: RealServer) -> None:
    import redis

    with redis.Redis(port=server.port, socket_timeout=10) as guest, pytest.raises(redis.ResponseError):
        guest.eval("while true do end", 0)


def test_scripts_one_after_the_other_are_felt_by_every_ping(start_server: Start, watch: Callable[..., Watched]) -> None:
    """A server that is never idle: a ping waits for what is left of the script that runs."""
    server = start_server()
    daemon, log = watch(server.url)
    first = daemon.page()
    spin = "local n = 0 for i = 1, tonumber(ARGV[1]) do n = n + i % 7 end return n"
    began = time.monotonic()
    server.admin.eval(spin, 0, 1_000_000)
    rounds = int(1_000_000 * 0.03 / (time.monotonic() - began))
    lengths = []
    while time.monotonic() < began + 2.5:
        start = time.monotonic()
        server.admin.eval(spin, 0, rounds)
        lengths.append(time.monotonic() - start)
    page = daemon.page()
    slots = wait_for_log(log, lambda slots: sum(slot.outcome == "success" for slot in slots) >= slower(page, 0.0))
    assert page.reasons() == first.reasons()
    felt = sorted(slot.seconds for slot in slots if slot.outcome == "success")
    assert felt[-1] < 2 * max(lengths) + 0.02
    assert slower(page, 0.002) - slower(first, 0.002) >= 0.5 * (page.slots() - first.slots())


def test_a_fork_of_much_memory_is_felt_by_the_pings_that_met_it(
    start_server: Start, start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    """Of 1500 pings a second, the first one that a fork stopped waited for nearly all of it.

    Pings are not evenly spread: that ping may come as late as the widest gap between two of them.
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
        slots = wait_for_log(log, written_until(ended + 100_000_000))
        sent = sorted(slot.sent for slot in slots if slot.sent and began - 20_000_000 < slot.sent < ended + 20_000_000)
        gap = max(later - earlier for earlier, later in pairwise(sent)) / 1e9
        met = [slot for slot in slots if slot.sent and slot.received and slot.received > began and slot.sent < ended]
        longest = max(slot.seconds for slot in met)
        print(f"a fork of {fork * 1000:.2f} ms, pings at most {gap * 1000:.2f} ms apart: {longest * 1000:.2f} ms")
        assert longest >= 0.9 * fork - gap
        assert all(slot.outcome == "success" for slot in met)
        if gap < 0.8 * fork:
            return
        while server.admin.info("persistence")["rdb_bgsave_in_progress"]:
            time.sleep(0.1)
    pytest.fail("the pings were never close enough to each other to say anything")


@pytest.fixture
def way(stack: ExitStack, start_server: Start, watch: Callable[..., Watched]) -> tuple[Proxy, Daemon, Path]:
    """A healthy server watched through a proxy."""
    proxy = stack.enter_context(Proxy(start_server().port, free_port()))
    return proxy, *watch(f"redis://127.0.0.1:{proxy.port}", breaker={"force": "closed"})


def test_a_way_of_50_ms_is_in_the_bucket_above_50_ms(way: tuple[Proxy, Daemon, Path]) -> None:
    proxy, daemon, log = way
    proxy.delay = 0.05
    began = time.time_ns() + 100_000_000
    first = daemon.wait_for(lambda page: page.asked)
    slots = wait_for_log(log, between(began, began + 2_000_000_000))
    last = daemon.page()
    delayed = [slot for slot in slots if slot.due > began and slot.outcome == "success"]
    assert min(slot.seconds for slot in delayed) >= 0.05
    assert sorted(slot.seconds for slot in delayed)[len(delayed) // 2] < 0.1
    assert slower(last, 0.05) - slower(first, 0.05) >= len(delayed)
    assert last.reasons() == first.reasons()


@pytest.mark.parametrize("fault", ["reset", "half_close"])
def test_pings_under_way_when_a_connection_ends_are_failures_and_no_latency(
    way: tuple[Proxy, Daemon, Path], fault: str
) -> None:
    proxy, daemon, log = way
    first = daemon.page()
    proxy.delay = 30.0
    hung = daemon.wait_for(lambda page: (page.value("redis_operations_in_flight", operation="ping") or 0) >= 10)
    proxy.delay = 0.0
    getattr(proxy, fault)()
    last = daemon.wait_for(lambda page: page.up() == 1 and page.failures("ping", "reset") > 0)
    assert set(last.reasons()) - set(first.reasons()) == {"reset"}
    lost = last.failures("ping", "reset")
    assert lost >= (hung.value("redis_operations_in_flight", operation="ping") or 0)
    assert slower(last, SLOW) == slower(first, SLOW), "what was never answered has no latency"
    slots = wait_for_log(log, lambda slots: sum(slot.reason == "reset" for slot in slots) >= lost)
    assert all(slot.received is None for slot in slots if slot.reason == "reset")
