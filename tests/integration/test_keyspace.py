"""Looking at keys of real servers changes no LRU or LFU data. Its permissions suffice, and its values are true."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from redis_pulse.client import ConnectLimiter, DedicatedConnection
from redis_pulse.client.credentials import Credentials
from redis_pulse.collectors import load
from redis_pulse.config import TargetSettings
from redis_pulse.keyspace import KeyspaceSettings, KeyspaceState
from redis_pulse.keyspace_sampling import MAX_REPLY, KeyspaceSampler, examine_keyspace
from redis_pulse.keyspace_sampling.budget import Pace
from redis_pulse.keyspace_sampling.stand_alone import read_facts
from tests.harness import target_settings
from tests.integration.daemon import Daemon
from tests.integration.servers import RealServer
from tools import acl

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PASSWORD = "correct-horse"
FAST = Pace(every=1.0, turn=0.0, batch=50, hold=1.0)


def fill(server: RealServer) -> dict[str, str]:
    """Write keys of each type. Return their types by name."""
    pipeline = server.admin.pipeline(transaction=False)
    kinds: dict[str, str] = {}
    for number in range(40):
        pipeline.set(f"string:{number}", "x" * 100)
        pipeline.rpush(f"list:{number}", *range(20))
        pipeline.hset(f"hash:{number}", mapping={str(field): "v" for field in range(20)})
        pipeline.sadd(f"set:{number}", *(f"m{one}" for one in range(20)))
        pipeline.zadd(f"zset:{number}", {str(one): one for one in range(20)})
        pipeline.xadd(f"stream:{number}", {"n": number})
        kinds |= {f"{kind}:{number}": kind for kind in ("string", "list", "hash", "set", "zset", "stream")}
    pipeline.execute()
    return kinds


def recency(server: RealServer, names: list[str], word: str) -> list[Any]:
    pipeline = server.admin.pipeline(transaction=False)
    for name in names:
        pipeline.execute_command("OBJECT", word, name)
    return pipeline.execute()


async def walk_once(target: TargetSettings, *, passes: int = 2, turns: int = 200) -> KeyspaceState:
    """Look at all keys, several times, with everything that the sampler does."""
    state = KeyspaceState(KeyspaceSettings(keys_per_second=2000.0, server_share=1.0, measure_again=0.0))
    connection = DedicatedConnection(
        target, Credentials(target, on_not_renewed=lambda _reason: None), ConnectLimiter(), max_reply=MAX_REPLY
    )
    sampler = KeyspaceSampler(state, connection, is_allowed=lambda: "", pace=FAST)
    try:
        for _ in range(turns):
            state.observe(await read_facts(connection))
            await sampler.run()
            if state.walk.passes >= passes and state.draws_total >= 300:
                break
    finally:
        await sampler.aclose()
    return state


@pytest.mark.parametrize("with_memory", [True, False], ids=["sizes", "lengths"])
@pytest.mark.parametrize(("policy", "word"), [("allkeys-lru", "IDLETIME"), ("allkeys-lfu", "FREQ")])
async def test_walk_and_draws_change_no_idle_time_and_no_frequency(
    server: RealServer, policy: str, word: str, *, with_memory: bool
) -> None:
    """Also where MEMORY USAGE is denied, and lengths are read under CLIENT NO-TOUCH if the server has it."""
    # Frequencies decay each minute; without that, any change is ours.
    server.admin.config_set("maxmemory-policy", policy)
    server.admin.config_set("lfu-decay-time", 0)
    kinds = fill(server)
    changes: dict[str, Any] = {}
    if not with_memory:
        server.run("ACL", "SETUSER", "limited", "on", f">{PASSWORD}", "~*", "+@all", "-memory")
        changes = {"username": "limited", "password": PASSWORD}
    time.sleep(3)
    before = recency(server, list(kinds), word)
    began = time.monotonic()
    state = await walk_once(target_settings(server.url, **changes))
    after = recency(server, list(kinds), word)
    assert state.walk.passes >= 2
    assert state.draws_total >= 300
    assert state.capabilities.memory is with_memory
    if word == "FREQ":
        assert after == before
    else:
        assert min(before) >= 2
        elapsed = time.monotonic() - began
        assert all(0 <= now_idle - then <= elapsed + 2 for now_idle, then in zip(after, before, strict=True))
    has_lengths = any(giant.length is not None for giant in state.giants)
    assert has_lengths is (not with_memory and server.software == "valkey")


async def test_lengths_change_the_idle_time_without_no_touch(server: RealServer) -> None:
    """The reason for the rule: this is what the sampler must not do."""
    server.admin.config_set("maxmemory-policy", "allkeys-lru")
    server.admin.set("key", "x")
    time.sleep(2.2)
    assert server.admin.object("idletime", "key") >= 1
    server.admin.strlen("key")
    assert server.admin.object("idletime", "key") == 0


async def test_stand_alone_run_finds_every_pattern_and_its_memory(server: RealServer) -> None:
    kinds = fill(server)
    server.admin.select(5)
    server.admin.set("elsewhere", "y" * 100_000)
    server.admin.select(0)
    reports = [report async for report in examine_keyspace(target_settings(server.url), seconds=20)]
    report = reports[-1]
    assert report.certainty == f"All {len(kinds) + 1} keys were measured one by one."
    assert {(usage.pattern, usage.type) for usage in report.patterns if usage.db == 0} == {
        (f"{kind}:*", kind) for kind in kinds.values()
    }
    for usage in report.patterns:
        if usage.db == 0:
            true = sum(
                server.admin.memory_usage(name, samples=5) or 0 for name in kinds if name.startswith(usage.type + ":")
            )
            assert usage.memory == (true, 0.0)
            assert usage.keys == (40, 0.0)
    assert (report.largest[0].name, report.largest[0].db) == (b"elsewhere", 5)


async def test_line_of_the_docs_is_sufficient(server: RealServer) -> None:
    """All commands of the sampler, also those in place of MEMORY USAGE."""
    fill(server)
    groups = (acl.LIBRARY_NAME,) if server.software == "valkey" else ()
    for removed in ((), ("-memory|usage",)):
        line = acl.line([load()["keyspace_sample"]], groups=groups, password=PASSWORD, pattern="*")
        server.run(*line.split(), *removed)
        server.run("ACL", "LOG", "RESET")
        state = await walk_once(target_settings(server.url, username=acl.USER, password=PASSWORD))
        denied = {entry["object"] if isinstance(entry, dict) else entry for entry in server.admin.acl_log()}
        assert {str(name) for name in denied} <= {one.removeprefix("-") for one in removed}
        assert state.walk.passes >= 1


@pytest.mark.parametrize(
    ("command", "missing"),
    [("randomkey", "draws"), ("scan", "walk"), ("type", "types"), ("pttl", "expiry"), ("object|idletime", "idle")],
)
async def test_each_command_can_be_denied_and_the_rest_works(server: RealServer, command: str, missing: str) -> None:
    fill(server)
    line = acl.line([load()["keyspace_sample"]], password=PASSWORD, pattern="*")
    server.run(*line.split(), f"-{command}")
    state = await walk_once(target_settings(server.url, username=acl.USER, password=PASSWORD), turns=40)
    report = state.report()
    assert state.capabilities.denied == {command}, missing
    assert any(f"+{command}" in note for note in report.notes)
    assert report.patterns
    assert report.keys == 240


async def test_name_of_two_megabytes_is_counted_and_not_shown(server: RealServer) -> None:
    server.admin.set("x" * 2_000_000, "value")
    state = await walk_once(target_settings(server.url), turns=3)
    report = state.report(show_keys=True)
    assert state.oversized >= 1
    assert any("too long" in note for note in report.notes)
    assert "xxxx" not in repr(report)


def test_daemon_publishes_patterns_and_no_name_of_a_key(
    server: RealServer, start_daemon: Callable[..., Daemon]
) -> None:
    fill(server)
    server.admin.set("only:one:ann-smith", "z" * 50_000)
    options = {"keys_per_second": 5000, "server_share": 0.1}
    targets = [
        {
            "name": "t",
            "url": server.url,
            "poll": {"interval": "300ms", "timeout": "200ms"},
            "collectors": {"info": {}, "keyspace_sample": options},
        }
    ]
    daemon = start_daemon(config={"targets": targets})
    page = daemon.wait_for(lambda page: page.value("redis_keyspace_sample_walk_seconds", target="t") is not None)
    page = daemon.wait_for(
        lambda page: page.value("redis_keyspace_sample_keys", db="db0", pattern="hash:*", type="hash") == 40
    )
    assert page.value("redis_keyspace_sample_memory_error_bytes", pattern="hash:*", type="hash") == 0
    assert page.value("redis_keyspace_sample_without_expiry_ratio", pattern="hash:*", type="hash") == 1
    assert page.value("redis_collector_success", collector="keyspace_sample") == 1
    assert "ann-smith" not in page.text
    assert "only:" not in page.text
