from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.streams.reader import StreamReader
from redis_pulse.errors import KeyDeniedError, LoadingError, PermissionDeniedError, TargetError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from tests.fake_keyspace import FakeKeyspace
from tests.recordings import keys

ODD = st.recursive(
    st.none() | st.integers() | st.sampled_from([b"name", b"pending", b"idle", b"length", b"5-1"]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)
BILLING = [b"name", b"billing", b"consumers", 1, b"pending", 2, b"last-delivered-id", b"7-0", b"lag", None]


async def read(commands: Any, *names: str, groups: int = 50, consumers: int = 0) -> list[CollectorItem]:
    keys = [(0, name.encode()) for name in names]
    results = await StreamReader(commands, 0, groups, consumers).read(keys)
    assert list(results) == keys
    return [one for items in results.values() for one in items]


def values(items: list[CollectorItem]) -> dict[str, float]:
    """Return values by metric and labels."""
    samples = [one for one in items if isinstance(one, Sample)]
    return {" ".join([one.metric.name.removeprefix("stream_"), *one.labels[1:]]): one.value for one in samples}


def space(groups: Any, stream: Any = (), consumers: Any = ()) -> FakeKeyspace:
    replies = {"STREAM": list(stream), "GROUPS": groups, "CONSUMERS": list(consumers)}
    return FakeKeyspace({}, overrides={"TYPE": b"stream", "XINFO": lambda *words: replies[words[1]]})


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_real_streams_are_read_by_field_name(server: str) -> None:
    actual = values(await read(keys.commands(server), "orders", consumers=10))
    expected = {
        "length orders": 9,
        "groups orders": 2,
        "last_generated_id orders": 1795380000010,
        "first_entry_id orders": 1795380000001,
        "last_entry_id orders": 1795380000010,
        "group_consumers orders billing": 2,
        "group_messages_pending orders billing": 6,
        "group_last_delivered_id orders billing": 1795380000007,
        "group_consumer_messages_pending orders billing alice": 4,
        "group_consumer_messages_pending orders billing bob": 2,
        "group_consumers orders mailing": 0,
    }
    assert {name: actual.get(name) for name in expected} == expected
    assert 0 <= actual["group_consumer_idle_seconds orders billing bob"] < 10
    newer = {"entries_added_total orders": 10, "max_deleted_entry_id orders": 1795380000002}
    assert {name: actual.get(name) for name in newer} == (newer if server != "redis-6.2.14" else dict.fromkeys(newer))


@pytest.mark.parametrize("server", keys.SERVERS)
async def test_empty_stream_has_ids_of_zero_and_other_keys_are_not_read(server: str) -> None:
    commands = keys.commands(server)
    actual = values(await read(commands, "log", "string", "missing"))
    assert (actual["length log"], actual["first_entry_id log"], actual["last_generated_id log"]) == (0, 0, 5)
    assert not any(
        "XINFO" in asked and "LOG" not in asked for asked in commands.requests
    )  # they would be error replies


async def test_consumers_are_read_only_on_request() -> None:
    commands = keys.commands(keys.SERVERS[0])
    await read(commands, "orders")
    assert not any("CONSUMERS" in asked for asked in commands.requests)


async def test_unknown_lag_has_no_sample() -> None:
    actual = values(await read(space([BILLING]), "s"))
    assert actual == {
        "group_consumers s billing": 1,
        "group_messages_pending s billing": 2,
        "group_last_delivered_id s billing": 7,
    }


async def test_groups_and_consumers_beyond_their_limits_are_counted() -> None:
    groups = [[b"name", b"%d" % number, b"pending", number] for number in range(5)]
    consumers = [[b"name", b"c%d" % number, b"pending", number, b"idle", 0] for number in range(4)]
    items = await read(space(groups, consumers=consumers), "s", groups=2, consumers=3)
    assert [one for one in items if isinstance(one, OverflowCount)] == [
        OverflowCount("XINFO GROUPS/name", 3),
        *[OverflowCount("XINFO CONSUMERS/name", 1)] * 2,
    ]
    assert len(values(items)) == 2 + 2 * 3 * 2


async def test_bad_parts_lose_only_their_own_samples() -> None:
    items = await read(space([BILLING, [b"no", b"name"], b"x"], stream=[b"length", b"x", b"groups", 1]), "s")
    assert [one.location for one in items if isinstance(one, UnreadableField)] == [
        "XINFO STREAM/length",
        *["XINFO GROUPS/name"] * 2,
    ]
    assert values(items)["groups s"] == 1


async def test_denied_stream_is_unreadable() -> None:
    denied = FakeKeyspace({}, overrides={"TYPE": b"stream", "XINFO": KeyDeniedError("no")})
    assert await read(denied, "s") == [UnreadableField("XINFO STREAM"), UnreadableField("XINFO GROUPS")]
    denied_type = FakeKeyspace({}, overrides={"TYPE": KeyDeniedError("no")})
    assert await read(denied_type, "s") == []


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), LoadingError("loading")])
async def test_error_of_the_whole_server_is_raised(error: TargetError) -> None:
    with pytest.raises(type(error)):
        await read(FakeKeyspace({}, overrides={"TYPE": b"stream", "XINFO": error}), "s")


@given(ODD, ODD, ODD)
async def test_any_reply_raises_nothing(stream: Any, groups: Any, consumers: Any) -> None:
    replies = {"STREAM": stream, "GROUPS": groups, "CONSUMERS": consumers}
    odd = FakeKeyspace({}, overrides={"TYPE": b"stream", "XINFO": lambda *words: replies[words[1]]})
    await read(odd, "s", consumers=3)
