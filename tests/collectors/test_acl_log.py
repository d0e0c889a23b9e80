"""What the ACL log says can be alerted on, and no name that may be a secret is in it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.acl_log import COLLECTOR, DENIALS, AclLogCollector, AclLogOptions
from redis_pulse.collectors.support.labels import OVERFLOW
from redis_pulse.errors import PermissionDeniedError, UnknownCommandError
from redis_pulse.metric import CollectorItem, OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests import replay
from tests.fakes import FakeCommands

ODD = st.recursive(
    st.none()
    | st.integers()
    | st.sampled_from([b"count", b"reason", b"age-seconds", b"nan", b"1e400", b"\xff", b"-1"]),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)
ASKED: replay.Asked = (None, ("ACL", "LOG", 128))


def entry(count: Any, reason: bytes, what: bytes, user: bytes, age: bytes = b"1.5") -> list[Any]:
    """Make an entry as servers have it; ``client-info`` stands for what is passed over."""
    said = {b"count": count, b"reason": reason, b"context": b"toplevel", b"object": what, b"username": user}
    pairs = said | {b"age-seconds": age, b"client-info": b"id=7 addr=127.0.0.1:35734 user=bob"}
    return [part for pair in pairs.items() for part in pair]


async def read(reply: Any, collector: AclLogCollector = COLLECTOR, **options: Any) -> list[CollectorItem]:
    commands = FakeCommands({("ACL", "LOG", options.get("entries", 128)): reply})
    return list(await collector.for_target().collect(Server(), commands, AclLogOptions(**options)))


def denials(found: list[CollectorItem]) -> dict[tuple[str, ...], float]:
    return {one.labels: one.value for one in found if isinstance(one, Sample) and one.metric is DENIALS}


def values(found: list[CollectorItem]) -> dict[str, float]:
    return {one.metric.name: one.value for one in found if isinstance(one, Sample) and one.metric is not DENIALS}


@pytest.mark.parametrize("server", ["redis-6.2.14", "redis-7.0.15", "redis-8.2.3", "valkey-8.1.8", "valkey-9.1.2"])
async def test_real_logs_are_read_without_a_rest(server: str) -> None:
    found = await read(replay.recorded(server)["primary"][ASKED][0])
    assert denials(found) == {
        ("command", "batch", "flushall"): 2,
        ("command", "batch", "config|get" if server != "redis-6.2.14" else "config"): 1,
        ("key", "batch", ""): 1,
        ("auth", "", ""): 1,
    }
    assert values(found)["acl_log_entries"] == 4
    assert 0 <= values(found)["acl_log_newest_age_seconds"] < 60
    assert not any(isinstance(one, UnreadableField) for one in found)


async def test_denials_of_one_kind_add_up_though_the_log_has_them_apart() -> None:
    """In a transaction and in a script, or more than a minute apart, they are entries of their own."""
    log = [entry(1, b"command", b"FLUSHALL", b"web", b"9"), entry(2, b"command", b"flushall", b"web", b"3.25")]
    found = await read(log)
    assert denials(found) == {("command", "web", "flushall"): 3}
    assert values(found) == {"acl_log_entries": 2, "acl_log_newest_age_seconds": 3.25}


async def test_no_key_and_nothing_that_was_typed_as_a_name_is_in_a_label() -> None:
    """Who types a password where a name belongs has it logged by the server, but not published by us."""
    log = [
        entry(1, b"auth", b"AUTH", b"hunter2"),
        entry(1, b"key", b"user:42:token", b"web"),
        entry(1, b"channel", b"secret-news", b"web"),
    ]
    assert denials(await read(log)) == {("auth", "", ""): 1, ("key", "web", ""): 1, ("channel", "web", ""): 1}


async def test_an_empty_log_says_so_and_has_no_newest_entry() -> None:
    assert values(await read([])) == {"acl_log_entries": 0}


async def test_denials_beyond_the_limit_add_up_and_who_has_a_series_keeps_it() -> None:
    collector = AclLogCollector()
    logs = [
        [entry(5, b"command", b"get", b"a"), entry(1, b"command", b"set", b"a")],
        [entry(5, b"command", b"get", b"a"), entry(9, b"command", b"set", b"a")],
    ]
    options = AclLogOptions(max_denials=1)
    for log, rest in zip(logs, (1, 9), strict=True):
        found = list(await collector.collect(Server(), FakeCommands({"ACL LOG 128": log}), options))
        assert denials(found) == {("command", "a", "get"): 5, (OVERFLOW,) * 3: rest}
        assert OverflowCount(DENIALS.location, 1) in found


async def test_an_odd_entry_is_counted_and_the_others_stay() -> None:
    found = await read([entry(b"many", b"command", b"get", b"a"), 7, entry(1, b"key", b"k", b"a", b"nan")])
    assert denials(found) == {("key", "a", ""): 1}
    assert found.count(UnreadableField(DENIALS.location)) == 2
    assert values(found) == {"acl_log_entries": 3}


@given(ODD)
async def test_no_reply_breaks_it(reply: Any) -> None:
    for one in await read(reply):
        assert not isinstance(one, Sample) or one.value >= 0


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), UnknownCommandError("no")])
async def test_a_server_that_denies_it_is_the_runner_s_matter(error: Exception) -> None:
    with pytest.raises(type(error)):
        await read(error)


async def test_as_many_entries_are_read_as_it_is_told() -> None:
    assert values(await read([], entries=5)) == {"acl_log_entries": 0}


def test_a_sentinel_is_not_asked_and_targets_remember_their_own() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))
    assert COLLECTOR.for_target() is not COLLECTOR
