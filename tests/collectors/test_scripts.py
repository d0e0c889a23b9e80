import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.scripts import COLLECTOR, ERROR, VALUES, ScriptOptions, _values
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


class Answers:
    """Answers by the name of the command; ``asked`` lists these names."""

    def __init__(self, **replies: Any) -> None:
        self.replies = replies
        self.asked: list[str] = []

    async def execute(self, *args: str | int | bytes, db: int | None = None) -> Any:
        self.asked.append(str(args[0]))
        reply = self.replies[str(args[0])]
        if callable(reply):
            reply = await reply(*args)
        if isinstance(reply, TargetError):
            raise reply
        return reply

    async def pipeline(self, commands: Any, *, db: int | None = None) -> list[Any]:
        raise AssertionError("scripts run one by one")


async def read(commands: Commands, files: list[str], collector: Any = None, **options: Any) -> list[CollectorItem]:
    told = ScriptOptions(files=files, **options)
    return list(await (collector or COLLECTOR.for_target()).collect(Server(run_id="one"), commands, told))


def values(found: list[CollectorItem]) -> dict[str, float]:
    samples = [one for one in found if isinstance(one, Sample) and one.metric is not ERROR]
    return {"/".join((one.metric.name, *one.labels[:-1], Path(one.labels[-1]).stem)): one.value for one in samples}


ALL_WELL = {"script_result/first": 1, "script_values/orders/first": 9, "script_values/half/first": 0.5}


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_real_servers_run_it_and_refuse_to_let_it_write(server: str, files: list[str]) -> None:
    writing = server == "redis-6.2.14"  # has no EVAL_RO, and nobody recorded what it would have written
    found = await read(keys.commands(server), files[:1] if writing else files)
    assert values(found) == ALL_WELL | ({} if writing else {"script_result/second": 0})


async def test_the_text_is_sent_once(files: list[str]) -> None:
    commands = Answers(EVAL_RO=GOOD, EVALSHA_RO=GOOD)
    collector = COLLECTOR.for_target()
    for _ in range(3):
        assert values(await read(commands, files[:1], collector)) == ALL_WELL
    assert commands.asked == ["EVAL_RO", "EVALSHA_RO", "EVALSHA_RO"]


async def test_a_script_that_the_server_forgot_is_sent_again(files: list[str]) -> None:
    commands = Answers(EVAL_RO=GOOD, EVALSHA_RO=TargetError("No matching script."))
    collector = COLLECTOR.for_target()
    for _ in range(2):
        assert values(await read(commands, files[:1], collector)) == ALL_WELL
    assert commands.asked == ["EVAL_RO", "EVALSHA_RO", "EVAL_RO"]


async def test_an_older_server_runs_it_by_eval(files: list[str]) -> None:
    unknown = UnknownCommandError("unknown command")
    commands = Answers(EVAL_RO=unknown, EVALSHA_RO=unknown, EVAL=GOOD, EVALSHA=GOOD)
    collector = COLLECTOR.for_target()
    for _ in range(2):
        assert values(await read(commands, files[:1], collector)) == ALL_WELL
    assert commands.asked[:2] == ["EVAL_RO", "EVAL"]
    assert commands.asked[-1] == "EVALSHA"


async def test_scripts_may_write_where_the_option_says_so(files: list[str]) -> None:
    commands = Answers(EVAL=GOOD, EVALSHA=GOOD)
    assert values(await read(commands, files[:1], may_write=True)) == ALL_WELL


async def test_a_script_that_fails_costs_only_itself(files: list[str]) -> None:
    async def answer(_: str, text: str, *_args: Any) -> Any:
        return GOOD if text == SCRIPT else TargetError("user_script:1: attempt to index a nil value")

    found = await read(Answers(EVAL_RO=answer), files[::-1])
    assert values(found) == ALL_WELL | {"script_result/second": 0}
    text = "user_script:1: attempt to index a nil value"
    assert [one for one in found if isinstance(one, CollectorFault)] == [CollectorFault(files[1], "other", text)]


async def test_a_script_that_does_not_end_costs_only_itself(files: list[str]) -> None:
    async def answer(_: str, text: str, *_args: Any) -> Any:
        if text != SCRIPT:
            await asyncio.Event().wait()
        return GOOD

    found = await read(Answers(EVAL_RO=answer), files[::-1], timeout=0.01)
    assert values(found) == ALL_WELL | {"script_result/second": 0}
    assert [one for one in found if isinstance(one, CollectorFault)] == [
        CollectorFault(files[1], "timeout", "not done within 0.01 s")
    ]


async def test_a_file_that_is_gone_when_it_is_first_needed_costs_only_itself(files: list[str]) -> None:
    told = ScriptOptions(files=files[:1])
    Path(files[0]).unlink()
    found = list(await COLLECTOR.for_target().collect(Server(), FakeCommands({}), told))
    assert values(found) == {"script_result/first": 0}


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), BusyError("busy"), SkippedError("our own fault")])
async def test_what_concerns_the_server_goes_to_the_runner(error: TargetError, files: list[str]) -> None:
    with pytest.raises(type(error)):
        await read(Answers(EVAL_RO=error), files)


@pytest.mark.parametrize(
    ("reply", "result", "read", "rest"),
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
def test_what_a_script_may_return(reply: Any, result: float, read: dict[str, float], rest: list[CollectorItem]) -> None:
    first, *found = _values(reply, "f", 3)
    assert isinstance(first, Sample)
    assert first.value == result
    assert {one.labels[0]: one.value for one in found if isinstance(one, Sample) and one.metric is VALUES} == read
    assert [one for one in found if not isinstance(one, Sample | CollectorFault)] == rest
    faults = [one.reason for one in found if isinstance(one, CollectorFault)]
    assert faults == (["protocol"] if any(isinstance(one, UnreadableField) for one in rest) else [])
    assert [one.labels for one in found if isinstance(one, Sample) and one.metric is ERROR] == [
        ("f", reason) for reason in faults
    ]


@given(ODD)
def test_no_reply_breaks_it(reply: Any) -> None:
    assert list(_values(reply, "f", 3))


def test_a_sentinel_runs_no_scripts() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))


async def test_a_script_may_give_a_metric_of_its_own_whose_labels_are_parts_of_the_keys(files: list[str]) -> None:
    reply = [b"mail:open", 4, b"mail:late:very", 2, b"mail", 1, b"sms:open", b"many"]
    told = {"file": files[0], "metric": "shop_orders", "help": "Orders.", "labels": ["queue", "state"]}
    found = await read(Answers(EVAL_RO=reply), [told])  # type: ignore[list-item]
    own = [one for one in found if isinstance(one, Sample) and one.metric.full_name == "shop_orders"]
    assert {one.labels: one.value for one in own} == {("mail", "open"): 4, ("mail", "late:very"): 2}
    assert (own[0].metric.kind, own[0].metric.help, own[0].metric.labels) == ("gauge", "Orders.", ("queue", "state"))
    (fault,) = [one for one in found if isinstance(one, CollectorFault)]
    assert fault.text.startswith("some values cannot be used")
    assert values([one for one in found if one not in own]) == {"script_result/first": 1}


async def test_a_metric_without_labels_has_one_value_and_a_counter_is_never_below_zero(files: list[str]) -> None:
    alone = {"file": files[0], "metric": "shop_orders_total", "type": "counter", "labels": []}
    found = await read(Answers(EVAL_RO=[b"a", 4, b"b", 5, b"c", -1]), [alone])  # type: ignore[list-item]
    own = [one for one in found if isinstance(one, Sample) and one.metric.full_name == "shop_orders_total"]
    assert [one.value for one in own] == [4]
    assert found.count(UnreadableField("EVAL/key")) == 1
    assert found.count(UnreadableField("EVAL/value")) == 1


async def test_two_targets_share_the_row_of_a_metric(files: list[str]) -> None:
    """The page has one family a row."""
    told = {"file": files[0], "metric": "shop_orders"}
    rows = set()
    for _ in range(2):
        found = await read(Answers(EVAL_RO=GOOD), [told])  # type: ignore[list-item]
        rows |= {one.metric for one in found if isinstance(one, Sample)}
    assert len([row for row in rows if row.full_name == "shop_orders"]) == 1


async def test_a_key_that_is_denied_to_one_script_costs_only_that_one(files: list[str]) -> None:
    async def answer(_: str, text: str, *_args: Any) -> Any:
        return GOOD if text == SCRIPT else KeyDeniedError("No permissions to access a key")

    found = await read(Answers(EVAL_RO=answer), files[::-1])
    assert values(found) == ALL_WELL | {"script_result/second": 0}
