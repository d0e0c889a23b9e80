"""The command log of Valkey: its length, all entries ever written, and its thresholds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.commandlog import COLLECTOR, CommandLogCollector
from redis_pulse.errors import LoadingError, PermissionDeniedError, UnknownCommandError
from redis_pulse.metric import CollectorItem, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands
from tests.recordings import clients as recorded

LOGS = ("slow", "large-request", "large-reply")
LIMITS = [
    *(b"commandlog-execution-slower-than", b"10000", b"commandlog-slow-execution-max-len", b"128"),
    *(b"commandlog-request-larger-than", b"1048576", b"commandlog-large-request-max-len", b"64"),
    *(b"commandlog-reply-larger-than", b"2097152", b"commandlog-large-reply-max-len", b"32"),
]
ODD = st.recursive(
    st.none() | st.integers() | st.floats() | st.binary(max_size=5) | st.just(PermissionDeniedError("no")),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


def replies(**changed: Any) -> recorded.Replies:
    entry = [41, 1795380000, 12071, [b"GET", b"k"], b"127.0.0.1:1", b""]
    return {
        **{f"COMMANDLOG LEN {log}": 12 for log in LOGS},
        **{f"COMMANDLOG GET 1 {log}": [entry] for log in LOGS},
        "CONFIG GET commandlog-*": LIMITS,
        **{command.replace("_", " "): reply for command, reply in changed.items()},
    }


async def collect(
    fake_replies: recorded.Replies, collector: CommandLogCollector | None = None, run_id: str = "1"
) -> list[CollectorItem]:
    collector = collector or COLLECTOR.for_target()
    return list(await collector.collect(Server(run_id=run_id), FakeCommands(fake_replies), COLLECTOR.options()))


def values(items: list[CollectorItem]) -> dict[str, float]:
    return {",".join((s.metric.name, *s.labels)): s.value for s in items if isinstance(s, Sample)}


def unreadable(items: list[CollectorItem]) -> list[str]:
    return [item.location for item in items if isinstance(item, UnreadableField)]


@pytest.mark.parametrize("server", [name for name in recorded.SERVERS if name.startswith("valkey")])
async def test_real_replies_are_read_completely(server: str) -> None:
    assert COLLECTOR.applies(recorded.known(server))
    items = list(await COLLECTOR.for_target().collect(Server(), recorded.commands(server), COLLECTOR.options()))
    read = values(items)
    assert len(read) == len(items) == 15
    assert (read["commandlog_slow_length"], read["commandlog_entries_total,slow"]) == (1, 1)
    assert read["commandlog_large_request_length"] == read["commandlog_entries_total,large-request"] == 8
    assert read["commandlog_last_large_request_bytes"] > 10000
    assert read["commandlog_last_large_reply_bytes"] > 4096
    assert read["commandlog_execution_slower_than_seconds"] == 0.01
    assert read["commandlog_reply_larger_than"] == 4096


async def test_values_have_the_names_of_redis_exporter_and_correct_ones() -> None:
    assert values(await collect(replies())) == {
        "commandlog_slow_length": 12,
        "commandlog_large_request_length": 12,
        "commandlog_large_reply_length": 12,
        "commandlog_entries_total,slow": 42,
        "commandlog_entries_total,large-request": 42,
        "commandlog_entries_total,large-reply": 42,
        "commandlog_last_large_request_bytes": 12071,
        "commandlog_last_large_reply_bytes": 12071,
        "commandlog_execution_slower_than": 10000,
        "commandlog_execution_slower_than_seconds": 0.01,
        "commandlog_slow_execution_max_len": 128,
        "commandlog_request_larger_than": 1048576,
        "commandlog_large_request_max_len": 64,
        "commandlog_reply_larger_than": 2097152,
        "commandlog_large_reply_max_len": 32,
    }


async def test_disabled_log_has_no_threshold_in_seconds() -> None:
    disabled = [b"commandlog-execution-slower-than", b"-1"]
    read = values(await collect(replies(**{"CONFIG GET commandlog-*": disabled})))
    assert read["commandlog_execution_slower_than"] == -1
    assert "commandlog_execution_slower_than_seconds" not in read


async def test_emptying_a_log_does_not_reset_its_entries() -> None:
    collector = COLLECTOR.for_target()
    await collect(replies(), collector)
    emptied = values(await collect(replies(**{"COMMANDLOG GET 1 slow": []}), collector))
    assert emptied["commandlog_entries_total,slow"] == 42
    restarted = values(await collect(replies(**{"COMMANDLOG GET 1 slow": []}), collector, run_id="2"))
    assert restarted["commandlog_entries_total,slow"] == 0


async def test_empty_log_has_no_newest_entry() -> None:
    read = values(await collect(replies(**{f"COMMANDLOG GET 1 {log}": [] for log in LOGS})))
    assert read["commandlog_entries_total,large-reply"] == 0
    assert "commandlog_last_large_reply_bytes" not in read


async def test_denied_parts_are_left_out() -> None:
    denied = PermissionDeniedError("no permission")
    items = await collect(replies(**{"CONFIG GET commandlog-*": denied, "COMMANDLOG GET 1 slow": denied}))
    assert not unreadable(items)
    assert len(values(items)) == 7


@pytest.mark.parametrize("error", [UnknownCommandError("unknown"), PermissionDeniedError("no permission")])
async def test_server_without_a_command_log_gets_only_one_command(error: Exception) -> None:
    commands = FakeCommands({"COMMANDLOG LEN slow": error})
    with pytest.raises(type(error)):
        await COLLECTOR.collect(Server(), commands, COLLECTOR.options())
    assert commands.requests == ["COMMANDLOG LEN SLOW"]


async def test_other_errors_are_raised() -> None:
    with pytest.raises(LoadingError):
        await collect(replies(**{"COMMANDLOG GET 1 slow": LoadingError("loading")}))


async def test_unreadable_part_does_not_affect_other_parts() -> None:
    bad = {
        "COMMANDLOG LEN slow": b"many",
        "COMMANDLOG GET 1 slow": [[None, 1, 2]],
        "COMMANDLOG GET 1 large-reply": [[7, 1, b"big"]],
        "CONFIG GET commandlog-*": [b"commandlog-request-larger-than", b"1mb", None],
    }
    items = await collect(replies(**bad))
    assert unreadable(items) == [
        "COMMANDLOG LEN/slow",
        "COMMANDLOG GET/id",
        "COMMANDLOG GET/large-reply",
        "CONFIG GET/commandlog-request-larger-than",
    ]
    assert values(items)["commandlog_entries_total,large-reply"] == 8
    assert unreadable(await collect(replies(**{"CONFIG GET commandlog-*": b"OK"}))) == ["CONFIG GET"]


@given(st.tuples(*[ODD] * 6))
async def test_any_reply_is_read_without_an_exception(odd: tuple[Any, ...]) -> None:
    others = dict(zip(list(replies())[1:], odd, strict=True))
    items = await collect({"COMMANDLOG LEN slow": 1, **others})
    assert values(items)["commandlog_slow_length"] == 1


@pytest.mark.parametrize(
    ("software", "version", "mode", "has_log"),
    [
        ("valkey", "8.1.0", "standalone", True),
        ("valkey", "9.1.2", "cluster", True),
        ("valkey", "10.0.0-rc1", "", True),
        ("valkey", "8.0.1", "standalone", False),
        ("valkey", "8.1.0", "sentinel", False),
        ("redis", "8.2.3", "standalone", False),
        ("", "", "", False),
        ("valkey", "unstable", "", False),
    ],
)
def test_valkey_8_1_and_later_have_it(software: str, version: str, mode: str, has_log: bool) -> None:
    server = Server()
    server.update({f"{software}_version": version, "redis_mode": mode})
    assert COLLECTOR.applies(server) is has_log
