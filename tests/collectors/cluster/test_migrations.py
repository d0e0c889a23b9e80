"""Migrations of slots: the reply of a real Valkey 9.1.2, and the one that the documentation of Redis 8.4 describes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.collectors.cluster import COLLECTOR, ClusterOptions
from redis_pulse.collectors.cluster.migrations import parse_migration, read_migrations
from redis_pulse.errors import PermissionDeniedError
from redis_pulse.metric import OverflowCount, Sample, UnreadableField
from redis_pulse.server_info import Server
from tests.fakes import FakeCommands

NOW = 1795919100.0
INFO = b"cluster_state:ok\r\ncluster_known_nodes:2\r\n"
VALKEY = {"server_time_usec": "1795919100000000", "slot_migration_fork_in_progress": "0"}
REDIS = {"server_time_usec": "1795919100000000", "mem_cluster_slot_migration_output_buffer": "0"}


def of_valkey(**changes: Any) -> list[Any]:
    """Return an entry as Valkey 9.1.2 wrote it."""
    fields = {
        "name": b"2db1022b9910639ec4c06a01fc59880ce8ed42fb",
        "operation": b"EXPORT",
        "slot_ranges": b"0-4000 6000-6001",
        "target_node": b"8623f7c1b7755abd30f525349abf598c171c3cb0",
        "source_node": b"21d577aa3be9d1edeb830c72d77b967f558bf598",
        "create_time": 1795919070,
        "last_update_time": 1795919090,
        "last_ack_time": 1795919099,
        "state": b"snapshotting",
        "message": b"",
        "cow_size": 0,
        "remaining_repl_size": 4096,
    }
    return [part for name, value in (fields | changes).items() for part in (name.encode(), value)]


def of_redis(**changes: Any) -> list[Any]:
    """Return an entry as the documentation of CLUSTER MIGRATION STATUS describes it; its times are milliseconds."""
    fields = {
        "id": b"24cf41718b20f7f05901743dffc40bc9b15db339",
        "slots": b"0-1000 2000-2001",
        "source": b"21d577aa3be9d1edeb830c72d77b967f558bf598",
        "dest": b"8623f7c1b7755abd30f525349abf598c171c3cb0",
        "operation": b"migrate",
        "state": b"streaming-buf",
        "last_error": b"",
        "retries": b"2",
        "create_time": b"1795919070000",
        "start_time": b"1795919071000",
        "end_time": b"",
        "write_pause_ms": b"0",
    }
    return [part for name, value in (fields | changes).items() for part in (name.encode(), value)]


def read(*entries: Any, now: float | None = NOW) -> dict[tuple[str, ...], float]:
    """Return the values that are not 0."""
    items = list(read_migrations(list(entries), now))
    samples = [item for item in items if isinstance(item, Sample)]
    values = {(one.metric.name, *one.labels): one.value for one in samples}
    assert len(values) == len(samples), "duplicate series"
    return {labels: value for labels, value in values.items() if value}


def test_active_migration_of_valkey_has_its_progress() -> None:
    assert read(of_valkey()) == {
        ("slot_migrations", "export", "active"): 1,
        ("slot_migration_slots", "export"): 4003,
        ("slot_migration_age_seconds", "export"): 30,
        ("slot_migration_unchanged_seconds", "export"): 10,
        ("slot_migration_remaining_bytes", "export"): 4096,
    }


def test_active_migration_of_redis_has_its_progress() -> None:
    assert read(of_redis()) == {
        ("slot_migrations", "export", "active"): 1,
        ("slot_migration_slots", "export"): 1003,
        ("slot_migration_age_seconds", "export"): 30,
        ("slot_migration_retries", "export"): 2,
    }


def test_finished_migrations_are_counted_by_their_end() -> None:
    ends = {b"success": 1, b"failed": 2, b"cancelled": 1}
    entries = [of_valkey(state=state, operation=b"IMPORT") for state, count in ends.items() for _ in range(count)]
    assert read(*entries, of_redis(state=b"completed"), of_redis(state=b"canceled")) == {
        ("slot_migrations", "import", "success"): 1,
        ("slot_migrations", "import", "failed"): 2,
        ("slot_migrations", "import", "cancelled"): 1,
        ("slot_migrations", "export", "success"): 1,
        ("slot_migrations", "export", "cancelled"): 1,
    }


def test_oldest_active_migration_gives_the_age() -> None:
    values = read(of_valkey(create_time=1795919000), of_valkey(), of_valkey(state=b"failed", create_time=1))
    assert values["slot_migration_age_seconds", "export"] == 100


def test_age_is_missing_without_the_clock_of_the_server() -> None:
    assert not any(name == "slot_migration_age_seconds" for name, *_ in read(of_valkey(), now=None))


def test_node_without_migrations_reports_zeros() -> None:
    """A missing series would make alerts pending again, and graphs would have gaps."""
    samples = [item for item in read_migrations([], NOW) if isinstance(item, Sample)]
    assert {sample.value for sample in samples} == {0}
    assert ("slot_migration_age_seconds", "import") in {(one.metric.name, *one.labels) for one in samples}


@pytest.mark.parametrize("reply", [None, 7, b"text"])
def test_reply_that_is_no_list_is_counted(reply: Any) -> None:
    assert list(read_migrations(reply, NOW)) == [UnreadableField("CLUSTER GETSLOTMIGRATIONS/state")]


def test_entries_without_an_operation_or_beyond_the_limit_are_counted() -> None:
    items = list(read_migrations([of_valkey(operation=b"MOVE"), [], None, *[of_valkey()] * 2010], NOW))
    assert items.count(UnreadableField("CLUSTER GETSLOTMIGRATIONS/state")) == 3
    assert OverflowCount("CLUSTER GETSLOTMIGRATIONS/state", 13) in items


async def names(server: Server, replies: dict[str, Any], **options: Any) -> tuple[set[str], list[str]]:
    """Return the names of the samples of the whole collector, and the commands that it sent."""
    commands = FakeCommands({"CLUSTER INFO": INFO})
    commands.replies |= replies
    items = await COLLECTOR.collect(server, commands, ClusterOptions(**options))
    return {item.metric.name for item in items if isinstance(item, Sample)}, commands.requests


async def test_valkey_lists_its_migrations_always() -> None:
    found, sent = await names(Server(fields=VALKEY), {"CLUSTER GETSLOTMIGRATIONS": [of_valkey()]})
    assert "slot_migrations" in found
    assert sent == ["CLUSTER INFO", "CLUSTER GETSLOTMIGRATIONS"]


async def test_redis_lists_its_migrations_on_request_only() -> None:
    """The permission for the command also allows to move slots."""
    replies = {"CLUSTER MIGRATION STATUS ALL": [of_redis()]}
    found, sent = await names(Server(fields=REDIS), replies)
    assert "slot_migrations" not in found
    assert sent == ["CLUSTER INFO"]
    found, _ = await names(Server(fields=REDIS), replies, migration_status=True)
    assert "slot_migrations" in found


async def test_server_without_migrations_gets_no_further_command() -> None:
    """Each unknown command would count as an error reply of the server."""
    _, sent = await names(Server(fields={}), {}, migration_status=True)
    assert sent == ["CLUSTER INFO"]


async def test_user_who_may_not_list_migrations_keeps_the_rest() -> None:
    denied = PermissionDeniedError("NOPERM")
    found, _ = await names(Server(fields=VALKEY), {"CLUSTER GETSLOTMIGRATIONS": denied})
    assert "cluster_state" in found
    assert "slot_migrations" not in found


@given(st.recursive(st.none() | st.integers() | st.binary(max_size=8), lambda inner: st.lists(inner, max_size=6)))
def test_any_reply_is_read_without_an_exception(reply: Any) -> None:
    list(read_migrations(reply, NOW))
    parse_migration(reply)
