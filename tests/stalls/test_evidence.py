"""Evidence is bounded, survives JSON, and holds no argument, key or address."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redis_pulse.stalls.evidence import (
    MAX_JSON_BYTES,
    Evidence,
    LatencyEvent,
    SlowEntry,
    TcpSample,
    clean_command,
    parse_latency,
    parse_slow_log,
    parse_snapshot,
)

INFO = (
    b"# Server\r\nrun_id:abc\r\nuptime_in_seconds:7\r\n# CPU\r\nused_cpu_user:1.250000\r\nused_cpu_sys:0.5\r\n"
    b"# Commandstats\r\ncmdstat_get:calls=3,usec=1500,usec_per_call=500.00\r\ncmdstat_KEYS:calls=1,usec=2000000\r\n"
)
REPLY = st.recursive(
    st.none() | st.integers() | st.binary(max_size=12) | st.text(max_size=12) | st.floats(),
    lambda inner: st.lists(inner, max_size=7),
    max_leaves=30,
)


def test_snapshot_numbers_and_commands_are_read() -> None:
    snapshot = parse_snapshot(INFO, 12.5)
    assert (snapshot.at, snapshot.cpu, snapshot.text("run_id")) == (12.5, 1.75, "abc")
    assert snapshot.number("uptime_in_seconds") == 7
    assert snapshot.commands == {"get": (3, 0.0015), "keys": (1, 2.0)}


def test_snapshot_cpu_of_the_main_thread_is_preferred() -> None:
    """With I/O threads, the process uses more CPU than the thread that a ping waits for."""
    raw = INFO + b"# CPU\r\nused_cpu_user_main_thread:0.5\r\nused_cpu_sys_main_thread:0.25\r\n"
    assert parse_snapshot(raw, 0).cpu == 0.75


@pytest.mark.parametrize("value", ["", "nan", "inf", "1e9", "9" * 400, "-", "0x1", "\uff11"])
def test_field_that_is_no_plain_number_is_absent(value: str) -> None:
    assert parse_snapshot(f"# Stats\r\nexpired_keys:{value}\r\n".encode(), 0).number("expired_keys") is None


def test_slow_log_loses_arguments_and_addresses() -> None:
    reply = [
        [7, 1700000000, 830_000, [b"KEYS", b"user:secret*"], b"10.0.0.7:5000", b"cart-worker"],
        [6, 1, 2, [b"GET"]],
    ]
    assert parse_slow_log(reply) == (
        SlowEntry(7, 1700000000.0, 0.83, "keys", "cart-worker"),
        SlowEntry(6, 1.0, 2e-06, "get", ""),
    )


def test_slow_log_entries_that_cannot_be_read_are_left_out() -> None:
    good = [1, 2, 3, [b"\xff\x00"], b"", b"10.0.0.7:5000"]
    assert parse_slow_log([None, [], [1, 2, -3, [b"GET"]], ["1", 2, 3, []], good]) == (
        SlowEntry(1, 2.0, 3e-06, "other", "other"),
    )


def test_slow_log_of_10_000_entries_is_cut() -> None:
    assert len(parse_slow_log([[number, 1, 1, [b"GET"]] for number in range(10_000)])) == 128


def test_latency_events_are_read() -> None:
    assert parse_latency([[b"aof-fsync-always", 17, 500, 900]]) == (LatencyEvent("aof-fsync-always", 17.0, 500.0),)


@given(REPLY)
def test_hostile_replies_are_parsed_without_exception(reply: object) -> None:
    assert isinstance(parse_slow_log(reply), tuple)
    assert isinstance(parse_latency(reply), tuple)


@given(st.binary(max_size=300))
def test_hostile_info_is_parsed_without_exception(raw: bytes) -> None:
    snapshot = parse_snapshot(raw, 0.0)
    assert snapshot.cpu is None or snapshot.cpu > -1e20
    assert isinstance(snapshot.commands, dict)


@given(st.binary(max_size=40))
def test_names_from_the_server_are_short_and_clean(name: bytes) -> None:
    text = clean_command(name)
    assert len(text) <= 32
    assert text.isascii()
    assert not set(text) & set(" \r\n\t\"'{}:/")


def test_client_name_that_is_an_address_is_dropped() -> None:
    names = ("10.0.0.7:5000", "::1", "cart-worker", None)
    entries = parse_slow_log([[1, 2, 3, [b"GET"], b"", name] for name in names])
    assert [entry.client for entry in entries] == ["other", "other", "cart-worker", ""]


FULL = Evidence(
    started=1.0,
    ended=3.5,
    started_wall=1e9,
    ended_wall=1e9 + 2.5,
    seconds=1.5,
    longest_started=1.0,
    ended_by="reset",
    kernel_clock=False,
    loop_lag=0.01,
    earlier=parse_snapshot(INFO, 0.0),
    before=parse_snapshot(INFO, 0.5),
    after=parse_snapshot(INFO, 3.0),
    slow_entries=(SlowEntry(1, 2.0, 3.0, "keys", "cart"),),
    command_log=(),
    latency_events=(LatencyEvent("fork", 1.0, 2.0),),
    latency_threshold=100,
    tcp=(TcpSample(1.1, 1, 2, 3, 4, 5, 0.3),),
    retransmits_before=1,
    retransmits_after=5,
    connected=True,
    malformed_refused=False,
    missing={"slowlog": "denied"},
)


def test_evidence_survives_json() -> None:
    again = Evidence.from_json(FULL.to_json())
    for name in ("earlier", "before", "after"):
        mine, other = getattr(FULL, name), getattr(again, name)
        assert (mine.at, mine.cpu, mine.text("run_id")) == (other.at, other.cpu, other.text("run_id"))
    assert FULL.after is not None
    assert again.after is not None
    assert again.after.commands == FULL.after.commands
    plain: dict[str, Any] = {"earlier": None, "before": None, "after": None}
    assert replace(again, **plain) == replace(FULL, **plain)
    assert Evidence.from_json(Evidence().to_json()) == Evidence()


@pytest.mark.parametrize(
    "text", ["", "[]", "7", '{"ended_by":"magic"}', '{"tcp":7}', '{"before":{}}', '{"slow_entries":[[1]]}', "\xff"]
)
def test_text_that_is_no_evidence_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Evidence.from_json(text)


@settings(max_examples=60)
@given(st.integers(0, 400), st.integers(0, 60), st.text(max_size=300))
def test_json_of_hostile_evidence_stays_within_its_limit(commands: int, entries: int, text: str) -> None:
    """Many commands with long names, a long log, long texts: a record stays small."""
    rows = "".join(
        f"cmdstat_{'x' * 28}{number}:calls={10**18},usec={10**18 + number}\r\n" for number in range(commands)
    )
    fields = "".join(f"{name}:{'9' * 400}\r\n" for name in ("run_id", "redis_version", "total_forks", "expired_keys"))
    snapshot = parse_snapshot(f"# Commandstats\r\n{rows}# Stats\r\n{fields}".encode(), 1e15)
    evidence = replace(
        FULL,
        earlier=snapshot,
        before=parse_snapshot(b"", 0.0),
        after=snapshot,
        slow_entries=(SlowEntry(2**63, 1e300, 1e300, text, text),) * entries,
        command_log=(SlowEntry(2**63, float("nan"), 1.0, text, text),) * entries,
        latency_events=(LatencyEvent(text, 1.0, float("inf")),) * entries,
        tcp=(TcpSample(1e15, 2**32, 255, 255, 2**32, 2**32),) * entries,
        missing={f"{text}{number}": text for number in range(entries)},
    )
    stored = evidence.to_json()
    assert len(stored) <= MAX_JSON_BYTES
    assert Evidence.from_json(stored)


def test_json_keeps_the_totals_of_commands_that_it_leaves_out() -> None:
    rows = b"".join(b"cmdstat_c%d:calls=2,usec=1000000\r\n" % number for number in range(100))
    evidence = Evidence(after=parse_snapshot(b"# Commandstats\r\n" + rows, 1.0))
    kept = json.loads(evidence.to_json())["after"]["info"]
    assert len(kept) < 20
    again = Evidence.from_json(evidence.to_json()).after
    assert again is not None
    assert sum(calls for calls, _ in again.commands.values()) == 200
    assert sum(seconds for _, seconds in again.commands.values()) == pytest.approx(100.0)


def test_renamed_command_is_a_secret_and_gets_no_name() -> None:
    """``rename-command KEYS 8f3a…`` protects a command, and the slow log contains the new name."""
    reply = [[7, 1_700_000_000, 900_000, [b"b840fc02d524045429", b"*"], b"10.0.0.7:5000", b"cart-worker"]]
    (entry,) = parse_slow_log(reply)
    assert (entry.command, entry.client) == ("other", "cart-worker")
