"""The cause of a stall is right on recorded evidence of real stalls, and ``unknown`` when evidence is missing."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_pulse.stalls.causes import CAUSES, RULES, Verdict, classify
from redis_pulse.stalls.evidence import KEPT_FIELDS, Evidence, LatencyEvent, SlowEntry, Snapshot, TcpSample
from stalls_bench.kinds import KINDS
from tests.stalls.recordings import EVIDENCE

AT_MOST_LIKELY = ("eviction", "saturated", "not_running")
#: A part of the evidence → how it looks when it is missing.
PARTS: dict[str, Any] = {
    "earlier": None,
    "before": None,
    "after": None,
    "slow_entries": None,
    "command_log": None,
    "latency_events": None,
    "latency_threshold": None,
    "tcp": (),
    "retransmits_before": None,
    "retransmits_after": None,
    "connected": None,
    "malformed_refused": None,
    "ended_by": "unknown",
    "longest_started": None,
}
GROUPS = ("cmdstat_", "eventloop_", "used_cpu_", *sorted(KEPT_FIELDS))


def info(at: float, commands: dict[str, tuple[int, int]] | None = None, **values: object) -> Snapshot:
    """Return a snapshot with plausible fields, changed by ``values`` (None removes one)."""
    plain: dict[str, object] = {
        "run_id": "a" * 40,
        "uptime_in_seconds": int(5000 + at),
        "server_time_usec": int((9e8 + at) * 1e6),
        "used_cpu_user": 10 + 0.05 * at,
        "used_cpu_sys": 5,
        "aof_enabled": 0,
        "total_forks": 0,
        "latest_fork_usec": 0,
        "expired_keys": 0,
        "evicted_keys": 0,
        "expire_cycle_cpu_milliseconds": 0,
        "total_eviction_exceeded_time": 0,
        "total_commands_processed": int(100 * at),
        "loading": 0,
    } | values
    stats = {"get": (int(1000 + 100 * at), int(1000 + 100 * at)), **(commands or {})}
    section = {
        name: f"{value:.6f}" if isinstance(value, float) else str(value)
        for name, value in plain.items()
        if value is not None
    }
    section |= {f"cmdstat_{name}": f"calls={calls},usec={usec}" for name, (calls, usec) in stats.items()}
    return Snapshot(at, {"": section})


def stall(seconds: float = 1.0, cpu: float = 0.0, after: dict[str, Any] | None = None, **parts: Any) -> Evidence:
    """Return evidence of a stall from 100.0 on, in which the main thread used ``cpu`` seconds."""
    end = 100.0 + seconds
    base = Evidence(
        started=100.0,
        ended=end + 1,
        started_wall=1e9,
        seconds=seconds,
        ended_by="reply",
        earlier=info(90.0),
        before=info(99.5),
        after=info(end, **({"used_cpu_user": 10 + 0.05 * 99.5 + 0.025 + cpu} | (after or {}))),
        slow_entries=(),
        latency_events=(),
        latency_threshold=0,
        tcp=(TcpSample(100.1, 0, 0, 0, 0, 0), TcpSample(100.3, 0, 0, 0, 0, 0)),
        retransmits_before=0,
        retransmits_after=0,
        connected=True,
        malformed_refused=False,
    )
    return replace(base, **parts)


def logged(command: str, seconds: float, ended: float = 101.0) -> SlowEntry:
    """Return a log entry in the time of the server of ``info``."""
    return SlowEntry(7, float(int(9e8 + ended)), seconds, command)


CASES: dict[str, tuple[Evidence, str]] = {
    "stopped": (stall(), "not_running likely"),
    "script": (stall(cpu=1.0, slow_entries=(logged("eval", 1.0),)), "script sure"),
    "command": (stall(cpu=1.0, slow_entries=(logged("keys", 1.0),)), "command sure"),
    "sleeping command": (
        stall(slow_entries=(logged("debug", 1.0),), after={"commands": {"debug": (1, 1_000_000)}}),
        "command sure",
    ),
    "stopped inside a command": (stall(cpu=0.1, slow_entries=(logged("keys", 1.0),)), "not_running likely"),
    "command log only": (stall(cpu=1.0, slow_entries=None, command_log=(logged("keys", 1.0),)), "command sure"),
    "command in commandstats": (
        stall(cpu=1.0, slow_entries=None, after={"commands": {"keys": (1, 1_000_000)}}),
        "command sure",
    ),
    "lazy expiry": (stall(cpu=1.0, slow_entries=(logged("get", 1.0),), after={"expired_keys": 1}), "expire likely"),
    "expire cycle": (stall(cpu=1.0, after={"expire_cycle_cpu_milliseconds": 900}), "expire sure"),
    "eviction": (
        stall(cpu=1.0, after={"evicted_keys": 9, "total_eviction_exceeded_time": 900}),
        "eviction likely",
    ),
    "eviction of one key": (stall(cpu=1.0, after={"evicted_keys": 1}), "eviction likely"),
    "eviction beside an idle expire cycle": (
        stall(cpu=1.0, after={"evicted_keys": 900_000, "expire_cycle_cpu_milliseconds": 1}),
        "eviction likely",
    ),
    "eviction or expiry": (
        stall(cpu=1.0, after={"evicted_keys": 9, "expire_cycle_cpu_milliseconds": 100}),
        "unknown likely",
    ),
    "fork": (
        stall(cpu=1.0, slow_entries=(logged("bgsave", 0.9),), after={"total_forks": 1, "latest_fork_usec": 900_000}),
        "fork sure",
    ),
    "fork that the log alone shows": (
        stall(cpu=1.0, slow_entries=(logged("bgsave", 0.9),), after={"total_forks": None}),
        "fork likely",
    ),
    "delayed fsync": (
        stall(before=info(99.5, aof_delayed_fsync=1), after={"aof_delayed_fsync": 2, "aof_enabled": 1}),
        "disk likely",
    ),
    "latency event of the AOF": (
        stall(
            latency_events=(LatencyEvent("aof-fsync-always", 9e8, 900),),
            latency_threshold=100,
            after={"aof_enabled": 1},
        ),
        "disk sure",
    ),
    "stopped in a write of the AOF": (
        stall(latency_events=(LatencyEvent("aof-write-alone", 9e8, 990),), latency_threshold=100),
        "unknown likely",
    ),
    "event loop in the AOF": (
        stall(
            before=info(99.5, eventloop_duration_aof_sum=0),
            after={"eventloop_duration_aof_sum": 900_000, "aof_enabled": 1},
        ),
        "disk sure",
    ),
    "stopped or disk": (stall(after={"aof_enabled": 1}), "unknown likely"),
    "stopped, and the disk is known": (
        stall(
            before=info(99.5, aof_delayed_fsync=0),
            after={"aof_enabled": 1, "aof_delayed_fsync": 0},
            latency_threshold=100,
        ),
        "not_running likely",
    ),
    "command that ended before the wait": (
        stall(cpu=0.4, slow_entries=(logged("eval", 0.5, ended=98.0),), after={"commands": {"eval": (1, 500_000)}}),
        "unknown likely",
    ),
    "disk just after a command": (
        stall(
            cpu=0.4,
            slow_entries=(logged("eval", 0.6, ended=100.0),),
            latency_events=(LatencyEvent("aof-fsync-always", 9e8 + 101, 1100),),
            latency_threshold=100,
            after={"aof_enabled": 1},
        ),
        "disk sure",
    ),
    "paused after a command that hid the test": (
        stall(
            seconds=1.6,
            cpu=0.5,
            slow_entries=(logged("eval", 0.5, ended=100.5),),
            after={"commands": {"client|pause": (1, 5)}},
        ),
        "paused likely",
    ),
    "paused after a command before the ping": (
        stall(
            seconds=0.6,
            slow_entries=(logged("eval", 0.3, ended=100.0),),
            malformed_refused=True,
            after={"commands": {"client|pause": (1, 5)}, "used_cpu_user": 10 + 0.05 * 99.5 + 0.3},
        ),
        "paused sure",
    ),
    "paused, and the CPU time of a command before the ping": (
        stall(
            seconds=0.5,
            cpu=0.4,
            slow_entries=(logged("eval", 0.4, ended=100.0),),
            malformed_refused=True,
            after={"commands": {"client|pause": (1, 5)}},
        ),
        "paused sure",
    ),
    "answered before something else ran": (
        stall(after={"server_time_usec": int((9e8 + 100.3) * 1e6)}),
        "unknown likely",
    ),
    "paused": (stall(malformed_refused=True, after={"commands": {"client|pause": (1, 5)}}), "paused sure"),
    "refused without a pause": (stall(malformed_refused=True), "unknown likely"),
    "paused or stopped": (
        stall(malformed_refused=None, after={"commands": {"client|pause": (1, 5)}}),
        "unknown likely",
    ),
    "saturated": (stall(cpu=1.0, after={"total_commands_processed": 90_000}), "saturated likely"),
    "busy elsewhere": (stall(cpu=1.0), "unknown likely"),
    "loading": (stall(ended_by="loading", after={"loading": 1}), "loading sure"),
    "BUSY": (stall(cpu=1.0, ended_by="busy"), "script sure"),
    "restart": (stall(ended_by="reset", after={"run_id": "b" * 40, "uptime_in_seconds": 1}), "restart sure"),
    "failover": (stall(ended_by="reset", after={"run_id": "b" * 40, "uptime_in_seconds": 9999}), "restart sure"),
    "cable": (
        stall(
            tcp=(TcpSample(100.1, 1, 0, 0, 0, 0), TcpSample(100.9, 1, 2, 2, 2, 0)),
            retransmits_after=2,
            connected=False,
        ),
        "network sure",
    ),
    "own link": (
        stall(tcp=(TcpSample(100.1, 0, 0, 0, 0, 14), TcpSample(100.9, 0, 0, 0, 0, 14)), connected=False),
        "network sure",
    ),
    "late ACK in a script": (
        stall(
            seconds=3.0,
            cpu=3.0,
            tcp=(TcpSample(100.1, 1, 0, 0, 0, 0), TcpSample(100.3, 0, 0, 0, 0, 0)),
            slow_entries=(logged("eval", 3.0, 103.0),),
        ),
        "script sure",
    ),
    "retransmission": (stall(retransmits_after=2), "network likely"),
    "no TCP_INFO": (stall(tcp=(), connected=None), "unknown likely"),
    "own delay": (stall(seconds=0.01), "exporter sure"),
    "own delay without a kernel clock": (stall(kernel_clock=False, loop_lag=0.9), "exporter likely"),
    "nothing": (Evidence(), "unknown likely"),
    "no state before": (stall(before=None), "unknown likely"),
    "no answer": (replace(stall(), after=None), "unknown likely"),
    "command without CPU": (
        stall(slow_entries=(logged("keys", 1.0),), after={"used_cpu_user": None}),
        "unknown likely",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_evidence_has_the_documented_cause(name: str) -> None:
    evidence, expected = CASES[name]
    verdict = classify(evidence)
    assert f"{verdict.cause} {verdict.certainty}" == expected, verdict


def test_two_causes_the_longer_one_wins_and_why_names_the_other() -> None:
    """KEYS ran for 0.4 s, then the process was stopped for 0.9 s; and the reverse."""
    stopped = classify(stall(seconds=1.3, cpu=0.4, slow_entries=(logged("keys", 0.4),)))
    assert (stopped.cause, "also command (KEYS" in stopped.why) == ("not_running", True)
    command = classify(stall(seconds=1.3, cpu=0.9, slow_entries=(logged("keys", 0.9),)))
    assert (command.cause, "also not_running" in command.why) == ("command", True)


def test_two_causes_fork_and_command_are_both_named() -> None:
    after = {"total_forks": 1, "latest_fork_usec": 400_000}
    verdict = classify(stall(seconds=1.2, cpu=1.2, slow_entries=(logged("keys", 0.8),), after=after))
    assert (verdict.cause, "also fork" in verdict.why) == ("command", True)


def test_unknown_names_the_missing_evidence_and_a_setting() -> None:
    disk = classify(CASES["stopped or disk"][0])
    assert "latency-monitor-threshold" in disk.do
    denied = classify(replace(stall(before=None), missing={"info": "denied"}))
    assert "info: denied" in denied.why


def test_old_log_entries_and_server_clocks_years_off_do_not_matter() -> None:
    """The server of ``info`` has a clock of 1998. Its entry of a minute ago explains nothing."""
    assert classify(stall(slow_entries=(logged("keys", 1.0, ended=40.0),))).cause == "not_running"


def test_counters_that_go_back_are_no_evidence() -> None:
    """CONFIG RESETSTAT in the stall."""
    before = info(99.5, commands={"keys": (900, 10**9)}, expired_keys=500, evicted_keys=500, total_forks=9)
    assert classify(stall(cpu=1.0, before=before)).cause == "unknown"


def _without(evidence: Evidence, parts: set[str]) -> Evidence:
    """Remove parts of the evidence: whole ones, or fields of both snapshots."""
    evidence = replace(evidence, **{name: PARTS[name] for name in parts & PARTS.keys()})
    gone = tuple(parts - PARTS.keys())
    for name in ("earlier", "before", "after"):
        snapshot = getattr(evidence, name)
        if snapshot is not None and gone:
            kept = {key: text for key, text in snapshot.info[""].items() if not key.startswith(gone)}
            thinner: dict[str, Any] = {name: Snapshot(snapshot.at, {"": kept})}
            evidence = replace(evidence, **thinner)
    return evidence


def check(verdict: Verdict) -> None:
    assert verdict.cause in CAUSES
    assert verdict.certainty in ("sure", "likely")
    assert not (verdict.cause in AT_MOST_LIKELY and verdict.certainty == "sure")
    assert verdict.why
    assert verdict.do
    assert len(verdict.why) <= 600


KNOWN = EVIDENCE | {name: evidence for name, (evidence, _) in CASES.items()}
EXPECTED = {name: name.partition("-")[0] for name in EVIDENCE} | {
    name: expected.partition(" ")[0] for name, (_, expected) in CASES.items()
}


#: A part of a pair → its cause.
PARTS_OF_PAIRS = {"script": "script", "stop": "not_running", "pause": "paused", "fsync": "disk", "fork": "fork"}
PARTS_OF_PAIRS |= {"keys": "command"}
PAIRS = {key.replace("+", "_"): {PARTS_OF_PAIRS[part] for part in key.split("+")} for key in KINDS if "+" in key}


def other_causes(name: str) -> set[str]:
    """Return the causes other than the main one. Of two causes, missing evidence may leave the other."""
    if name.startswith("loading-"):
        return {"restart"}
    if "a command" in name:
        return {"script"}
    return PAIRS.get(name.split("-")[1], set()) if name in EVIDENCE else set()


@settings(max_examples=300)
@given(st.sampled_from(sorted(KNOWN)), st.sets(st.sampled_from([*PARTS, *GROUPS]), max_size=8))
def test_missing_evidence_leads_to_unknown_and_to_no_other_cause(name: str, parts: set[str]) -> None:
    """Less evidence may hide a cause. It must not invent one."""
    verdict = classify(_without(KNOWN[name], parts))
    check(verdict)
    allowed = {EXPECTED[name], "unknown", *other_causes(name)}
    if EXPECTED[name] != "unknown":
        assert verdict.cause in allowed, (verdict, parts)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_stored_evidence_gives_the_same_verdict_again(name: str) -> None:
    """Anyone can check a record: its evidence is enough."""
    evidence = KNOWN[name]
    assert classify(Evidence.from_json(evidence.to_json())) == classify(evidence)


def test_every_part_of_the_evidence_is_known_to_these_tests() -> None:
    """A new part needs a value for when it is missing."""
    needed = {"started", "ended", "started_wall", "ended_wall", "seconds", "threshold", "kernel_clock", "loop_lag"}
    assert PARTS.keys() | needed | {"missing"} == {part.name for part in fields(Evidence)}
    assert len({rule.__name__ for rule in RULES}) == len(RULES)
