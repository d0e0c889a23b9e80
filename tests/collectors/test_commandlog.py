"""The command log of Valkey: how much is in it, how much ever was, and from what size on."""

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
    said: recorded.Replies, of: CommandLogCollector | None = None, run_id: str = "1"
) -> list[CollectorItem]:
    return list(
        await (of or COLLECTOR.for_target()).collect(Server(run_id=run_id), FakeCommands(said), COLLECTOR.options())
    )


def values(found: list[CollectorItem]) -> dict[str, float]:
    return {",".join((s.metric.name, *s.labels)): s.value for s in found if isinstance(s, Sample)}


def unreadable(found: list[CollectorItem]) -> list[str]:
    return [item.location for item in found if isinstance(item, UnreadableField)]


@pytest.mark.parametrize("server", [name for name in recorded.SERVERS if name.startswith("valkey")])
async def test_real_replies_are_read_without_a_rest(server: str) -> None:
    assert COLLECTOR.applies(recorded.known(server))
    found = list(await COLLECTOR.for_target().collect(Server(), recorded.commands(server), COLLECTOR.options()))
    said = values(found)
    assert len(said) == len(found) == 15
    assert (said["commandlog_slow_length"], said["commandlog_entries_total,slow"]) == (1, 1)
    assert said["commandlog_large_request_length"] == said["commandlog_entries_total,large-request"] == 8
    assert said["commandlog_last_large_request_bytes"] > 10000
    assert said["commandlog_last_large_reply_bytes"] > 4096
    assert said["commandlog_execution_slower_than_seconds"] == 0.01
    assert said["commandlog_reply_larger_than"] == 4096


async def test_everything_is_said_under_the_established_names_and_right_ones_beside() -> None:
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


async def test_a_log_that_is_turned_off_has_no_threshold_in_seconds() -> None:
    off = [b"commandlog-execution-slower-than", b"-1"]
    said = values(await collect(replies(**{"CONFIG GET commandlog-*": off})))
    assert said["commandlog_execution_slower_than"] == -1
    assert "commandlog_execution_slower_than_seconds" not in said


async def test_emptying_a_log_takes_nothing_from_what_was_ever_written() -> None:
    collector = COLLECTOR.for_target()
    await collect(replies(), collector)
    emptied = values(await collect(replies(**{"COMMANDLOG GET 1 slow": []}), collector))
    assert emptied["commandlog_entries_total,slow"] == 42
    restarted = values(await collect(replies(**{"COMMANDLOG GET 1 slow": []}), collector, run_id="2"))
    assert restarted["commandlog_entries_total,slow"] == 0


async def test_an_empty_log_has_no_newest_entry() -> None:
    said = values(await collect(replies(**{f"COMMANDLOG GET 1 {log}": [] for log in LOGS})))
    assert said["commandlog_entries_total,large-reply"] == 0
    assert "commandlog_last_large_reply_bytes" not in said


async def test_what_is_denied_is_left_out() -> None:
    denied = PermissionDeniedError("no permission")
    said = await collect(replies(**{"CONFIG GET commandlog-*": denied, "COMMANDLOG GET 1 slow": denied}))
    assert not unreadable(said)
    assert len(values(said)) == 7


@pytest.mark.parametrize("error", [UnknownCommandError("unknown"), PermissionDeniedError("no permission")])
async def test_a_server_without_a_command_log_is_asked_for_nothing_else(error: Exception) -> None:
    commands = FakeCommands({"COMMANDLOG LEN slow": error})
    with pytest.raises(type(error)):
        await COLLECTOR.collect(Server(), commands, COLLECTOR.options())
    assert commands.asked == ["COMMANDLOG LEN SLOW"]


async def test_any_other_error_goes_to_the_runner() -> None:
    with pytest.raises(LoadingError):
        await collect(replies(**{"COMMANDLOG GET 1 slow": LoadingError("loading")}))


async def test_a_bad_part_costs_only_itself() -> None:
    bad = {
        "COMMANDLOG LEN slow": b"many",
        "COMMANDLOG GET 1 slow": [[None, 1, 2]],
        "COMMANDLOG GET 1 large-reply": [[7, 1, b"big"]],
        "CONFIG GET commandlog-*": [b"commandlog-request-larger-than", b"1mb", None],
    }
    found = await collect(replies(**bad))
    assert unreadable(found) == [
        "COMMANDLOG LEN/slow",
        "COMMANDLOG GET/id",
        "COMMANDLOG GET/large-reply",
        "CONFIG GET/commandlog-request-larger-than",
    ]
    assert values(found)["commandlog_entries_total,large-reply"] == 8
    assert unreadable(await collect(replies(**{"CONFIG GET commandlog-*": b"OK"}))) == ["CONFIG GET"]


@given(st.tuples(*[ODD] * 6))
async def test_no_reply_breaks_it(odd: tuple[Any, ...]) -> None:
    said = dict(zip(list(replies())[1:], odd, strict=True))
    found = await collect({"COMMANDLOG LEN slow": 1, **said})
    assert values(found)["commandlog_slow_length"] == 1


@pytest.mark.parametrize(
    ("software", "version", "mode", "has_it"),
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
def test_valkey_has_it_from_8_1_on(software: str, version: str, mode: str, has_it: bool) -> None:
    assert COLLECTOR.applies(Server(software=software, version=version, mode=mode)) is has_it
