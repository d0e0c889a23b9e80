"""The canary writes and reads one private key. It finds errors that PING never gets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.config import CanarySettings
from redis_pulse.probe.canary import CanaryProbe, find_hash_tag, hash_slot, owned_hash_slots
from redis_pulse.probe.replication_delay import HeartbeatRegistry
from redis_pulse.server_info import Server
from tests.fakes import OK, FakeServer, Reply, bulk, error
from tests.harness import TargetHarness

NODES = """\
07c37df 127.0.0.1:30004@31004 slave e7d1eec 0 1426238317239 4 connected
e7d1eec 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-10 12 [93-<-292f8b3]
67ed2db 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922
"""


class CanaryHarness(TargetHarness):
    """A target with a canary. Tests set ``server.role``."""

    def __init__(self, url: str, heartbeats: HeartbeatRegistry | None = None, **changes: Any) -> None:
        super().__init__(url, canary=CanarySettings(enabled=True), **changes)
        self.server = Server(role="master", mode="standalone")
        self.heartbeats = heartbeats or HeartbeatRegistry("me")
        self.canary = CanaryProbe(
            self.client,
            self.server,
            self.target_metrics,
            self.observer,
            self.heartbeats,
            instance="me",
            clock=self.clock,
        )


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


def echo(server: FakeServer, count: int = 1) -> None:
    """Answer GET with the first values that the canary writes."""
    server.script("GET", *(bulk(f"me@127.0.0.1:{server.port}:{number}") for number in range(count)))


async def test_key_is_written_with_a_ttl_and_read_back(server: FakeServer) -> None:
    echo(server)
    watched = CanaryHarness(server.url)
    await watched.canary.run(0)
    value = f"me@127.0.0.1:{server.port}:0"
    assert server.received == [("SET", "redis-pulse:canary:me", value, "PX", "60000"), ("GET", "redis-pulse:canary:me")]
    assert (watched.total("write"), watched.total("read")) == (1, 1)
    assert watched.observer.runs == [("write", "ok"), ("read", "ok")]
    await watched.close()


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (error("READONLY You can't write against a read only replica."), "readonly"),
        (error("OOM command not allowed when used memory > 'maxmemory'."), "oom"),
        (error("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk."), "misconf"),
        (error("CLUSTERDOWN Hash slot not served"), "clusterdown"),
        (error("NOPERM User x has no permissions to run the 'set' command"), "permission"),
    ],
)
async def test_failed_write_has_its_own_reason_and_the_read_still_runs(
    server: FakeServer, reply: Reply, reason: str
) -> None:
    server.script("SET", reply)
    server.script("GET", bulk("anything"))
    watched = CanaryHarness(server.url)
    await watched.canary.run(0)
    assert watched.failures(reason, "write") == 1
    assert watched.observer.runs == [("write", reason), ("read", "ok")]
    assert watched.breaker.state == "closed"
    await watched.close()


async def test_read_of_another_value_than_was_written_is_a_failure(server: FakeServer) -> None:
    server.script("GET", bulk("something else"))
    watched = CanaryHarness(server.url)
    await watched.canary.run(0)
    assert watched.failures("other", "read") == 1
    await watched.close()


async def test_replica_is_only_read_to_measure_its_delay(server: FakeServer) -> None:
    async with FakeServer() as replica:
        primary = CanaryHarness(server.url)
        echo(server, 2)
        await primary.canary.run(0)
        behind = CanaryHarness(replica.url, primary.heartbeats)
        behind.server.role = "slave"
        behind.server.fields = {"master_host": "127.0.0.1", "master_port": str(server.port)}
        replica.script("GET", bulk(f"me@127.0.0.1:{server.port}:0"))
        await behind.canary.run(0)
        assert behind.canary.delay() == 0
        assert [command[0] for command in replica.received] == ["GET"]
        primary.clock.now = behind.clock.now = 2000.0
        await primary.canary.run(0)
        behind.clock.advance(3)
        assert behind.canary.delay() == 3
        await replica.stop()
        await behind.canary.run(0)  # it does not answer, and the delay keeps growing
        behind.clock.advance(4)
        assert behind.canary.delay() == 7
        await primary.close()
        await behind.close()


async def test_replica_without_a_monitored_primary_has_no_delay(server: FakeServer) -> None:
    watched = CanaryHarness(server.url)
    watched.server.role = "slave"
    watched.server.fields = {"master_host": "elsewhere", "master_port": "1"}
    await watched.canary.run(0)
    assert watched.canary.delay() is None
    assert server.received == []
    watched.server.role = "master"
    assert watched.canary.delay() is None
    await watched.close()


async def test_replica_of_a_cluster_is_read_after_readonly(server: FakeServer) -> None:
    watched = CanaryHarness(server.url)
    writes = watched.heartbeats.writes_to("p:1")
    writes.key = "k:{1}"
    writes.record_write(1000)
    watched.server.role, watched.server.mode = "slave", "cluster"
    watched.server.fields = {"master_host": "p", "master_port": "1"}
    await watched.canary.run(0)
    assert server.received == [("READONLY",), ("GET", "k:{1}")]
    await watched.close()


async def test_key_on_a_cluster_node_lies_in_a_hash_slot_of_the_node(server: FakeServer) -> None:
    server.script("CLUSTER", bulk(NODES))
    server.script("SET", OK, error("MOVED 12 127.0.0.1:30002"), OK)
    watched = CanaryHarness(server.url)
    watched.server.mode = "cluster"
    await watched.canary.run(0)
    key = next(command[1] for command in server.received if command[0] == "SET")
    tag = key.partition("{")[2].rstrip("}")
    assert hash_slot(tag) <= 12
    assert server.count("CLUSTER") == 1
    await watched.canary.run(0)  # the hash slot has moved
    await watched.canary.run(0)
    assert server.count("CLUSTER") == 2
    await watched.close()


async def test_node_without_hash_slots_is_a_failed_write(server: FakeServer) -> None:
    server.script("CLUSTER", bulk("a 127.0.0.1:1@2 myself,master - 0 0 1 connected"))
    watched = CanaryHarness(server.url)
    watched.server.mode = "cluster"
    await watched.canary.run(0)
    assert watched.failures("other", "write") == 1
    await watched.close()


async def test_nothing_is_written_before_the_server_is_known(server: FakeServer) -> None:
    """The server may be a replica."""
    watched = CanaryHarness(server.url)
    watched.canary._is_server_known = lambda: False
    await watched.canary.run(0)
    assert server.received == []
    assert watched.total("write") == 0
    await watched.close()


async def test_cancelled_run_is_counted_with_an_outcome(server: FakeServer) -> None:
    server.script("SET", "never")
    watched = CanaryHarness(server.url)
    run = asyncio.create_task(watched.canary.run(0))
    await server.arrived("SET")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (watched.total("write"), watched.failures("other", "write")) == (1, 1)
    await watched.close()


async def test_runs_that_never_started_are_counted(server: FakeServer) -> None:
    watched = CanaryHarness(server.url)
    watched.canary.missed(late=2, overrun=1)
    for name in ("write", "read"):
        assert (watched.total(name), watched.failures("skipped", name), watched.failures("timeout", name)) == (3, 2, 1)
    await watched.close()


def test_hash_slot_is_that_of_the_cluster_specification() -> None:
    assert hash_slot("123456789") == 0x31C3 % 16384
    assert hash_slot("foo") == 12182


def test_hash_tag_is_found_even_for_a_single_hash_slot() -> None:
    assert hash_slot(find_hash_tag([(16383, 16383)])) == 16383


def test_owned_hash_slots_are_read_without_those_that_migrate() -> None:
    assert owned_hash_slots(NODES) == [(0, 10), (12, 12)]


@given(st.text())
def test_any_reply_to_cluster_nodes_is_accepted(text: str) -> None:
    for first, last in owned_hash_slots(text + "\na b myself c d e f g " + text):
        assert 0 <= first <= last < 16384
