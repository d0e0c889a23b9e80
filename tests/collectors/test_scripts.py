import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.scripts import COLLECTOR, ERROR, VALUES, ScriptOptions, _parse_reply
from redis_pulse.commands import Commands
from redis_pulse.errors import (
    BusyError,
    KeyDeniedError,
    PermissionDeniedError,
    SkippedError,
    TargetError,
    UnknownCommandError,
)
from redis_pulse.metric import CollectorFault, CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands
from tests.recordings import keys

SCRIPT = "return {'orders', redis.call('XLEN', 'orders'), 'half', '0.5'}"
GOOD = [b"orders", 9, b"half", b"0.5"]
ODD = st.recursive(
    st.none() | st.integers() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=8,
)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    first, second = tmp_path / "first.lua", tmp_path / "second.lua"
    first.write_text(SCRIPT)
    second.write_text("return redis.call('SET', 'k', 'v')")
    return [str(first), str(second)]


class CommandReplies:
    """Returns replies by the name of the command; ``sent`` lists these names."""

    def __init__(self, **replies: Any) -> None:
        self.replies = replies
        self.sent: list[str] = []

    async def execute(self, *args: str | int | bytes, db: int | None = None) -> Any:
        self.sent.append(str(args[0]))
        reply = self.replies[str(args[0])]
        if callable(reply):
            reply = await reply(*args)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Any, *, db: int | None = None) -> list[Any]:
        raise AssertionError("scripts run one by one")


async def read(commands: Commands, files: list[str], collector: Any = None, **options: Any) -> list[CollectorItem]:
    parsed = ScriptOptions(files=files, **options)
    return list(await (collector or COLLECTOR.for_target()).collect(Server(run_id="one"), commands, parsed))


def values(items: list[CollectorItem]) -> dict[str, float]:
    samples = [one for one in items if isinstance(one, Sample) and one.metric is not ERROR]
    return {"/".join((one.metric.name, *one.labels[:-1], Path(one.labels[-1]).stem)): one.value for one in samples}


FIRST_OK = {"script_result/first": 1, "script_values/orders/first": 9, "script_values/half/first": 0.5}


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_real_servers_run_scripts_and_refuse_writes(server: str, files: list[str]) -> None:
    has_no_eval_ro = server == "redis-6.2.14"  # the recording has no reply to the second script
    items = await read(keys.commands(server), files[:1] if has_no_eval_ro else files, may_write=has_no_eval_ro)
    assert values(items) == FIRST_OK | ({} if has_no_eval_ro else {"script_result/second": 0})


async def test_script_text_is_sent_once(files: list[str]) -> None:
    commands = CommandReplies(EVAL_RO=GOOD, EVALSHA_RO=GOOD)
    collector = COLLECTOR.for_target()
    for _ in range(3):
        assert values(await read(commands, files[:1], collector)) == FIRST_OK
    assert commands.sent == ["EVAL_RO", "EVALSHA_RO", "EVALSHA_RO"]


async def test_script_that_the_server_flushed_is_sent_again(files: list[str]) -> None:
    commands = CommandReplies(EVAL_RO=GOOD, EVALSHA_RO=TargetError("No matching script."))
    collector = COLLECTOR.for_target()
    for _ in range(2):
        assert values(await read(commands, files[:1], collector)) == FIRST_OK
    assert commands.sent == ["EVAL_RO", "EVALSHA_RO", "EVAL_RO"]


async def test_server_without_read_only_scripts_runs_none(files: list[str]) -> None:
    """EVAL would let a script write. The error says which option allows that."""
    unknown = UnknownCommandError("unknown command")
    commands = CommandReplies(EVAL_RO=unknown, EVALSHA_RO=unknown, EVAL=GOOD, EVALSHA=GOOD)
    with pytest.raises(UnknownCommandError, match="may_write"):
        await read(commands, files)
    assert commands.sent == ["EVAL_RO"]


async def test_scripts_may_write_with_the_option(files: list[str]) -> None:
    commands = CommandReplies(EVAL=GOOD, EVALSHA=GOOD)
    assert values(await read(commands, files[:1], may_write=True)) == FIRST_OK


async def test_failing_script_does_not_affect_others(files: list[str]) -> None:
    async def evaluate(_: str, text: str, *_args: Any) -> Any:
        return GOOD if text == SCRIPT else TargetError("user_script:1: attempt to index a nil value")

    items = await read(CommandReplies(EVAL_RO=evaluate), files[::-1])
    assert values(items) == FIRST_OK | {"script_result/second": 0}
    text = "user_script:1: attempt to index a nil value"
    assert [one for one in items if isinstance(one, CollectorFault)] == [CollectorFault(files[1], "other", text)]


async def test_script_that_does_not_end_does_not_affect_others(files: list[str]) -> None:
    async def evaluate(_: str, text: str, *_args: Any) -> Any:
        if text != SCRIPT:
            await asyncio.Event().wait()
        return GOOD

    items = await read(CommandReplies(EVAL_RO=evaluate), files[::-1], timeout=0.01)
    assert values(items) == FIRST_OK | {"script_result/second": 0}
    assert [one for one in items if isinstance(one, CollectorFault)] == [
        CollectorFault(files[1], "timeout", "not done within 0.01 s")
    ]


async def test_missing_script_file_is_a_failed_script(files: list[str]) -> None:
    options = ScriptOptions(files=files[:1])
    Path(files[0]).unlink()
    items = list(await COLLECTOR.for_target().collect(Server(), FakeCommands({}), options))
    assert values(items) == {"script_result/first": 0}


@pytest.mark.parametrize(
    "error", [PermissionDeniedError("no"), BusyError("busy"), SkippedError("fault of the exporter")]
)
async def test_error_of_the_whole_server_is_raised(error: TargetError, files: list[str]) -> None:
    with pytest.raises(type(error)):
        await read(CommandReplies(EVAL_RO=error), files)


@pytest.mark.parametrize(
    ("reply", "result", "expected", "problems"),
    [
        ([], 2, {}, []),
        (None, 2, {}, []),
        (b"text", 0, {}, [UnreadableField("EVAL")]),
        ([b"a"], 0, {}, [UnreadableField("EVAL")]),
        ([b"a", b"1", b"a", b"2"], 1, {"a": 2}, []),
        ([b"a", b"many", b"b", b"-1.5"], 1, {"b": -1.5}, [UnreadableField("EVAL/value")]),
        ([b"a", [1], 7, 8], 0, {}, [UnreadableField("EVAL/value")] * 2),
        ([b"a", 1, b"b", 2, b"c", 3, b"d", 4], 1, {"a": 1, "b": 2, "c": 3}, [OverflowCount("EVAL/key", 1)]),
    ],
)
def test_reply_of_a_script_is_parsed(
    reply: Any, result: float, expected: dict[str, float], problems: list[CollectorItem]
) -> None:
    first, *items = _parse_reply(reply, "f", 3)
    assert isinstance(first, Sample)
    assert first.value == result
    assert {one.labels[0]: one.value for one in items if isinstance(one, Sample) and one.metric is VALUES} == expected
    assert [one for one in items if not isinstance(one, Sample | CollectorFault)] == problems
    faults = [one.reason for one in items if isinstance(one, CollectorFault)]
    assert faults == (["protocol"] if any(isinstance(one, UnreadableField) for one in problems) else [])
    assert [one.labels for one in items if isinstance(one, Sample) and one.metric is ERROR] == [
        ("f", reason) for reason in faults
    ]


@given(ODD)
def test_any_reply_raises_nothing(reply: Any) -> None:
    assert list(_parse_reply(reply, "f", 3))


def test_collector_does_not_apply_to_sentinels() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))


async def test_script_may_define_a_metric_with_labels_from_its_keys(files: list[str]) -> None:
    reply = [b"mail:open", 4, b"mail:late:very", 2, b"mail", 1, b"sms:open", b"many"]
    script = {"file": files[0], "metric": "shop_orders", "help": "Orders.", "labels": ["queue", "state"]}
    items = await read(CommandReplies(EVAL_RO=reply), [script])  # type: ignore[list-item]
    custom = [one for one in items if isinstance(one, Sample) and one.metric.full_name == "shop_orders"]
    assert {one.labels: one.value for one in custom} == {("mail", "open"): 4, ("mail", "late:very"): 2}
    assert (custom[0].metric.kind, custom[0].metric.help, custom[0].metric.labels) == (
        "gauge",
        "Orders.",
        ("queue", "state"),
    )
    (fault,) = [one for one in items if isinstance(one, CollectorFault)]
    assert fault.text.startswith("some values cannot be used")
    assert values([one for one in items if one not in custom]) == {"script_result/first": 1}


async def test_metric_without_labels_has_one_value_and_no_negative_counter(files: list[str]) -> None:
    script = {"file": files[0], "metric": "shop_orders_total", "type": "counter", "labels": []}
    items = await read(CommandReplies(EVAL_RO=[b"a", 4, b"b", 5, b"c", -1]), [script])  # type: ignore[list-item]
    custom = [one for one in items if isinstance(one, Sample) and one.metric.full_name == "shop_orders_total"]
    assert [one.value for one in custom] == [4]
    assert items.count(UnreadableField("EVAL/key")) == 1
    assert items.count(UnreadableField("EVAL/value")) == 1


async def test_two_targets_share_one_custom_metric(files: list[str]) -> None:
    """The page has one family per metric."""
    script = {"file": files[0], "metric": "shop_orders"}
    metrics = set()
    for _ in range(2):
        items = await read(CommandReplies(EVAL_RO=GOOD), [script])  # type: ignore[list-item]
        metrics |= {one.metric for one in items if isinstance(one, Sample)}
    assert len([metric for metric in metrics if metric.full_name == "shop_orders"]) == 1


async def test_denied_key_fails_only_its_own_script(files: list[str]) -> None:
    async def evaluate(_: str, text: str, *_args: Any) -> Any:
        return GOOD if text == SCRIPT else KeyDeniedError("No permissions to access a key")

    items = await read(CommandReplies(EVAL_RO=evaluate), files[::-1])
    assert values(items) == FIRST_OK | {"script_result/second": 0}
