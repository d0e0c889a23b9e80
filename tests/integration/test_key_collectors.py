"""The key collectors on real servers, through the daemon: the page equals what a client reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.daemon import Daemon
from tests.integration.pages import Page
from tests.integration.servers import RealServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]

SCRIPT = "return {'users', #redis.call('KEYS', 'user:*'), 'half', '0.5'}"
#: COUNT is small, so that passes have several steps.
SCAN = {"count": 50, "budget": "500ms"}


@pytest.fixture
def filled(server: RealServer) -> RealServer:
    """Return a server with keys of all types in two databases, and streams with groups."""
    admin = server.admin
    with admin.pipeline(transaction=False) as pipeline:
        for number in range(700):
            pipeline.set(f"user:{number}", "x" * (number % 90))
        for number in range(300):
            pipeline.hset(f"cart:{number}", mapping={"item": number, "count": 1})
        pipeline.rpush("a list", *range(40))
        pipeline.sadd(b"set:\xff", *range(30))
        pipeline.zadd("zset", {"a": 1, "b": 2})
        pipeline.set("price", "41.5")
        pipeline.pfadd("visitors", *range(100))
        for stream in range(12):
            for number in range(stream + 1):
                pipeline.xadd(f"events:{stream}", {"n": number})
            pipeline.xgroup_create(f"events:{stream}", "billing", id="0")
            pipeline.xreadgroup("billing", "alice", {f"events:{stream}": ">"}, count=1)
        pipeline.execute_command("SELECT", 3)
        for number in range(50):
            pipeline.set(f"session:{number}", "y")
        pipeline.execute_command("SELECT", 0)
        pipeline.execute()
    return server


def collectors(folder: Path) -> dict[str, Any]:
    script = folder / "users.lua"
    script.write_text(SCRIPT)
    return {
        "info": {},
        "keys": SCAN | {"patterns": ["cart:1?", "set:*"], "keys": ["a list", "zset", "price", "missing", "visitors"]},
        "key_counts": SCAN | {"patterns": ["user:*", "cart:*", "db3=session:*", "db9=*"]},
        "key_groups": SCAN | {"groups": ["^([a-z]+):"], "max_distinct": 3},
        "streams": SCAN | {"patterns": "events:*", "per_consumer": True},
        "search_indexes": {},
        "scripts": {"files": [str(script)]},
    }


def is_complete(page: Page) -> bool:
    """Return whether all collectors have read everything."""
    return bool(
        len(page.matching("redis_keys_count")) == 4
        and page.matching("redis_key_group_count")
        and len(page.matching("redis_stream_length")) == 12
        and len(page.matching("redis_key_size")) == 15
        and page.matching("redis_script_values")
    )


def by(page: Page, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    return {tuple(dict(series)[label] for label in labels): value for series, value in page.matching(name).items()}


def test_page_equals_what_a_client_reads(filled: RealServer, watch: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = watch(filled, collectors=collectors(tmp_path))
    page = daemon.wait_for(is_complete)
    admin = filled.admin

    assert by(page, "redis_keys_count", "db", "key") == {
        ("db0", "user:*"): len(admin.keys("user:*")),
        ("db0", "cart:*"): len(admin.keys("cart:*")),
        ("db3", "session:*"): 50,
        ("db9", "*"): 0,
    }
    sizes = by(page, "redis_key_size", "key")
    assert sizes[("a list",)] == admin.llen("a list")
    assert sizes[("zset",)] == admin.zcard("zset")
    assert sizes[("set:�",)] == admin.scard(b"set:\xff")
    assert sizes[("price",)] == admin.strlen("price")
    assert sizes[("missing",)] == 0
    assert ("visitors",) not in sizes  # its count is stale, and PFCOUNT would write
    for number in range(10, 20):
        assert sizes[(f"cart:{number}",)] == admin.hlen(f"cart:{number}") == 2
    memory = by(page, "redis_key_memory_usage_bytes", "key")
    for key in ("a list", "zset", "visitors", "cart:10"):
        assert memory[(key,)] == admin.memory_usage(key)
    assert page.matching("redis_key_value") == {}

    groups = by(page, "redis_key_group_count", "db", "key_group")
    assert (groups[("db0", "user")], groups[("db0", "cart")], groups[("db3", "session")]) == (700, 300, 50)
    assert sum(value for (db, _), value in groups.items() if db == "db0") == admin.dbsize()
    used = by(page, "redis_key_group_memory_usage_bytes", "db", "key_group")
    assert used[("db0", "cart")] == sum(admin.memory_usage(f"cart:{number}") or 0 for number in range(300))
    # user, cart, set, events and unclassified: two of them are summed as overflow
    assert by(page, "redis_number_of_distinct_key_groups", "db") == {("db0",): 5, ("db3",): 1}
    assert ("db0", "overflow") in groups
    assert page.sum("redis_last_key_groups_scrape_duration_milliseconds") >= 0

    for number in range(12):
        stream = f"events:{number}"
        info = admin.xinfo_stream(stream)
        (group,) = admin.xinfo_groups(stream)
        (consumer,) = admin.xinfo_consumers(stream, "billing")
        labels = {"db": "db0", "stream": stream}
        assert page.value("redis_stream_length", **labels) == info["length"]
        assert page.value("redis_stream_radix_tree_keys", **labels) == info["radix-tree-keys"]
        assert page.value("redis_stream_last_entry_id", **labels) == milliseconds(info["last-entry"][0])
        assert page.value("redis_stream_first_entry_id", **labels) == milliseconds(info["first-entry"][0])
        assert page.value("redis_stream_entries_added_total", **labels) == info["entries-added"]
        assert page.value("redis_stream_group_lag", group="billing", **labels) == group["lag"]
        assert page.value("redis_stream_group_messages_pending", group="billing", **labels) == group["pending"]
        pending = page.value(
            "redis_stream_group_consumer_messages_pending", group="billing", consumer="alice", **labels
        )
        assert pending == consumer["pending"] == 1

    assert by(page, "redis_script_values", "key") == {("users",): 700, ("half",): 0.5}
    assert page.sum("redis_script_result") == 1


def milliseconds(name: bytes) -> int:
    return int(name.split(b"-")[0])


def test_collectors_cause_no_error_replies_and_write_nothing(
    filled: RealServer, watch: Callable[..., Daemon], tmp_path: Path
) -> None:
    """The only error is that of FT._LIST, which the server lacks. It is sent once.

    PFCOUNT, EVAL and writes are not sent.
    """
    filled.run("CONFIG", "RESETSTAT")
    before = filled.admin.info("persistence")["rdb_changes_since_last_save"]
    daemon = watch(filled, collectors=collectors(tmp_path), stalls={"enabled": False})
    daemon.wait_for(is_complete)
    daemon.wait_for(lambda page: page.operations("keys") >= 3)
    assert filled.admin.info("stats")["total_error_replies"] == 1
    assert filled.admin.info("persistence")["rdb_changes_since_last_save"] == before
    sent = {name.removeprefix("cmdstat_") for name in filled.admin.info("commandstats")}
    assert not {"pfcount", "eval", "evalsha", "get"} & sent
    assert {"eval_ro", "evalsha_ro", "scan", "memory|usage", "xinfo|stream"} <= sent


def test_values_and_cardinalities_are_exported_on_request(filled: RealServer, watch: Callable[..., Daemon]) -> None:
    options = {"keys": ["price", "user:3", "visitors"], "values": True, "text_values": True, "pfcount": True}
    daemon = watch(filled, collectors={"info": {}, "keys": options})
    page = daemon.wait_for(lambda page: page.matching("redis_key_value"))
    assert by(page, "redis_key_value", "key") == {("price",): 41.5}
    assert by(page, "redis_key_value_as_string", "key", "val") == {("user:3", "xxx"): 1}
    assert page.value("redis_key_size", key="visitors") == filled.admin.pfcount("visitors")


def test_bad_option_is_reported_before_anything_runs(tmp_path: Path) -> None:
    """The message has a location and a hint, and no traceback."""
    from redis_pulse.cli import main

    config = tmp_path / "bad.yaml"
    config.write_text("targets:\n  - {url: 'localhost:1', collectors: {key_groups: {groups: ['(']}}}\n")
    assert main(["check-config", "--config", str(config)]) != 0
