"""Denials can be alerted on, and no label has a name that may be a secret."""

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
REQUEST: replay.Request = (None, ("ACL", "LOG", 128))


def entry(count: Any, reason: bytes, what: bytes, user: bytes, age: bytes = b"1.5") -> list[Any]:
    """Return an entry as servers send it; ``client-info`` stands for ignored fields."""
    fields = {b"count": count, b"reason": reason, b"context": b"toplevel", b"object": what, b"username": user}
    pairs = fields | {b"age-seconds": age, b"client-info": b"id=7 addr=127.0.0.1:35734 user=bob"}
    return [part for pair in pairs.items() for part in pair]


async def read(reply: Any, collector: AclLogCollector = COLLECTOR, **options: Any) -> list[CollectorItem]:
    commands = FakeCommands({("ACL", "LOG", options.get("entries", 128)): reply})
    return list(await collector.for_target().collect(Server(), commands, AclLogOptions(**options)))


def denials(items: list[CollectorItem]) -> dict[tuple[str, ...], float]:
    return {one.labels: one.value for one in items if isinstance(one, Sample) and one.metric is DENIALS}


def values(items: list[CollectorItem]) -> dict[str, float]:
    return {one.metric.name: one.value for one in items if isinstance(one, Sample) and one.metric is not DENIALS}


@pytest.mark.parametrize("server", ["redis-6.2.14", "redis-7.0.15", "redis-8.2.3", "valkey-8.1.8", "valkey-9.1.2"])
async def test_real_logs_are_read_completely(server: str) -> None:
    items = await read(replay.recorded_sessions(server)["primary"][REQUEST][0])
    assert denials(items) == {
        ("command", "batch", "flushall"): 2,
        ("command", "batch", "config|get" if server != "redis-6.2.14" else "config"): 1,
        ("key", "batch", ""): 1,
        ("auth", "", ""): 1,
    }
    assert values(items)["acl_log_entries"] == 4
    assert 0 <= values(items)["acl_log_newest_age_seconds"] < 60
    assert not any(isinstance(one, UnreadableField) for one in items)


async def test_separate_entries_of_the_same_denial_are_summed() -> None:
    """A transaction, a script, and denials more than a minute apart have separate entries."""
    log = [entry(1, b"command", b"FLUSHALL", b"web", b"9"), entry(2, b"command", b"flushall", b"web", b"3.25")]
    items = await read(log)
    assert denials(items) == {("command", "web", "flushall"): 3}
    assert values(items) == {"acl_log_entries": 2, "acl_log_newest_age_seconds": 3.25}


async def test_labels_have_no_keys_and_no_names_of_failed_logins() -> None:
    """If a user types a password as the name, the server logs it, but the exporter does not publish it."""
    log = [
        entry(1, b"auth", b"AUTH", b"hunter2"),
        entry(1, b"key", b"user:42:token", b"web"),
        entry(1, b"channel", b"secret-news", b"web"),
    ]
    assert denials(await read(log)) == {("auth", "", ""): 1, ("key", "web", ""): 1, ("channel", "web", ""): 1}


async def test_empty_log_has_zero_entries_and_no_newest_entry() -> None:
    assert values(await read([])) == {"acl_log_entries": 0}


async def test_denials_beyond_the_limit_are_summed_and_series_are_kept() -> None:
    collector = AclLogCollector()
    logs = [
        [entry(5, b"command", b"get", b"a"), entry(1, b"command", b"set", b"a")],
        [entry(5, b"command", b"get", b"a"), entry(9, b"command", b"set", b"a")],
    ]
    options = AclLogOptions(max_denials=1)
    for log, rest in zip(logs, (1, 9), strict=True):
        items = list(await collector.collect(Server(), FakeCommands({"ACL LOG 128": log}), options))
        assert denials(items) == {("command", "a", "get"): 5, (OVERFLOW,) * 3: rest}
        assert OverflowCount(DENIALS.location, 1) in items


async def test_unreadable_entry_is_counted_and_does_not_affect_others() -> None:
    items = await read([entry(b"many", b"command", b"get", b"a"), 7, entry(1, b"key", b"k", b"a", b"nan")])
    assert denials(items) == {("key", "a", ""): 1}
    assert items.count(UnreadableField(DENIALS.location)) == 2
    assert values(items) == {"acl_log_entries": 3}


@given(ODD)
async def test_any_reply_is_read_without_an_exception(reply: Any) -> None:
    for one in await read(reply):
        assert not isinstance(one, Sample) or one.value >= 0


@pytest.mark.parametrize("error", [PermissionDeniedError("no"), UnknownCommandError("no")])
async def test_error_is_raised(error: Exception) -> None:
    with pytest.raises(type(error)):
        await read(error)


async def test_configured_number_of_entries_is_requested() -> None:
    assert values(await read([], entries=5)) == {"acl_log_entries": 0}


def test_not_collected_from_sentinels_and_targets_have_their_own_collector() -> None:
    assert not COLLECTOR.applies(Server(mode="sentinel"))
    assert COLLECTOR.for_target() is not COLLECTOR
