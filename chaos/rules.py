"""Rules for the daemon's page, log and process. Each is a pure function and yields a text for each problem."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from chaos.daemon import LogLine, Usage
from chaos.page import Page, Series

PING = "ping"
#: Counters of the daemon itself. All others are copied from a server, which may restart.
DAEMON_COUNTERS = (
    *("redis_operation", "redis_late_replies", "redis_probe_clock", "redis_circuit_breaker", "redis_connect_phase"),
    *("redis_exporter_", "redis_pings_not_sent", "redis_sentinel_failovers", "redis_sentinel_master_missing"),
    *("redis_connection_tcp_retransmits", "redis_cluster_topology_changes", "process_cpu", "python_gc"),
)
#: Scheduled pings by which a target may differ from the elapsed time.
SCHEDULE_TOLERANCE = 1.0
#: Pings of a target that the daemon may skip between two quiet periods.
MAX_SKIPS = 2
#: Log lines of a target for each of its changes.
MAX_LINES_PER_CHANGE = 2
#: Log lines without a target, for each event and for each reload.
MAX_LINES_PER_EVENT, MAX_LINES_PER_RELOAD = 10, 3
#: Events that are no changes of a target. The daemon limits their number by itself.
BOUNDED_EVENTS = ('event="slow command"', 'event="more slow commands"', "event=stall ")
#: Texts that no log line may have: each is a fault of the daemon, even during an event.
FORBIDDEN = ("Traceback (most recent call last)", "was never retrieved", "was never awaited", "Task was destroyed")


def well_formed(page: Page) -> Iterator[str]:
    """Every line of the page can be parsed, and no series appears twice."""
    for line in page.unreadable[:3]:
        yield f"a line of the page cannot be parsed: {line}"
    for line in page.duplicates[:3]:
        yield f"a series appears twice: {line}"


def is_counted_by_daemon(series: Series) -> bool:
    """Return whether the daemon counts this itself, and no server does."""
    return series[0].startswith(DAEMON_COUNTERS)


def _is_counter(page: Page, series: Series) -> bool:
    name = series[0]
    return page.kind(name) == "counter" or (
        page.kind(name) in {"histogram", "summary"} and name.endswith(("_bucket", "_count", "_sum"))
    )


def counters_never_decrease(
    before: Page, after: Page, *, by_daemon: bool, except_targets: Iterable[str] = ()
) -> Iterator[str]:
    """No counter decreases, except those of ``except_targets``.

    ``by_daemon``: check the counters of the daemon itself, or those of servers.
    """
    ignored = set(except_targets)
    problems: dict[str, str] = {}
    for series, value in after.samples.items():
        earlier = before.samples.get(series)
        if earlier is None or value >= earlier or is_counted_by_daemon(series) is not by_daemon:
            continue
        target = dict(series[1]).get("target", "")
        if _is_counter(after, series) and target not in ignored:
            problems.setdefault(target, f"{series[0]}{dict(series[1])} went from {earlier:g} to {value:g}")
    yield from problems.values()


def scheduled_pings(page: Page, target: str) -> float:
    """Return how many pings of a target were scheduled."""
    return page.sum("redis_operations_total", operation=PING, target=target)


def unaccounted_pings(page: Page, target: str) -> float:
    """Return the pings of a target that have no outcome and are not in flight. It must be 0.

    A timeout is a failure. The histogram has it too, with the time of its deadline. An open breaker prevents a ping.
    Such a ping is one failure, under the reason that opened the breaker, and nothing else.
    """
    labels = {"operation": PING, "target": target}
    failures = page.sum("redis_operation_failures_total", **labels)
    timeouts = page.sum("redis_operation_failures_total", reason="timeout", **labels)
    successes = page.sum("redis_operation_duration_seconds_count", **labels) - timeouts
    return scheduled_pings(page, target) - successes - failures - page.sum("redis_operations_in_flight", **labels)


def accounting(page: Page, targets: Iterable[str], reported: Mapping[str, float]) -> Iterator[str]:
    """Every ping of every target has exactly one outcome, or is in flight.

    ``reported``: differences that were already reported, by target.
    """
    for target in sorted(targets):
        missing = unaccounted_pings(page, target)
        if missing and missing != reported.get(target):
            explanation = "pings without an outcome" if missing > 0 else "too many outcomes"
            yield f"{target}: pings - (outcomes + in flight) = {missing:+g}: {explanation}"


def operations_accounting(page: Page) -> Iterator[str]:
    """Every run of another operation, such as a collector, has one outcome. One run of each may not have ended.

    A timeout is a failure. The histogram has it too if something was sent, so both sums are possible. A reason appears
    with its first failure, and is shown as 0 for some seconds. Until then this operation cannot be judged.
    """
    runs, failures, timeouts, durations = (Counter[tuple[str, str]]() for _ in range(4))
    at_zero = set()
    for name, counter in (
        ("redis_operations_total", runs),
        ("redis_operation_failures_total", failures),
        ("redis_operation_duration_seconds_count", durations),
    ):
        for labels, value in page.matching(name):
            key = labels["target"], labels["operation"]
            counter[key] += int(value)
            if "reason" in labels and not value:
                at_zero.add(key)
            if labels.get("reason") == "timeout":
                timeouts[key] += int(value)
    for key, total in sorted(runs.items()):
        most = durations[key] + failures[key]
        if key[1] != PING and key not in at_zero and not most - timeouts[key] <= total <= most + 1:
            yield f"{key[0]}: {total} runs of {key[1]} have {most - timeouts[key]} to {most} outcomes"


def ping_schedule(first: Page, last: Page, target: str, interval: float) -> Iterator[str]:
    """Between two pages, the number of scheduled pings equals the elapsed seconds, plus or minus one.

    The daemon makes a page at some moment of the request. So the duration of the request is tolerated on both sides.
    """
    grown = (scheduled_pings(last, target) - scheduled_pings(first, target)) * interval
    least, most = last.requested_at - first.received_at, last.received_at - first.requested_at
    tolerance = SCHEDULE_TOLERANCE * interval
    if not least - tolerance <= grown <= most + tolerance:
        yield f"{target}: {grown / interval:g} pings in {least:.1f} to {most:.1f} s, with an interval of {interval:g} s"


def skipped_pings(page: Page, target: str) -> float:
    """Return the pings of a target that the daemon was too late to send."""
    return page.sum("redis_operation_failures_total", operation=PING, reason="skipped", target=target)


def few_skipped_pings(page: Page, before: Mapping[str, float], interval: float, delay: float) -> Iterator[str]:
    """Few pings were skipped, apart from those due in the ``delay`` of the machine itself."""
    grown = {target: skipped_pings(page, target) - earlier for target, earlier in before.items()}
    too_many = {target: count for target, count in grown.items() if count > MAX_SKIPS + 2 * delay / interval}
    if too_many:
        worst = max(too_many, key=lambda target: too_many[target])
        yield (
            f"{worst}: {too_many[worst]:g} pings skipped, while the machine was late by {delay:.1f} s in total "
            f"({len(too_many)} targets skipped too many)"
        )


def expected_targets(page: Page, expected: Iterable[str]) -> Iterator[str]:
    """Every expected target is watched, and no other target has any series."""
    wanted, present = set(expected), page.targets()
    watched = {target for target in present if page.value("redis_up", target=target) is not None}
    for target in sorted(wanted - watched):
        yield f"{target}: is declared but not watched"
    for target in sorted(present - wanted):
        count = sum(("target", target) in labels for _, labels in page.samples)
        yield f"{target}: is no longer declared but has {count} series"


def addresses(page: Page) -> dict[str, str]:
    """Return the address of each target, as the page reports it."""
    return {labels["target"]: labels.get("address", "") for labels, _ in page.matching("redis_target_info")}


def expected_addresses(page: Page, expected: Mapping[str, str | None]) -> Iterator[str]:
    """Every target has its expected address (None: any), and no two targets have the same one."""
    actual = addresses(page)
    for target, address in sorted(expected.items()):
        if address is not None and target in actual and actual[target] != address:
            yield f"{target}: is watched at {actual[target]} instead of {address}"
    for address, count in Counter(actual.values()).items():
        if count > 1:
            yield f"{address} is watched by {sorted(name for name, other in actual.items() if other == address)}"


def up_matches_client(page: Page, statuses: Mapping[str, str]) -> Iterator[str]:
    """redis_up is 1 exactly if a plain client can ping the target."""
    for target, status in sorted(statuses.items()):
        up = page.value("redis_up", target=target)
        if up is not None and (up == 1) is not (status == "up"):
            address = addresses(page).get(target)
            yield f"{target}: redis_up is {up:g}, but a plain client at {address} gets: {status}"


def no_frozen_series(before: Page, after: Page, statuses: Mapping[str, str]) -> Iterator[str]:
    """Series keep changing: pings are scheduled, and samples of a server that replies are new."""
    seconds = after.requested_at - before.received_at
    for target, status in sorted(statuses.items()):
        if scheduled_pings(after, target) <= scheduled_pings(before, target):
            yield f"{target}: no ping in {seconds:.1f} s: its series are frozen"
            continue
        earlier, now = (page.value("redis_uptime_in_seconds", target=target) for page in (before, after))
        if status == "up" and earlier is not None and now is not None and now <= earlier:
            yield f"{target}: redis_uptime_in_seconds stayed at {now:g} for {seconds:.1f} s"
        if status == "up" and now is None:
            yield f"{target}: the server replies, but has no samples from INFO"


def no_stale_samples(page: Page, long_down: Iterable[str]) -> Iterator[str]:
    """No server has samples of its own if it is down for longer than ``poll.max_age``."""
    for target in sorted(long_down):
        if page.value("redis_uptime_in_seconds", target=target) is not None:
            yield f"{target}: is down for longer than poll.max_age, but its samples are still served"


def log_lines(
    lines: Sequence[LogLine], changes: Mapping[str, int], *, events: int, reloads: int, stalls: int = 0
) -> Iterator[str]:
    """Log lines are few for each change, event and reload, and they show no fault of the daemon.

    ``stalls``: how often the machine stopped. Any server may have seemed silent then, so each counts as a change.
    """
    of_changes = [line for line in lines if not any(event in line.text for event in BOUNDED_EVENTS)]
    counts = Counter(line.target for line in of_changes if line.target)
    for target, count in sorted(counts.items()):
        if count > MAX_LINES_PER_CHANGE * (changes.get(target, 0) + stalls):
            texts = [line.text for line in of_changes if line.target == target]
            yield f"{target}: {count} log lines for {changes.get(target, 0)} changes: {_summary(texts)}"
    texts = [line.text for line in lines if not line.target]
    if len(texts) > MAX_LINES_PER_EVENT * events + MAX_LINES_PER_RELOAD * reloads:
        yield f"{len(texts)} log lines without a target for {events} events and {reloads} reloads: {_summary(texts)}"
    for line in lines:
        if any(forbidden in line.text for forbidden in FORBIDDEN):
            yield f"the log shows a fault of the daemon: {line.text[:400]}"
            break


def _summary(lines: Sequence[str]) -> str:
    counts = Counter(line.partition("event=")[2][:60] if "event=" in line else line[:60] for line in lines)
    return ", ".join(f"{count} x {text}" for text, count in counts.most_common(8))


def bounded_usage(history: Sequence[Usage]) -> Iterator[str]:
    """Descriptors, threads, tasks and memory do not grow between quiet periods with the same targets.

    All targets are known before the first quiet period. Some growth is allowed: one more connection pool, or one more
    arena of the memory allocator, is no leak.
    """
    if len(history) < 2:
        return
    first, last = history[0], history[-1]
    for name, before, now, growth in (
        ("descriptors", first.descriptors, last.descriptors, 15 + first.descriptors * 0.15),
        ("threads", first.threads, last.threads, 8.0),
        ("tasks", first.tasks, last.tasks, 10 + first.tasks * 0.15),
        ("megabytes of memory", first.megabytes, last.megabytes, 25 + first.megabytes * 0.25),
    ):
        if now > before + growth:
            yield f"{name} grew from {before:.0f} to {now:.0f} in {len(history)} quiet periods"


def stopped_in_time(code: int | None, seconds: float, limit: float) -> Iterator[str]:
    """SIGTERM ends the process in time, with exit code 0."""
    if code is None:
        yield f"SIGTERM did not end the process within {seconds:.1f} s"
    elif code != 0:
        yield f"SIGTERM ended the process with exit code {code} after {seconds:.1f} s"
    elif seconds > limit:
        yield f"SIGTERM took {seconds:.1f} s"
