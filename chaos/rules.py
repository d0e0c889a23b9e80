"""The rules that the daemon's page, log and process must keep. Pure functions: each yields what is wrong, in words."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chaos.daemon import Line, Usage
from chaos.page import Page, Series

PING = "ping"
#: Counters that the daemon counts itself. All others come from a server, which may restart.
OWN = (
    *("redis_operation", "redis_late_replies", "redis_probe_clock", "redis_circuit_breaker", "redis_connect_phase"),
    *("redis_exporter_", "redis_pings_not_sent", "redis_sentinel_failovers", "redis_sentinel_master_missing"),
    *("redis_cluster_topology_changes", "process_cpu", "python_gc"),
)
#: Slots by which the pings of a target may differ from the seconds that passed.
SLOTS = 1.0
#: Pings of a target that the daemon may skip between two quiet periods.
SKIPS = 2
#: Log lines of a target for each change, of the daemon itself for each event, and for each reload.
LINES_A_CHANGE, LINES_AN_EVENT, LINES_A_RELOAD = 2, 10, 3
#: What no log line may hold: it is a fault of ours, whatever happened.
UGLY = ("Traceback (most recent call last)", "was never retrieved", "was never awaited", "Task was destroyed")


def well_formed(page: Page) -> Iterator[str]:
    """No line of the page is unreadable, and no series stands twice."""
    for line in page.unreadable[:3]:
        yield f"a line of the page cannot be read: {line}"
    for line in page.twice[:3]:
        yield f"a series stands twice: {line}"


def is_own(series: Series) -> bool:
    """Tell whether the daemon counts it, and no server."""
    return series[0].startswith(OWN)


def _counts(page: Page, series: Series) -> bool:
    name = series[0]
    return page.kind(name) == "counter" or (
        page.kind(name) in {"histogram", "summary"} and name.endswith(("_bucket", "_count", "_sum"))
    )


def never_less(before: Page, after: Page, *, own: bool, but: Iterable[str] = ()) -> Iterator[str]:
    """No counter is less than it was; ``but`` of these targets. ``own``: those of the daemon, or those of servers."""
    left_out = set(but)
    worst: dict[str, str] = {}
    for series, value in after.samples.items():
        was = before.samples.get(series)
        if was is None or value >= was or is_own(series) is not own or not _counts(after, series):
            continue
        target = dict(series[1]).get("target", "")
        if target not in left_out:
            worst.setdefault(target, f"{series[0]}{dict(series[1])} went from {was:g} to {value:g}")
    yield from worst.values()


def slots(page: Page, target: str) -> float:
    """Return how many pings of a target were scheduled."""
    return page.sum("redis_operations_total", operation=PING, target=target)


def gap(page: Page, target: str) -> float:
    """Return the pings of a target that have no outcome and are not in flight; it must be 0.

    A timeout is a failure, and is observed in the histogram too, at its deadline. A ping that was not sent because
    the breaker was open is one failure, under its reason, and nothing else.
    """
    of = {"operation": PING, "target": target}
    failures = page.sum("redis_operation_failures_total", **of)
    timeouts = page.sum("redis_operation_failures_total", reason="timeout", **of)
    successes = page.sum("redis_operation_duration_seconds_count", **of) - timeouts
    return slots(page, target) - successes - failures - page.sum("redis_operations_in_flight", **of)


def books(page: Page, targets: Iterable[str], told: Mapping[str, float]) -> Iterator[str]:
    """Every ping of every target has exactly one outcome, or is in flight. ``told``: what was said of it before."""
    for target in sorted(targets):
        missing = gap(page, target)
        if missing and missing != told.get(target):
            what = "without an outcome" if missing > 0 else "too many outcomes"
            yield f"{target}: pings = outcomes + in flight is off by {missing:+g} ({what})"


def schedule(first: Page, last: Page, target: str, interval: float) -> Iterator[str]:
    """As many pings were scheduled between two pages as seconds passed, one more or less.

    A page is made at some moment of its request, so the request's own time is added on both sides.
    """
    grown = (slots(last, target) - slots(first, target)) * interval
    least, most = last.asked - first.answered, last.answered - first.asked
    if not least - SLOTS * interval <= grown <= most + SLOTS * interval:
        yield f"{target}: {grown / interval:g} pings in {least:.1f} to {most:.1f} s, one each {interval:g} s was due"


def skips(page: Page, target: str) -> float:
    """Return the pings of a target that the daemon was too late to send."""
    return page.sum("redis_operation_failures_total", operation=PING, reason="skipped", target=target)


def punctual(page: Page, before: Mapping[str, float], interval: float, late: float) -> Iterator[str]:
    """Few pings were skipped because the daemon was late, but for the time that the machine was ``late`` too."""
    grown = {target: skips(page, target) - was for target, was in before.items()}
    too_many = {target: count for target, count in grown.items() if count > SKIPS + 2 * late / interval}
    if too_many:
        worst = max(too_many, key=lambda target: too_many[target])
        told = f"{worst}: {too_many[worst]:g} pings skipped ({len(too_many)} targets skipped too many)"
        yield f"{told}, while the machine was late by {late:.1f} s in all"


def present(page: Page, expected: Iterable[str]) -> Iterator[str]:
    """Every target that must be watched is there, and no other has any series."""
    wanted, there = set(expected), page.targets()
    for target in sorted(wanted - {target for target in there if page.value("redis_up", target=target) is not None}):
        yield f"{target}: is declared and not watched"
    for target in sorted(there - wanted):
        count = sum(("target", target) in labels for _, labels in page.samples)
        yield f"{target}: is not declared any more and has {count} series"


def addresses(page: Page) -> dict[str, str]:
    """Return where each target is, as the page says."""
    return {labels["target"]: labels.get("address", "") for labels, _ in page.matching("redis_target_info")}


def placed(page: Page, expected: Mapping[str, str | None]) -> Iterator[str]:
    """Every target is at the address where it ought to be (None: anywhere), and no address serves two."""
    there = addresses(page)
    for target, address in sorted(expected.items()):
        if address is not None and target in there and there[target] != address:
            yield f"{target}: is watched at {there[target]}, and ought to be at {address}"
    for address, count in Counter(there.values()).items():
        if count > 1:
            yield f"{address} is watched by {sorted(name for name, place in there.items() if place == address)}"


def up(page: Page, findings: Mapping[str, str]) -> Iterator[str]:
    """redis_up is what a plain client finds."""
    for target, found in sorted(findings.items()):
        told = page.value("redis_up", target=target)
        if told is not None and (told == 1) is not (found == "up"):
            where = addresses(page).get(target)
            yield f"{target}: redis_up is {told:g}, and a plain client at {where} finds: {found}"


def alive(before: Page, after: Page, findings: Mapping[str, str]) -> Iterator[str]:
    """No series stands still: pings go on, samples of a server that answers are new, those of a dead one are gone."""
    for target, found in sorted(findings.items()):
        if slots(after, target) <= slots(before, target):
            yield f"{target}: not one ping in {after.asked - before.answered:.1f} s: its series are frozen"
            continue
        was, now = (page.value("redis_uptime_in_seconds", target=target) for page in (before, after))
        if found == "up" and was is not None and now is not None and now <= was:
            yield f"{target}: redis_uptime_in_seconds stands at {now:g} for {after.asked - before.answered:.1f} s"
        if found == "up" and now is None:
            yield f"{target}: it answers, and there are no samples of INFO"


def gone(page: Page, dead: Iterable[str]) -> Iterator[str]:
    """Servers that are down for longer than ``poll.max_age`` have no samples of theirs any more."""
    for target in sorted(dead):
        if page.value("redis_uptime_in_seconds", target=target) is not None:
            yield f"{target}: is down for longer than poll.max_age, and its samples are still served"


def log_lines(
    lines: Sequence[Line], changes: Mapping[str, int], *, events: int, reloads: int, stalls: int = 0
) -> Iterator[str]:
    """At most 2 lines of each target and change; few of the daemon itself; none that tells of a fault of ours.

    ``stalls``: times that the machine stood still so long that any server may have seemed silent: changes of all.
    """
    of = Counter(line.target for line in lines if line.target)
    for target, count in sorted(of.items()):
        most = LINES_A_CHANGE * (changes.get(target, 0) + stalls)
        if count > most:
            said = [line.text for line in lines if line.target == target]
            yield f"{target}: {count} log lines of {changes.get(target, 0)} changes: {_events(said)}"
    own = [line.text for line in lines if not line.target]
    if len(own) > LINES_AN_EVENT * events + LINES_A_RELOAD * reloads:
        yield f"{len(own)} log lines of no target, of {events} events and {reloads} reloads: {_events(own)}"
    for line in lines:
        if any(ugly in line.text for ugly in UGLY):
            yield f"the log tells of a fault of ours: {line.text[:400]}"
            break


def _events(lines: Sequence[str]) -> str:
    told = Counter(line.partition("event=")[2][:60] if "event=" in line else line[:60] for line in lines)
    return ", ".join(f"{count} x {text}" for text, count in told.most_common(8))


def level(history: Sequence[Usage]) -> Iterator[str]:
    """Descriptors, threads and memory do not grow from one quiet period to a later one with the same targets.

    The first quiet period comes after all targets were seen. One pool of connections, or one more arena of the
    allocator, is no leak: hence the room.
    """
    if len(history) < 2:
        return
    first, last = history[0], history[-1]
    for name, was, now, room in (
        ("descriptors", first.descriptors, last.descriptors, 15 + first.descriptors * 0.15),
        ("threads", first.threads, last.threads, 8.0),
        ("tasks", first.tasks, last.tasks, 10 + first.tasks * 0.15),
        ("megabytes of memory", first.megabytes, last.megabytes, 25 + first.megabytes * 0.25),
    ):
        if now > was + room:
            yield f"{name} grew from {was:.0f} to {now:.0f} in {len(history)} quiet periods"


def stopped(code: int | None, took: float, within: float) -> Iterator[str]:
    """SIGTERM ends the process in time with exit code 0."""
    if code is None:
        yield f"SIGTERM did not end the process within {took:.1f} s"
    elif code != 0:
        yield f"SIGTERM ended the process with exit code {code} after {took:.1f} s"
    elif took > within:
        yield f"SIGTERM took {took:.1f} s"
