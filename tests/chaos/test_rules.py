"""Each rule of the chaos checker fires on what it forbids, and is silent on what is right."""

import re
from collections.abc import Iterable

import pytest

from chaos import rules
from chaos.daemon import Usage, line_of
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
    answered: float = 97,
    timeouts: float = 1,
    skipped: float = 1,
    in_flight: float = 1,
    up: int = 1,
    uptime: float | None = 50,
    commands: float = 7,
    address: str = "127.0.0.1:1",
) -> Page:
    """A good page of one target, asked for at a moment and answered 0.1 s later."""
    lines = [
        f'redis_up{{target="{target}"}} {up}',
        f'redis_operations_total{{target="{target}",operation="ping"}} {pings}',
        f'redis_operation_duration_seconds_count{{target="{target}",operation="ping"}} {answered + timeouts}',
        f'redis_operation_failures_total{{target="{target}",operation="ping",reason="timeout"}} {timeouts}',
        f'redis_operation_failures_total{{target="{target}",operation="ping",reason="skipped"}} {skipped}',
        f'redis_operations_in_flight{{target="{target}",operation="ping"}} {in_flight}',
        f'redis_commands_processed_total{{target="{target}"}} {commands}',
        f'redis_target_info{{target="{target}",address="{address}"}} 1',
    ]
    if uptime is not None:
        lines.append(f'redis_uptime_in_seconds{{target="{target}"}} {uptime}')
    return Page(TYPES + "\n".join(lines) + "\n", at, at + 0.1)


def one(found: Iterable[str], *words: str) -> None:
    """Exactly one thing is wrong, and it is told with these words."""
    (text,) = found
    for word in words:
        assert re.search(word, text), text


def none(found: Iterable[str]) -> None:
    assert list(found) == []


def test_well_formed() -> None:
    none(rules.well_formed(page()))
    one(rules.well_formed(Page("a 1\na 1\n")), "twice: a 1")
    one(rules.well_formed(Page("what?\n")), r"cannot be read: what\?")


def test_a_ping_has_exactly_one_outcome() -> None:
    none(rules.books(page(), ["a"], {}))
    none(rules.books(page(in_flight=0, answered=98), ["a"], {}))
    one(rules.books(page(pings=101), ["a"], {}), "^a:", r"\+1", "without an outcome")
    one(rules.books(page(answered=99), ["a"], {}), "^a:", "-2", "too many")


def test_a_ping_that_was_lost_is_told_once() -> None:
    none(rules.books(page(pings=101), ["a"], {"a": 1}))
    one(rules.books(page(pings=102), ["a"], {"a": 1}), r"\+2")
    none(rules.books(page(), ["a"], {"a": 1}))


def test_a_ping_that_was_not_sent_is_no_second_outcome() -> None:
    """It is counted under the reason that opened the breaker; the counter beside it only says how many."""
    text = page(answered=95).text + (
        'redis_operation_failures_total{target="a",operation="ping",reason="refused"} 2\n'
        'redis_pings_not_sent_total{target="a"} 2\n'
    )
    none(rules.books(Page(text), ["a"], {}))


@pytest.mark.parametrize(
    ("seconds", "grown", "right"), [(60, 60, 1), (60, 61, 1), (60, 59, 1), (60, 62, 0), (60, 58, 0)]
)
def test_pings_are_elapsed_seconds_one_more_or_less(seconds: int, grown: int, right: int) -> None:
    found = rules.schedule(page(100), page(100 + seconds, pings=100 + grown), "a", 1.0)
    none(found) if right else one(found, f"^a: {grown} pings in 59.9 to 60.1 s")


def test_a_slow_request_widens_what_is_allowed() -> None:
    first, last = page(100), page(160, pings=163)
    one(rules.schedule(first, last, "a", 1.0), "63 pings")
    last.answered = 162.0
    none(rules.schedule(first, last, "a", 1.0))


def test_few_pings_are_skipped_unless_the_machine_was_late() -> None:
    none(rules.punctual(page(skipped=3), {"a": 1}, 1.0, late=0.0))
    one(rules.punctual(page(skipped=6), {"a": 1}, 1.0, late=0.0), "^a: 5 pings skipped")
    none(rules.punctual(page(skipped=6), {"a": 1}, 1.0, late=2.0))
    none(rules.punctual(page(skipped=6), {}, 1.0, late=0.0))


def test_redis_up_is_what_a_plain_client_finds() -> None:
    none(rules.up(page(), {"a": "up"}))
    none(rules.up(page(up=0), {"a": "refused"}))
    one(rules.up(page(), {"a": "refused"}), "^a: redis_up is 1", "127.0.0.1:1 finds: refused")
    one(rules.up(page(up=0), {"a": "up"}), "redis_up is 0", "finds: up")


def test_counters_never_decrease() -> None:
    none(rules.never_less(page(), page(pings=101), own=True))
    one(rules.never_less(page(), page(pings=1), own=True), "redis_operations_total", "from 100 to 1")
    none(rules.never_less(page(), page(pings=1), own=True, but=["a"]))
    none(rules.never_less(page(), page(pings=1), own=False))


def test_counters_of_histograms_never_decrease_and_gauges_may() -> None:
    one(rules.never_less(page(), page(answered=1), own=True), "duration_seconds_count")
    none(rules.never_less(page(), page(in_flight=0, up=0, uptime=1), own=True))


def test_counters_of_a_server_never_decrease_in_a_quiet_period() -> None:
    one(rules.never_less(page(), page(commands=3), own=False), "redis_commands_processed_total")
    none(rules.never_less(page(), page(commands=3), own=True))


def test_every_declared_target_is_watched_and_no_other() -> None:
    none(rules.present(page(), ["a"]))
    one(rules.present(page(), ["a", "b"]), "^b: is declared and not watched")
    one(rules.present(page(), []), "^a: is not declared any more and has 9 series")


def test_a_target_of_which_only_some_series_are_left_is_not_watched() -> None:
    one(rules.present(Page('redis_target_info{target="a",address="x"} 1\n'), ["a"]), "^a: is declared and not watched")


def test_every_target_is_where_it_ought_to_be() -> None:
    none(rules.placed(page(), {"a": "127.0.0.1:1"}))
    none(rules.placed(page(), {"a": None}))
    one(rules.placed(page(), {"a": "127.0.0.1:2"}), "^a: is watched at 127.0.0.1:1, and ought to be at 127.0.0.1:2")
    both = Page(page().text + page(target="b").text)
    one(rules.placed(both, {"a": None, "b": None}), "127.0.0.1:1 is watched by", "a", "b")


def test_no_series_is_frozen() -> None:
    before = page(100)
    none(rules.alive(before, page(105, pings=105, uptime=55), {"a": "up"}))
    one(rules.alive(before, page(105, uptime=55), {"a": "up"}), "^a: not one ping in")
    one(rules.alive(before, page(105, uptime=55), {"a": "refused"}), "^a: not one ping in")
    one(rules.alive(before, page(105, pings=105), {"a": "up"}), "redis_uptime_in_seconds stands at 50")
    one(rules.alive(before, page(105, pings=105, uptime=None), {"a": "up"}), "no samples of INFO")
    none(rules.alive(before, page(105, pings=105), {"a": "refused"}))


def test_samples_of_a_dead_server_go() -> None:
    none(rules.gone(page(uptime=None), ["a"]))
    one(rules.gone(page(), ["a"]), "^a: is down")


LOST = "timestamp=x level=warning logger=target event=lost target=a address=127.0.0.1:1 reason=refused"
QUOTED = 'timestamp=x level=info logger=target event="circuit breaker closed" target="b c" address=x'
OWN = "timestamp=x level=info logger=daemon event=listening port=1"


def test_a_log_line_is_of_its_target() -> None:
    assert line_of(LOST, 1.0).target == "a"
    assert line_of(QUOTED, 1.0).target == "b c"
    assert line_of(OWN, 1.0).target == ""


def test_at_most_two_log_lines_a_target_and_change() -> None:
    lines = [line_of(text, 1.0) for text in (LOST, LOST, QUOTED)]
    none(rules.log_lines(lines, {"a": 1, "b c": 1}, events=1, reloads=0))
    one(rules.log_lines([*lines, lines[0]], {"a": 1, "b c": 1}, events=1, reloads=0), "^a: 3 log lines of 1 changes")
    none(rules.log_lines([*lines, lines[0]], {"a": 1, "b c": 1}, events=1, reloads=0, stalls=1))
    one(rules.log_lines(lines, {"a": 1}, events=1, reloads=0), "^b c: 1 log lines of 0 changes")


def test_few_log_lines_of_the_daemon_itself() -> None:
    lines = [line_of(OWN, 1.0)] * 10
    none(rules.log_lines(lines, {}, events=1, reloads=0))
    none(rules.log_lines([*lines, lines[0]], {}, events=1, reloads=1))
    one(rules.log_lines([*lines, lines[0]], {}, events=1, reloads=0), "11 log lines of no target", "10 x|11 x")


def test_the_log_never_tells_of_a_fault_of_ours() -> None:
    line = line_of('logger=asyncio event="Task exception was never retrieved"', 1.0)
    one(rules.log_lines([line, line], {}, events=1, reloads=0), "fault of ours: .*never retrieved")


def test_what_the_process_holds_is_level() -> None:
    first = Usage(80, 4, 70.0, 60)
    none(rules.level([first]))
    none(rules.level([first, Usage(85, 8, 90.0, 65)]))
    one(rules.level([first, first._replace(descriptors=120)]), "descriptors grew from 80 to 120")
    one(rules.level([first, first._replace(threads=20)]), "threads grew")
    one(rules.level([first, first._replace(megabytes=140)]), "memory grew")
    one(rules.level([first, first._replace(tasks=200)]), "tasks grew")
    none(rules.level([first, first._replace(descriptors=120), first]))


def test_sigterm_ends_it_in_time() -> None:
    none(rules.stopped(0, 1.0, 5.0))
    one(rules.stopped(1, 1.0, 5.0), "exit code 1")
    one(rules.stopped(0, 6.0, 5.0), r"took 6\.0 s")
    one(rules.stopped(None, 15.0, 5.0), "did not end")
