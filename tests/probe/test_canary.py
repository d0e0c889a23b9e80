"""The canary writes and reads one private key, and finds what PING never meets."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.config import CanarySettings
from redis_pulse.probe.canary import CanaryProbe, hash_slot, owned_hash_slots, tag_in
from redis_pulse.probe.replication_delay import HeartbeatRegistry
from tests.fakes import OK, FakeServer, Reply, bulk, error
from tests.harness import TargetHarness

NODES = """\
07c37df 127.0.0.1:30004@31004 slave e7d1eec 0 1426238317239 4 connected
e7d1eec 127.0.0.1:30001@31001 myself,master - 0 0 1 connected 0-10 12 [93-<-292f8b3]
67ed2db 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922
"""


class Cared(TargetHarness):
    """A target with a canary; ``server.role`` is set by hand."""

    def __init__(self, url: str, beats: HeartbeatRegistry | None = None, **changes: Any) -> None:
        super().__init__(url, canary=CanarySettings(enabled=True), **changes)
        from redis_pulse.server_info import Server

        self.server = Server(role="master", mode="standalone")
        self.beats = beats or HeartbeatRegistry("me")
        self.canary = CanaryProbe(
            self.client, self.server, self.of_target, self.heard, self.beats, instance="me", clock=self.clock
        )


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


def echo(server: FakeServer, count: int = 1) -> None:
    """Answer GET with what the canary writes first."""
    server.script("GET", *(bulk(f"me@127.0.0.1:{server.port}:{number}") for number in range(count)))


async def test_a_key_is_written_with_a_ttl_and_read_back(server: FakeServer) -> None:
    echo(server)
    cared = Cared(server.url)
    await cared.canary.run(0)
    value = f"me@127.0.0.1:{server.port}:0"
    assert server.received == [("SET", "redis-pulse:canary:me", value, "PX", "60000"), ("GET", "redis-pulse:canary:me")]
    assert (cared.total("write"), cared.total("read")) == (1, 1)
    assert cared.heard.runs == [("write", "ok"), ("read", "ok")]
    await cared.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (error("READONLY You can't write against a read only replica."), "readonly"),
        (error("OOM command not allowed when used memory > 'maxmemory'."), "oom"),
        (error("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk."), "misconf"),
        (error("CLUSTERDOWN Hash slot not served"), "clusterdown"),
        (error("NOPERM User x has no permissions to run the 'set' command"), "permission"),
    ],
)
async def test_a_write_that_fails_has_a_reason_of_its_own_and_the_read_goes_on(
    server: FakeServer, answer: Reply, reason: str
) -> None:
    server.script("SET", answer)
    server.script("GET", bulk("anything"))
    cared = Cared(server.url)
    await cared.canary.run(0)
    assert cared.failures(reason, "write") == 1
    assert cared.heard.runs == [("write", reason), ("read", "ok")]
    assert cared.breaker.state == "closed"
    await cared.close()


async def test_a_read_that_shows_something_else_than_was_written_is_a_failure(server: FakeServer) -> None:
    server.script("GET", bulk("something else"))
    cared = Cared(server.url)
    await cared.canary.run(0)
    assert cared.failures("other", "read") == 1
    await cared.close()


async def test_a_replica_is_not_written_to_and_says_how_far_it_is_behind(server: FakeServer) -> None:
    async with FakeServer() as replica:
        primary = Cared(server.url)
        echo(server, 2)
        await primary.canary.run(0)
        behind = Cared(replica.url, primary.beats)
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
        await behind.canary.run(0)  # it does not answer: the delay goes on growing
        behind.clock.advance(4)
        assert behind.canary.delay() == 7
        await primary.close()
        await behind.close()


async def test_a_replica_whose_primary_is_not_watched_has_no_delay(server: FakeServer) -> None:
    cared = Cared(server.url)
    cared.server.role = "slave"
    cared.server.fields = {"master_host": "elsewhere", "master_port": "1"}
    await cared.canary.run(0)
    assert cared.canary.delay() is None
    assert server.received == []
    cared.server.role = "master"
    assert cared.canary.delay() is None
    await cared.close()


async def test_a_replica_of_a_cluster_is_told_that_we_only_read(server: FakeServer) -> None:
    cared = Cared(server.url)
    writer = cared.beats.writer("p:1")
    writer.key = "k:{1}"
    writer.record_write(1000)
    cared.server.role, cared.server.mode = "slave", "cluster"
    cared.server.fields = {"master_host": "p", "master_port": "1"}
    await cared.canary.run(0)
    assert server.received == [("READONLY",), ("GET", "k:{1}")]
    await cared.close()


async def test_on_a_node_of_a_cluster_the_key_lies_in_a_slot_of_its_own(server: FakeServer) -> None:
    server.script("CLUSTER", bulk(NODES))
    server.script("SET", OK, error("MOVED 12 127.0.0.1:30002"), OK)
    cared = Cared(server.url)
    cared.server.mode = "cluster"
    await cared.canary.run(0)
    key = next(command[1] for command in server.received if command[0] == "SET")
    tag = key.partition("{")[2].rstrip("}")
    assert hash_slot(tag) <= 12
    assert server.count("CLUSTER") == 1
    await cared.canary.run(0)  # the slot has moved
    await cared.canary.run(0)
    assert server.count("CLUSTER") == 2
    await cared.close()


async def test_a_node_without_slots_says_so(server: FakeServer) -> None:
    server.script("CLUSTER", bulk("a 127.0.0.1:1@2 myself,master - 0 0 1 connected"))
    cared = Cared(server.url)
    cared.server.mode = "cluster"
    await cared.canary.run(0)
    assert cared.failures("other", "write") == 1
    await cared.close()


async def test_nothing_is_written_before_it_is_known_what_the_server_is(server: FakeServer) -> None:
    """It may be a replica."""
    cared = Cared(server.url)
    cared.canary._known = lambda: False
    await cared.canary.run(0)
    assert server.received == []
    assert cared.total("write") == 0
    await cared.close()


async def test_a_cancelled_run_has_counted_its_slot(server: FakeServer) -> None:
    server.script("SET", "never")
    cared = Cared(server.url)
    run = asyncio.create_task(cared.canary.run(0))
    await server.arrived("SET")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert (cared.total("write"), cared.failures("other", "write")) == (1, 1)
    await cared.close()


async def test_runs_that_never_started_are_booked(server: FakeServer) -> None:
    cared = Cared(server.url)
    cared.canary.missed(late=2, overrun=1)
    for name in ("write", "read"):
        assert (cared.total(name), cared.failures("skipped", name), cared.failures("timeout", name)) == (3, 2, 1)
    await cared.close()


def test_the_slot_of_a_key_is_that_of_the_cluster_specification() -> None:
    assert hash_slot("123456789") == 0x31C3 % 16384
    assert hash_slot("foo") == 12182


def test_a_tag_is_found_even_for_a_single_slot() -> None:
    assert hash_slot(tag_in([(16383, 16383)])) == 16383


def test_the_slots_of_the_answering_node_are_read_without_those_that_migrate() -> None:
    assert owned_hash_slots(NODES) == [(0, 10), (12, 12)]


@given(st.text())
def test_whatever_cluster_nodes_says_is_survived(text: str) -> None:
    for first, last in owned_hash_slots(text + "\na b myself c d e f g " + text):
        assert 0 <= first <= last < 16384
