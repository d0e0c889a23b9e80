"""Targets with a last hour, made without a clock: what the pages are tested with, and what ``bench`` measures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from redis_pulse.config import EffectiveValue
from redis_pulse.discovery import SourceReport
from redis_pulse.keyspace import (
    Estimate,
    KeyspaceReport,
    LargeKey,
    PatternGrowth,
    PatternNode,
    PatternUsage,
    WalkProgress,
)
from redis_pulse.stalls import StallRecord, Verdict
from redis_pulse.status import Hour, Risk, StatusEvent, TargetState
from redis_pulse.web import (
    CollectorView,
    FailingCollector,
    OwnStatus,
    Replication,
    StatusDetails,
    StatusView,
)

#: 24 Nov 2026, 03:12:41 UTC.
NOW = 1_795_489_961.0
MINUTE = int(NOW // 60)
#: Names that are made to break a page.
HOSTILE = (
    "cart\u202egnp.exe\u202c",
    "zero\u200bwidth\u200b",
    "<script>alert(1)</script>",
    "x" * 200,
    "סל-קניות-ראשי",
    "a&b\"c'd{{7*7}}{% raw %}",
    "Z\u0351\u036b\u0343\u0314a\u0334l\u0338g\u0336o\u0337",
    "A" * 60 + " " + "b" * 60,
    "\u0007bell\n</title>",
    "%2e%2e/..;x",
)


def hour_of(
    latency: float = 0.0002,
    *,
    state: TargetState = "ok",
    failing_since: float | None = None,
    reason: str = "",
    pings: int = 6,
    rng: Random | None = None,
) -> Hour:
    """Return an hour with some pings a minute. From ``failing_since`` on, all fail for the ``reason``."""
    rng = rng or Random(1)
    hour = Hour(MINUTE - 59)
    for minute in range(MINUTE - 59, MINUTE + 1):
        is_failing = failing_since is not None and minute >= failing_since // 60
        hour.advance(minute)
        hour.set_state(state if is_failing or failing_since is None else "ok", is_new_minute=True)
        for _ in range(pings):
            if is_failing and reason:
                hour.add(minute, None, reason=reason, closed=False)
            else:
                seconds = latency * rng.uniform(0.9, 2.2)
                hour.add(minute, seconds, is_slow=seconds > 0.01, closed=True)
    return hour


def stalled_hour() -> Hour:
    """Return the hour of a target that stalled twice: for 26 s, and for 1.23 s."""
    hour, rng = Hour(MINUTE - 59), Random(3)
    for minute in range(MINUTE - 59, MINUTE + 1):
        hour.advance(minute)
        hour.set_state("stalled" if minute in (MINUTE - 4, MINUTE - 40) else "ok", is_new_minute=True)
        for second in range(60):
            if minute == MINUTE - 40 and second < 26:
                hour.add(minute, None, reason="timeout" if second < 20 else "rejected", closed=second < 5)
            elif minute == MINUTE - 4 and second == 26:
                hour.add(minute, None, reason="timeout", closed=True)
                hour.add(minute, 1.231, is_slow=True, closed=True)
            else:
                hour.add(minute, 0.00018 * rng.uniform(0.9, 2.4), closed=True)
    return hour


def target(name: str, state: TargetState = "ok", **changes: Any) -> StatusView:
    """Return a target in a state, with everything that this state needs."""
    since = changes.pop("since", NOW - 600)
    reason = changes.get("reason", "refused" if state == "down" else "")
    hour = changes.pop("hour", None)
    if hour is None:
        hour = hour_of(state=state, failing_since=since if state in ("down", "stalled") else None, reason=reason)
    view = StatusView(
        name=name,
        address="10.0.0.7:6379",
        host="10.0.0.7",
        port=6379,
        user="exporter",
        is_tls=False,
        labels={"team": "shop"},
        state=state,
        since=since,
        since_start=False,
        reason=reason,
        error="nothing listens there" if reason else "",
        unacked=0 if state == "stalled" else None,
        last_trouble=("stalled", "no answer in time", since - 30) if state == "recovered" else None,
        risks=(Risk("memory", {"percent": "96", "used": "7.7 GiB", "max": "8.0 GiB", "policy": "noeviction"}),)
        if state == "risk"
        else (),
        failing=[FailingCollector("clients", "permission", "NOPERM", ("client|list",), "exporter")]
        if state == "limited"
        else [],
        breaker="open" if state == "down" else "closed",
        next_try_seconds=4.2 if state == "down" else None,
        objective=0.01,
        hour=hour,
        minute=MINUTE,
        stalls=(),
        memory=0.4,
        software="valkey",
        version="9.1.2",
        role="master",
        mode="standalone",
        service="",
    )
    return replace(view, **changes)


STALL = StallRecord(
    7,
    "cart",
    NOW - 254,
    NOW - 252.77,
    1.23,
    slow=1,
    timeouts=1,
    verdict=Verdict("command", "sure", "one KEYS took 1231 ms", "Use SCAN instead of KEYS."),
    evidence='{"slow_entries": [[1841, 5.0, 1.231, "KEYS", ""]], "loop_lag": 0.001, "tcp": [[5.0, 0, 0, 0, 0, 0, 0.2]],'
    ' "before": {"at": 5.0, "info": {"used_cpu_user": "1.0", "used_cpu_sys": "1.0"}},'
    ' "after": {"at": 7.0, "info": {"used_cpu_user": "2.2", "used_cpu_sys": "1.1"}}}',
)
NETWORK_STALL = StallRecord(
    6,
    "cart",
    NOW - 2437,
    NOW - 2411,
    26.0,
    timeouts=20,
    verdict=Verdict(
        "network", "sure", "the far kernel acknowledged nothing for 26 s", "Look at the path, not at Redis."
    ),
    evidence='{"tcp": [[5.0, 1, 6, 3, 6, 0, 13.0]], "slow_entries": [], "loop_lag": 0.001,'
    ' "missing": {"latency_events": "the latency monitor is off"}}',
)
DETAILS = StatusDetails(
    failures={},
    events=(),
    collectors=[
        CollectorView("info", "ok", 0.0009, 6.0),
        CollectorView("clients", "denied", 0.0002, None, "NOPERM", ("client|list",)),
        CollectorView("latency_histogram", "failing", 5.0, 47.0, "no answer in time"),
        CollectorView("commandlog", "unsupported", 0.0002, None),
    ],
    replication=Replication("", None, 1, 128.0),
    numbers={
        "redis_memory_used_bytes": 6.2e9,
        "redis_memory_max_bytes": 8.6e9,
        "redis_connected_clients": 214,
        "redis_max_clients": 10000,
        "redis_uptime_in_seconds": 6_300_000,
    },
    policy="allkeys-lru",
    rtt=0.00011,
    min_rtt=0.00008,
    retransmits=6,
    connected_since=NOW - 2400,
    slow_command=("KEYS", 1.231),
    declared_in="redis-pulse.yaml: targets[0]",
)
OWN = OwnStatus(
    version="0.1.0",
    python="3.11.7",
    started=NOW - 90_000,
    is_healthy=True,
    loaded_at=NOW - 3661,
    refused_at=None,
    problem="",
    file="redis-pulse.yaml",
    declared=8,
    sources=(),
    late_pings=0,
    due_pings=28_800,
    max_lag=0.0042,
    cpu_share=0.014,
    resident_bytes=62_000_000,
    scraped=(NOW - 6, 38_000),
)
TROUBLED_OWN = replace(
    OWN,
    refused_at=NOW - 511,
    problem="redis-pulse.yaml:12: targets[6].probe.intervall is not a setting (did you mean interval?)",
    late_pings=841,
    sources=(
        SourceReport("http", "cmdb", 958, NOW - 300, NOW - 240, "HTTP 503"),
        SourceReport("file", "targets/*.yaml", 3, NOW - 5, None, ""),
        SourceReport("dns", "redis.internal", 0, None, None, ""),
    ),
)


def eight() -> list[StatusView]:
    """Return eight targets with eight troubles."""
    slow = hour_of(0.02, state="slow")
    return [
        target("queue", "down", labels={"team": "checkout"}, since=NOW - 878),
        target("sessions", "down", reason="auth", error="WRONGPASS invalid username-password pair", since=NOW - 671),
        target("search-cache", "stalled", since=NOW - 5, labels={"team": "search"}),
        target("feeds", "slow", hour=slow, since=NOW - 1411, labels={"team": "feed"}),
        target("ledger", "risk", since=NOW - 3146, memory=0.96, labels={"team": "billing"}),
        target("profiles", "limited", since=NOW - 3660, labels={"team": "web"}),
        target(
            "cart",
            "recovered",
            since=NOW - 252.77,
            last_trouble=("stalled", "", NOW - 254),
            hour=stalled_hour(),
            stalls=(STALL, NETWORK_STALL),
        ),
        target("flags", labels={"team": "web"}),
    ]


def thousand(count: int = 1000) -> list[StatusView]:
    """Return many targets of 8 teams and 5 zones. One zone is down, and some targets have other troubles."""
    rng = Random(11)
    teams = ("ads", "billing", "checkout", "feed", "identity", "media", "search", "shop")
    zones = ("eu-1a", "eu-1b", "eu-1c", "us-2a", "us-2b")
    shared = [hour_of(rng.choice((0.00011, 0.00014, 0.00021)), rng=rng) for _ in range(20)]
    views = []
    for number in range(count):
        team, zone = teams[number % 8], zones[number // 8 % 5]
        name = f"{team}-cache-{number // 8:03}"
        place: dict[str, Any] = {
            "labels": {"team": team, "zone": zone},
            "host": f"10.{zones.index(zone)}.{number // 250}.{number % 250 + 1}",
            "hour": shared[number % 20],
            "memory": rng.uniform(0.04, 0.84),
        }
        place["address"] = f"{place['host']}:6379"
        if zone == "eu-1b" and number % 4 == 0:
            del place["hour"]
            views.append(target(name, "down", reason="timeout", since=NOW - 930 + number % 4, **place))
        elif number % 97 == 0:
            views.append(target(name, "limited", since=NOW - 3660, **place))
        elif number % 89 == 0:
            views.append(target(name, "risk", since=NOW - 3000, **place))
        else:
            views.append(target(name, **place))
    return views


def usage(pattern: str, memory: Estimate | None, keys: Estimate, **more: Any) -> PatternUsage:
    """Return the keys of one pattern: hashes, of which a quarter never expires."""
    values: dict[str, Any] = {
        "db": 0,
        "pattern": pattern,
        "type": "hash",
        "memory": memory,
        "keys": keys,
        "without_expiry": 0.25,
        "idle_seconds": 754.0,
        "frequency": None,
        "draws": 900,
        "found_keys": 3,
    }
    return PatternUsage(**(values | more))


MIB = 1024.0**2


def keyspace(pattern: str = "cart:*", name: bytes | None = None, **changes: Any) -> KeyspaceReport:
    """Return a report: three patterns in two databases, the second below the first."""
    carts = usage(pattern, Estimate(600 * MIB, 12 * MIB), Estimate(1_200_000, 9000))
    items = usage(f"{pattern}:items", Estimate(200 * MIB, 8 * MIB), Estimate(300_000, 5000), type="list")
    logs = usage("log:*", Estimate(90 * MIB, 0), Estimate(12, 0), db=3, idle_seconds=None, frequency=17.0)
    below = PatternNode(0, f"{pattern}:items", items.memory, items.keys, (items,), ())
    node = PatternNode(0, pattern, Estimate(800 * MIB, 14 * MIB), Estimate(1_500_000, 9500), (carts,), (below,))
    first = PatternNode(0, "*", Estimate(800 * MIB, 14 * MIB), Estimate(1_500_000, 9500), (), (node,))
    third = PatternNode(
        3, "*", logs.memory, logs.keys, (), (PatternNode(3, "log:*", logs.memory, logs.keys, (logs,), ()),)
    )
    report = KeyspaceReport(
        at=NOW - 4,
        window=3600.0,
        keys=1_500_012,
        draws_total=36_000,
        draws=10_000,
        patterns=(carts, items, logs),
        tree=(first, third),
        memory=Estimate(890 * MIB, 15 * MIB),
        dataset_bytes=900 * MIB,
        unexplained_bytes=10 * MIB,
        largest=(
            LargeKey(3, "log:*", "stream", int(80 * MIB), 400_000, None, 62.0, name),
            LargeKey(0, pattern, "hash", int(MIB), None, 3600.0, 9.0, name),
        ),
        growth=(
            PatternGrowth(0, pattern, Estimate(-40 * MIB, 5 * MIB), 3600.0),
            PatternGrowth(3, "log:*", Estimate(MIB, 2 * MIB), 3600.0),
        ),
        walk=WalkProgress(0.42, 2, 5400.0, 2300.0),
        keys_per_second=100.0,
        server_share=0.0031,
        certainty="The memory of each pattern is known to 2 % or better.",
        notes=("RANDOMKEY of this version prefers keys in long chains.",),
    )
    return replace(report, **changes)


@dataclass
class FakeStatus:
    """Implements ``StatusInterface`` with what its fields hold."""

    targets: Sequence[StatusView] = ()
    own_status: OwnStatus = OWN
    target_details: StatusDetails = DETAILS
    happened: Sequence[StatusEvent] = field(default_factory=list)
    keys: Mapping[str, KeyspaceReport] = field(default_factory=dict)
    values: Sequence[EffectiveValue] = (EffectiveValue("listen", ":9121", "default"),)

    def now(self) -> float:
        return NOW

    def view(self, name: str) -> StatusView:
        return {view.name: view for view in self.targets}[name]

    def views(self) -> Iterator[StatusView]:
        return iter(self.targets)

    def details(self, name: str) -> StatusDetails:
        view = self.view(name)
        events = [event for event in self.happened if event.target == name]
        return replace(self.target_details, failures=view.hour.failures(MINUTE), events=events)

    def own(self) -> OwnStatus:
        return self.own_status

    def events(self, since: float) -> Iterator[StatusEvent]:
        return (event for event in self.happened if event.at >= since)

    def keyspaces(self) -> Sequence[str]:
        return list(self.keys)

    def keyspace(self, name: str) -> KeyspaceReport | None:
        return self.keys.get(self.view(name).name)

    def configuration(self) -> Sequence[EffectiveValue]:
        return self.values
