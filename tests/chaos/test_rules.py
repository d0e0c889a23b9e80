"""Each rule of the chaos checker reports what it forbids, and nothing else."""

import re
from collections.abc import Iterable

import pytest

from chaos import rules
from chaos.daemon import Usage, parse_log_line
from chaos.page import Page

TYPES = """\
# TYPE redis_up gauge
# TYPE redis_operations_total counter
# TYPE redis_operation_failures_total counter
# TYPE redis_operation_duration_seconds histogram
# TYPE redis_operations_in_flight gauge
# TYPE redis_commands_processed_total counter
# TYPE redis_uptime_in_seconds gauge
# TYPE redis_target_info gauge
"""


def page(
    at: float = 100.0,
    *,
    target: str = "a",
    pings: float = 100,
    successes: float = 97,
    timeouts: float = 1,
    skipped: float = 1,
    in_flight: float = 1,
    up: int = 1,
    uptime: float | None = 50,
    commands: float = 7,
    address: str = "127.0.0.1:1",
) -> Page:
    """Return a page of one target without any problem. It was requested at ``at`` and received 0.1 s later."""
    lines = [
        f'redis_up{{target="{target}"}} {up}',
        f'redis_operations_total{{target="{target}",operation="ping"}} {pings}',
        f'redis_operation_duration_seconds_count{{target="{target}",operation="ping"}} {successes + timeouts}',
        f'redis_operation_failures_total{{target="{target}",operation="ping",reason="timeout"}} {timeouts}',
        f'redis_operation_failures_total{{target="{target}",operation="ping",reason="skipped"}} {skipped}',
        f'redis_operations_in_flight{{target="{target}",operation="ping"}} {in_flight}',
        f'redis_commands_processed_total{{target="{target}"}} {commands}',
        f'redis_target_info{{target="{target}",address="{address}"}} 1',
    ]
    if uptime is not None:
        lines.append(f'redis_uptime_in_seconds{{target="{target}"}} {uptime}')
    return Page(TYPES + "\n".join(lines) + "\n", at, at + 0.1)


def assert_problem(problems: Iterable[str], *patterns: str) -> None:
    """Assert that there is exactly one problem, and that its text matches these patterns."""
    (text,) = problems
    for pattern in patterns:
        assert re.search(pattern, text), text


def assert_no_problem(problems: Iterable[str]) -> None:
    assert list(problems) == []


def test_well_formed() -> None:
    assert_no_problem(rules.well_formed(page()))
    assert_problem(rules.well_formed(Page("a 1\na 1\n")), "twice: a 1")
    assert_problem(rules.well_formed(Page("what?\n")), r"cannot be parsed: what\?")


def test_ping_has_exactly_one_outcome() -> None:
    assert_no_problem(rules.accounting(page(), ["a"], {}))
    assert_no_problem(rules.accounting(page(in_flight=0, successes=98), ["a"], {}))
    assert_problem(rules.accounting(page(pings=101), ["a"], {}), "^a:", r"\+1", "without an outcome")
    assert_problem(rules.accounting(page(successes=99), ["a"], {}), "^a:", "-2", "too many")


@pytest.mark.parametrize(
    ("runs", "successes", "refused", "timeouts", "is_right"),
    [
        *((10, 7, 3, 0, True), (11, 7, 3, 0, True), (12, 7, 3, 0, False), (9, 7, 3, 0, False), (10, 7, 0, 0, False)),
        # a timeout after which nothing was observed, one that was observed, and one that was not counted
        *((10, 7, 0, 3, True), (10, 10, 0, 3, True), (13, 10, 0, 0, False)),
    ],
)
def test_run_of_a_collector_has_exactly_one_outcome(
    runs: int, successes: int, refused: int, timeouts: int, *, is_right: bool
) -> None:
    labels = 'target="a",operation="info"'
    text = (
        f"redis_operations_total{{{labels}}} {runs}\nredis_operation_duration_seconds_count{{{labels}}} {successes}\n"
    )
    for reason, count in {"refused": refused, "timeout": timeouts}.items():
        text += f'redis_operation_failures_total{{{labels},reason="{reason}"}} {count}\n' if count else ""
    problems = rules.operations_accounting(Page(page().text + text))
    if is_right:
        assert_no_problem(problems)
    else:
        assert_problem(problems, f"a: {runs} runs of info have")


def test_operation_with_a_reason_at_0_is_not_judged() -> None:
    """A page shows the first failures of a reason as 0 for some seconds."""
    labels = 'target="a",operation="info"'
    text = f'redis_operations_total{{{labels}}} 9\nredis_operation_failures_total{{{labels},reason="reset"}} '
    assert_no_problem(rules.operations_accounting(Page(f"{page().text}{text}0\n")))
    assert_problem(rules.operations_accounting(Page(f"{page().text}{text}5\n")), "a: 9 runs of info have")


def test_lost_ping_is_reported_once() -> None:
    assert_no_problem(rules.accounting(page(pings=101), ["a"], {"a": 1}))
    assert_problem(rules.accounting(page(pings=102), ["a"], {"a": 1}), r"\+2")
    assert_no_problem(rules.accounting(page(), ["a"], {"a": 1}))


def test_ping_that_was_not_sent_has_no_second_outcome() -> None:
    """It counts under the reason that opened the breaker. ``redis_pings_not_sent_total`` only gives their number."""
    text = page(successes=95).text + (
        'redis_operation_failures_total{target="a",operation="ping",reason="refused"} 2\n'
        'redis_pings_not_sent_total{target="a"} 2\n'
    )
    assert_no_problem(rules.accounting(Page(text), ["a"], {}))


@pytest.mark.parametrize(
    ("seconds", "grown", "is_right"), [(60, 60, True), (60, 61, True), (60, 59, True), (60, 62, False), (60, 58, False)]
)
def test_number_of_pings_matches_the_seconds_within_one(seconds: int, grown: int, *, is_right: bool) -> None:
    problems = rules.ping_schedule(page(100), page(100 + seconds, pings=100 + grown), "a", 1.0)
    if is_right:
        assert_no_problem(problems)
    else:
        assert_problem(problems, f"^a: {grown} pings in 59.9 to 60.1 s")


def test_slow_request_widens_the_allowed_range() -> None:
    first, last = page(100), page(160, pings=163)
    assert_problem(rules.ping_schedule(first, last, "a", 1.0), "63 pings")
    last.received_at = 162.0
    assert_no_problem(rules.ping_schedule(first, last, "a", 1.0))


def test_few_pings_are_skipped_unless_the_machine_was_late() -> None:
    assert_no_problem(rules.few_skipped_pings(page(skipped=3), {"a": 1}, 1.0, delay=0.0))
    assert_problem(rules.few_skipped_pings(page(skipped=6), {"a": 1}, 1.0, delay=0.0), "^a: 5 pings skipped")
    assert_no_problem(rules.few_skipped_pings(page(skipped=6), {"a": 1}, 1.0, delay=2.0))
    assert_no_problem(rules.few_skipped_pings(page(skipped=6), {}, 1.0, delay=0.0))


def test_redis_up_matches_the_plain_client() -> None:
    assert_no_problem(rules.up_matches_client(page(), {"a": "up"}))
    assert_no_problem(rules.up_matches_client(page(up=0), {"a": "refused"}))
    assert_problem(rules.up_matches_client(page(), {"a": "refused"}), "^a: redis_up is 1", "127.0.0.1:1 gets: refused")
    assert_problem(rules.up_matches_client(page(up=0), {"a": "up"}), "redis_up is 0", "gets: up")


def test_counters_never_decrease() -> None:
    before = page()
    assert_no_problem(rules.counters_never_decrease(before, page(pings=101), by_daemon=True))
    assert_problem(
        rules.counters_never_decrease(before, page(pings=1), by_daemon=True),
        "redis_operations_total",
        "from 100 to 1",
    )
    assert_no_problem(rules.counters_never_decrease(before, page(pings=1), by_daemon=True, except_targets=["a"]))
    assert_no_problem(rules.counters_never_decrease(before, page(pings=1), by_daemon=False))


def test_histograms_never_decrease_but_gauges_may() -> None:
    before = page()
    assert_problem(rules.counters_never_decrease(before, page(successes=1), by_daemon=True), "duration_seconds_count")
    assert_no_problem(rules.counters_never_decrease(before, page(in_flight=0, up=0, uptime=1), by_daemon=True))


def test_counters_of_a_server_never_decrease_in_a_quiet_period() -> None:
    before = page()
    assert_problem(
        rules.counters_never_decrease(before, page(commands=3), by_daemon=False), "redis_commands_processed_total"
    )
    assert_no_problem(rules.counters_never_decrease(before, page(commands=3), by_daemon=True))


def test_every_declared_target_is_watched_and_no_other() -> None:
    assert_no_problem(rules.expected_targets(page(), ["a"]))
    assert_problem(rules.expected_targets(page(), ["a", "b"]), "^b: is declared but not watched")
    assert_problem(rules.expected_targets(page(), []), "^a: is no longer declared but has 9 series")


def test_target_without_redis_up_is_not_watched() -> None:
    text = 'redis_target_info{target="a",address="x"} 1\n'
    assert_problem(rules.expected_targets(Page(text), ["a"]), "^a: is declared but not watched")


def test_every_target_has_its_expected_address() -> None:
    assert_no_problem(rules.expected_addresses(page(), {"a": "127.0.0.1:1"}))
    assert_no_problem(rules.expected_addresses(page(), {"a": None}))
    assert_problem(
        rules.expected_addresses(page(), {"a": "127.0.0.1:2"}), "^a: is watched at 127.0.0.1:1 instead of 127.0.0.1:2"
    )
    both = Page(page().text + page(target="b").text)
    assert_problem(rules.expected_addresses(both, {"a": None, "b": None}), "127.0.0.1:1 is watched by", "a", "b")


def test_no_series_is_frozen() -> None:
    before = page(100)
    assert_no_problem(rules.no_frozen_series(before, page(105, pings=105, uptime=55), {"a": "up"}))
    assert_problem(rules.no_frozen_series(before, page(105, uptime=55), {"a": "up"}), "^a: no ping in")
    assert_problem(rules.no_frozen_series(before, page(105, uptime=55), {"a": "refused"}), "^a: no ping in")
    assert_problem(
        rules.no_frozen_series(before, page(105, pings=105), {"a": "up"}), "redis_uptime_in_seconds stayed at 50"
    )
    assert_problem(
        rules.no_frozen_series(before, page(105, pings=105, uptime=None), {"a": "up"}), "has no samples from INFO"
    )
    assert_no_problem(rules.no_frozen_series(before, page(105, pings=105), {"a": "refused"}))


def test_samples_of_a_server_that_is_down_for_long_are_removed() -> None:
    assert_no_problem(rules.no_stale_samples(page(uptime=None), ["a"]))
    assert_problem(rules.no_stale_samples(page(), ["a"]), "^a: is down")


LOST = "timestamp=x level=warning logger=target event=lost target=a address=127.0.0.1:1 reason=refused"
QUOTED = 'timestamp=x level=info logger=target event="circuit breaker closed" target="b c" address=x'
WITHOUT_TARGET = "timestamp=x level=info logger=daemon event=listening port=1"


def test_target_of_a_log_line_is_parsed() -> None:
    assert parse_log_line(LOST).target == "a"
    assert parse_log_line(QUOTED).target == "b c"
    assert parse_log_line(WITHOUT_TARGET).target == ""


def test_at_most_two_log_lines_for_each_change_of_a_target() -> None:
    lines = [parse_log_line(text) for text in (LOST, LOST, QUOTED)]
    changes = {"a": 1, "b c": 1}
    assert_no_problem(rules.log_lines(lines, changes, events=1, reloads=0))
    more = [*lines, lines[0]]
    assert_problem(rules.log_lines(more, changes, events=1, reloads=0), "^a: 3 log lines for 1 changes")
    assert_no_problem(rules.log_lines(more, changes, events=1, reloads=0, stalls=1))
    slow = parse_log_line('event="slow command" target=a command=keys')
    stall = parse_log_line("event=stall target=a seconds=1.2 cause=command")
    assert_no_problem(rules.log_lines([*lines, *[slow] * 10, stall], changes, events=1, reloads=0))
    assert_problem(rules.log_lines(lines, {"a": 1}, events=1, reloads=0), "^b c: 1 log lines for 0 changes")


def test_few_log_lines_without_a_target() -> None:
    lines = [parse_log_line(WITHOUT_TARGET)] * 10
    assert_no_problem(rules.log_lines(lines, {}, events=1, reloads=0))
    more = [*lines, lines[0]]
    assert_no_problem(rules.log_lines(more, {}, events=1, reloads=1))
    assert_problem(rules.log_lines(more, {}, events=1, reloads=0), "11 log lines without a target", "10 x|11 x")


def test_log_never_shows_a_fault_of_the_daemon() -> None:
    line = parse_log_line('logger=asyncio event="Task exception was never retrieved"')
    assert_problem(rules.log_lines([line, line], {}, events=1, reloads=0), "fault of the daemon: .*never retrieved")


def test_usage_of_the_process_does_not_grow() -> None:
    first = Usage(80, 4, 70.0, 60)
    assert_no_problem(rules.bounded_usage([first]))
    assert_no_problem(rules.bounded_usage([first, Usage(85, 8, 90.0, 65)]))
    assert_problem(rules.bounded_usage([first, first._replace(descriptors=120)]), "descriptors grew from 80 to 120")
    assert_problem(rules.bounded_usage([first, first._replace(threads=20)]), "threads grew")
    assert_problem(rules.bounded_usage([first, first._replace(megabytes=140)]), "memory grew")
    assert_problem(rules.bounded_usage([first, first._replace(tasks=200)]), "tasks grew")
    assert_no_problem(rules.bounded_usage([first, first._replace(descriptors=120), first]))


def test_sigterm_ends_the_process_in_time() -> None:
    assert_no_problem(rules.stopped_in_time(0, 1.0, 5.0))
    assert_problem(rules.stopped_in_time(1, 1.0, 5.0), "exit code 1")
    assert_problem(rules.stopped_in_time(0, 6.0, 5.0), r"took 6\.0 s")
    assert_problem(rules.stopped_in_time(None, 15.0, 5.0), "did not end")
