"""A source finds all nodes that most nodes see; lost and faulty nodes remove no other node."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from redis_pulse.discovery import DiscoveryError
from redis_pulse.discovery.announced import NOT_NEAR
from redis_pulse.discovery.cluster.source import FAILURES_BEFORE_CLEAR, NODES_PER_REFRESH, PREFERENCE_REFRESHES
from redis_pulse.discovery.cluster.topology import STATES
from redis_pulse.discovery.manager import make_source
from tests.discovery.cluster.fake_cluster import ClusterSetup, FakeNode, Line, shards_reply
from tests.fakes import Response, bulk, error
from tests.harness import eventually, target_settings

NODES, SLOTS = "redis_cluster_topology_nodes", "redis_cluster_topology_slots"
CHANGES, DISAGREE = "redis_cluster_topology_changes_total", "redis_cluster_topology_disagreeing_nodes"


@pytest.fixture
async def setup() -> AsyncIterator[ClusterSetup]:
    async with AsyncExitStack() as stack:
        yield ClusterSetup(stack)


async def test_one_seed_leads_to_all_nodes(setup: ClusterSetup) -> None:
    await setup.start("a a1 b b1 c c1")
    source = setup.make_source("a", template={"labels": {"team": "web"}})
    targets = await source.refresh()
    assert {target.name for target in targets} == {f"cart/{setup.address(name)}" for name in setup.nodes}
    assert all(target.labels == {"team": "web", "cluster": "cart"} for target in targets)
    assert setup.value(NODES, role="master", state="ok") == 3
    assert setup.value(NODES, role="replica", state="ok") == 3
    assert dict(setup.nonzero(SLOTS, "state")) == {"covered": 16384}
    replicas = {shard: setup.value("redis_cluster_topology_shard_replicas", shard=shard) for shard in ("0", "5461")}
    assert replicas == {"0": 1, "5461": 1}
    assert setup.value(DISAGREE) == 0
    assert dict(setup.nonzero(CHANGES, "change")) == {}


async def test_make_source_returns_a_cluster_source(setup: ClusterSetup) -> None:
    await setup.start("a")
    source = setup.make_source("a")
    assert type(make_source(source.settings, source._context)) is type(source)


async def test_all_roles_and_states_have_samples_after_the_first_refresh(setup: ClusterSetup) -> None:
    await setup.start("a")
    await setup.make_source("a").refresh()
    for role in ("master", "replica"):
        for state in STATES:
            assert setup.value(NODES, role=role, state=state) is not None


async def test_replicas_option_limits_targets_to_masters(setup: ClusterSetup) -> None:
    await setup.start("a a1 b b1")
    assert await setup.refresh_names(setup.make_source("a", replicas=False)) == {"a", "b"}
    assert setup.value(NODES, role="replica", state="ok") == 2


async def test_lost_seed_removes_no_target(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    source = setup.make_source("a")
    await source.refresh()
    await setup.nodes["a"].stop()
    setup.change("a", flags="master,fail")
    assert await setup.refresh_names(source) == {"a", "b", "c"}
    assert setup.value(NODES, role="master", state="fail") == 1
    assert setup.value(SLOTS, state="failing") == 5461
    assert setup.value(DISAGREE) == 0


async def test_next_seed_replaces_a_lost_one(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    await setup.nodes["a"].stop()
    assert await setup.refresh_names(setup.make_source("a", "b")) == {"a", "b", "c"}


async def test_known_nodes_are_queried_after_a_reload_if_no_seed_replies(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    await setup.nodes["a"].stop()
    known = [target_settings(f"redis://{setup.address(name)}", name=name) for name in "abc"]
    assert await setup.refresh_names(setup.make_source("a", known=lambda: known)) == {"a", "b", "c"}


async def test_reload_with_another_cluster_follows_that_one(setup: ClusterSetup) -> None:
    await setup.start("a b")
    await setup.start("x")
    setup.set_view("x", [replace(setup.lines["x"], slots="0-16383")])
    known = [target_settings(f"redis://{setup.address('a')}", name="a")]
    assert await setup.refresh_names(setup.make_source("x", known=lambda: known)) == {"x"}
    assert setup.nodes["a"].accepted == 0


async def test_gauges_vanish_after_several_refreshes_without_a_reply(setup: ClusterSetup) -> None:
    await setup.start("a b")
    source = setup.make_source("a")
    await source.refresh()
    for node in setup.nodes.values():
        await node.stop()
    for _ in range(FAILURES_BEFORE_CLEAR):
        assert setup.value(SLOTS, state="covered") == 16384
        with pytest.raises(DiscoveryError, match="no node of the cluster replies: 127"):
            await source.refresh()
    assert setup.value(SLOTS, state="covered") is None
    assert setup.value(DISAGREE) is None
    assert setup.value(CHANGES, change="role") == 0, "counters stay"


async def test_server_outside_a_cluster_is_an_error_with_its_message(setup: ClusterSetup) -> None:
    await setup.start("a")
    setup.nodes["a"].script("CLUSTER", error("ERR This instance has cluster support disabled"))
    with pytest.raises(DiscoveryError, match="cluster support disabled"):
        await setup.make_source("a").refresh()


async def test_empty_reply_is_an_error(setup: ClusterSetup) -> None:
    await setup.start("a")
    setup.set_view("a", [])
    with pytest.raises(DiscoveryError, match="cannot be read"):
        await setup.make_source("a").refresh()


async def test_added_and_removed_nodes_are_counted(setup: ClusterSetup) -> None:
    await setup.start("a b")
    source = setup.make_source("a")
    await source.refresh()
    late = await setup.stack.enter_async_context(FakeNode("late"))
    setup.nodes["late"], setup.lines["late"] = late, late.line
    late.view = lambda: [*setup.lines.values()]
    assert await setup.refresh_names(source) == {"a", "b", "late"}
    del setup.lines["late"]
    assert await setup.refresh_names(source) == {"a", "b"}
    assert dict(setup.nonzero(CHANGES, "change")) == {"node_added": 1, "node_removed": 1}


async def test_node_in_handshake_is_counted_and_no_target(setup: ClusterSetup) -> None:
    """Its id is temporary, and it may never become a member of the cluster."""
    await setup.start("a b")
    source = setup.make_source("a")
    setup.lines["shy"] = Line("shy", "127.0.0.1:1@2", flags="handshake")
    assert await setup.refresh_names(source) == {"a", "b"}
    assert setup.value(NODES, role="master", state="handshake") == 1
    assert setup.value(DISAGREE) == 0


async def test_node_without_address_is_counted_and_no_target(setup: ClusterSetup) -> None:
    await setup.start("a b")
    source = setup.make_source("a")
    setup.lines["lost"] = Line("lost", ":0@0", flags="slave,noaddr", master="a")
    assert await setup.refresh_names(source) == {"a", "b"}
    assert setup.value(NODES, role="replica", state="noaddr") == 1


async def test_failover_changes_roles_and_moves_no_slot(setup: ClusterSetup) -> None:
    await setup.start("a a1 b b1 c c1")
    source = setup.make_source("a")
    await source.refresh()
    setup.change("a1", flags="master", master="-", slots=setup.lines["a"].slots, epoch=9)
    setup.change("a", flags="slave", master="a1", slots="", epoch=9)
    await source.refresh()
    assert dict(setup.nonzero(CHANGES, "change")) == {"role": 2}
    assert setup.value("redis_cluster_topology_shard_replicas", shard="0") == 1


async def test_slots_moved_to_another_shard_are_counted(setup: ClusterSetup) -> None:
    await setup.start("a b")
    source = setup.make_source("a")
    await source.refresh()
    setup.change("a", slots="10-8191")
    setup.change("b", slots="0-9 8192-16383", epoch=9)
    await source.refresh()
    assert dict(setup.nonzero(CHANGES, "change")) == {"slots": 10}
    shards = {shard for shard, _ in setup.nonzero("redis_cluster_topology_shard_replicas", "shard")}
    assert shards == set(), "no shard has a replica"
    assert setup.value("redis_cluster_topology_shard_replicas", shard="10") == 0
    assert setup.value("redis_cluster_topology_shard_replicas", shard="8192") is None


async def test_moved_node_is_a_new_target_and_counts_as_address_change(setup: ClusterSetup) -> None:
    await setup.start("a b")
    source = setup.make_source("a")
    await source.refresh()
    other = await setup.stack.enter_async_context(FakeNode("b"))
    other.view = setup.nodes["b"].view
    setup.nodes["b"] = other
    setup.change("b", address=f"127.0.0.1:{other.port}@1")
    assert await setup.refresh_names(source) == {"a", "b"}
    assert dict(setup.nonzero(CHANGES, "change")) == {"address": 1}


async def test_failed_node_does_not_hide_its_replacement_at_the_same_address(setup: ClusterSetup) -> None:
    await setup.start("a b")
    setup.lines = {"old": Line("0ld", f"{setup.address('b')}@1", flags="slave,fail", master="a"), **setup.lines}
    targets = [target.address for target in await setup.make_source("a").refresh()]
    assert sorted(targets) == sorted([setup.address("a"), setup.address("b")])


# -- which view counts


async def test_dissenting_node_is_counted_and_outvoted(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    source = setup.make_source("a")
    stale = [replace(line, slots="0-16383" if name == "a" else "") for name, line in setup.lines.items()]
    setup.set_view("a", stale)
    assert await setup.refresh_names(source) == {"a", "b", "c"}
    assert setup.value(DISAGREE) == 1
    assert dict(setup.nonzero(SLOTS, "state")) == {"covered": 16384}
    assert setup.value("redis_cluster_topology_shard_replicas", shard="5461") == 0


async def test_unreachable_node_does_not_disagree(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    await setup.nodes["c"].stop()
    await setup.make_source("a").refresh()
    assert setup.value(DISAGREE) == 0


async def test_hanging_node_delays_a_refresh_only_until_its_deadline(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    setup.nodes["c"].script("CLUSTER", "never")
    source = setup.make_source("a", template={"poll": {"timeout": 0.5}})
    assert await setup.refresh_names(source) == {"a", "b", "c"}
    assert setup.value(DISAGREE) == 0
    assert setup.nodes["c"].request_count("NODES") == 1


async def test_state_of_a_node_is_the_opinion_of_most_nodes(setup: ClusterSetup) -> None:
    """A node that is cut off from the cluster bus suspects all others, and they suspect it."""
    await setup.start("a b c")
    source = setup.make_source("a")
    others = [replace(setup.lines[name], flags="master,fail?") for name in "bc"]
    setup.set_view("a", [setup.lines["a"], *others])
    await source.refresh()
    assert setup.value(NODES, role="master", state="ok") == 3
    assert setup.value(DISAGREE) == 0, "they agree on the owners of slots"


async def test_reset_node_removes_no_other_node(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    source = setup.make_source("a")
    await source.refresh()
    setup.set_view("a", [replace(setup.lines["a"], slots="")])
    assert await setup.refresh_names(source) == {"a", "b", "c"}
    assert setup.value(DISAGREE) == 1


async def test_reset_node_removes_no_other_node_even_if_only_it_replies(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    source = setup.make_source("a")
    await source.refresh()
    setup.set_view("a", [replace(setup.lines["a"], slots="")])
    for name in "bc":
        await setup.nodes[name].stop()
    with pytest.raises(DiscoveryError, match="have lost the other nodes"):
        await source.refresh()


async def test_reset_seed_is_outvoted_in_the_first_refresh(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    setup.set_view("a", [replace(setup.lines["a"], slots="")])
    assert await setup.refresh_names(setup.make_source("a", "b")) == {"a", "b", "c"}
    assert setup.value(DISAGREE) == 1


async def test_new_cluster_at_the_same_addresses_replaces_the_old_one(setup: ClusterSetup) -> None:
    await setup.start("a b")
    source = setup.make_source("a")
    await source.refresh()
    setup.lines = {name: replace(line, id=f"new-{name}") for name, line in setup.lines.items()}
    for node in setup.nodes.values():
        node.id = f"new-{node.id}"
    assert await setup.refresh_names(source) == {"a", "b"}
    assert dict(setup.nonzero(CHANGES, "change")) == {"node_added": 2, "node_removed": 2, "slots": 16384}


async def test_foreign_cluster_at_the_address_of_a_lost_node_is_rejected(setup: ClusterSetup) -> None:
    """Addresses of pods are used again. A seed in the configuration would be trusted."""
    await setup.start("a b")
    source = setup.make_source("a")
    await source.refresh()
    await setup.nodes["a"].stop()
    foreign = setup.nodes["b"]
    foreign.id = "foreign"
    foreign.view = lambda: [Line("foreign", f"127.0.0.1:{foreign.port}@1", slots="0-16383", epoch=99)]
    with pytest.raises(DiscoveryError, match="have lost the other nodes"):
        await source.refresh()


async def test_cluster_that_loses_most_of_its_nodes_is_trusted(setup: ClusterSetup) -> None:
    await setup.start("a b c d e")
    source = setup.make_source("a")
    await source.refresh()
    for name in "bcde":
        del setup.lines[name]
        await setup.nodes[name].stop()
    setup.change("a", slots="0-16383", epoch=9)
    assert await setup.refresh_names(source) == {"a"}


# -- the cost of a refresh


async def test_refresh_costs_one_command_per_node(setup: ClusterSetup) -> None:
    await setup.start("a a1 b b1")
    source = setup.make_source("a")
    for _ in range(3):
        await source.refresh()
    assert {node.request_count("NODES") for node in setup.nodes.values()} == {3}
    assert {node.accepted for node in setup.nodes.values()} == {1}, "the connections stay"
    assert all(node.received == [("CLUSTER", "NODES")] * 3 for node in setup.nodes.values())


async def test_large_cluster_is_queried_in_turns(setup: ClusterSetup) -> None:
    count = 2 * NODES_PER_REFRESH + 8
    await setup.start(" ".join(["a", *(f"a{number}" for number in range(1, count))]))
    source = setup.make_source("a")
    await source.refresh()
    first = sum(node.request_count("NODES") for node in setup.nodes.values())
    assert first == NODES_PER_REFRESH + 1, "the seed, and NODES_PER_REFRESH more"
    for _ in range(3):
        await source.refresh()
    counts = [node.request_count("NODES") for node in setup.nodes.values()]
    assert sum(counts) == first + 3 * NODES_PER_REFRESH
    assert min(counts) >= 1, "each node has had a turn"
    await eventually(lambda: not any(node.connected for node in setup.nodes.values()))  # no connection stays open


async def test_large_cluster_is_queried_completely_without_a_majority(setup: ClusterSetup) -> None:
    count = 2 * NODES_PER_REFRESH + 8
    await setup.start(" ".join(["a", *(f"a{number}" for number in range(1, count))]))
    lines = list(setup.lines.values())
    stale = [line for line in lines if line.id != "a1"]
    for name in list(setup.nodes)[2 : NODES_PER_REFRESH // 2]:
        setup.set_view(name, stale)
    assert len(await setup.make_source("a").refresh()) == count
    assert setup.value(DISAGREE) == NODES_PER_REFRESH // 2 - 2
    assert min(node.request_count("NODES") for node in setup.nodes.values()) == 1


async def test_dissenting_node_of_a_large_cluster_is_queried_each_time(setup: ClusterSetup) -> None:
    count = 2 * NODES_PER_REFRESH + 8
    await setup.start(" ".join(["a", *(f"a{number}" for number in range(1, count))]))
    source = setup.make_source("a")
    for _ in range(4):
        await source.refresh()
    before = sum(node.request_count("NODES") for node in setup.nodes.values())
    setup.set_view("a30", [line for line in setup.lines.values() if line.id != "a7"])
    seen: list[float] = []
    for _ in range(6):
        await source.refresh()
        seen.append(setup.value(DISAGREE) or 0)
    assert seen[-1] == 1
    assert seen == sorted(seen), "a known dissenter is queried in each refresh"
    assert sum(node.request_count("NODES") for node in setup.nodes.values()) == before + 6 * NODES_PER_REFRESH
    setup.nodes["a30"].view = setup.nodes["a"].view
    await source.refresh()
    assert setup.value(DISAGREE) == 0


async def test_change_known_to_all_nodes_is_trusted_at_once(setup: ClusterSetup) -> None:
    count = 2 * NODES_PER_REFRESH + 8
    await setup.start(" ".join(["a", *(f"a{number}" for number in range(1, count))]))
    source = setup.make_source("a")
    for _ in range(4):
        await source.refresh()
    del setup.lines["a9"]
    assert len(await source.refresh()) == count - 1
    assert setup.value(DISAGREE) == 0


async def test_breaker_limits_connections_to_a_node_that_is_down(setup: ClusterSetup) -> None:
    await setup.start("a b c")
    source = setup.make_source("a", template={"breaker": {"failure_threshold": 1, "open_interval": 30}})
    await source.refresh()
    setup.nodes["c"].greeting = "reset"
    await setup.nodes["c"].drop()
    for _ in range(6):
        setup.clock.advance(10)
        await source.refresh()
    assert setup.nodes["c"].accepted <= 5
    assert setup.value(NODES, role="master", state="ok") == 3


# -- which addresses count


async def test_server_outside_the_allow_list_gets_no_connection(setup: ClusterSetup) -> None:
    """An announced foreign host must not receive our password."""
    await setup.start("a b c")
    foreign = setup.nodes["c"].endpoint
    setup.is_allowed = lambda endpoint: endpoint != foreign
    source = setup.make_source("a", template={"password": "correct-horse"})
    assert await setup.refresh_names(source) == {"a", "b"}
    await source.refresh()
    assert setup.nodes["c"].accepted == 0
    assert ("not_allowed", f"{foreign.address} {NOT_NEAR}") in setup.rejected


async def test_node_that_lists_thousands_of_others_costs_only_its_own_view(
    setup: ClusterSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack M5: one node listed 3000 others, which took 1.3 GB."""
    monkeypatch.setattr("redis_pulse.discovery.cluster.node_clients.MAX_NODES", 20)
    await setup.start("a b c")
    others = [Line(f"x{number}", f"127.1.0.{number}:7000@17000") for number in range(1, 30)]
    setup.set_view("a", [*setup.lines.values(), *others])
    assert await setup.refresh_names(setup.make_source("a", "b")) == {"a", "b", "c"}
    with pytest.raises(DiscoveryError, match="CLUSTER NODES lists 32 nodes, and at most 20 are read"):
        await setup.make_source("a").refresh()


async def test_reply_of_a_node_that_cannot_be_read_costs_only_its_own_view(setup: ClusterSetup) -> None:
    """Attack L1: an epoch of 5000 digits lost the views of all other nodes."""
    await setup.start("a b c")
    line = setup.lines["a"]
    setup.nodes["a"].script("CLUSTER", bulk(line.text("a").replace(" 0 0 1 ", f" 0 0 {'9' * 5000} ")))
    assert await setup.refresh_names(setup.make_source("a", "b", "c")) == {"a", "b", "c"}


async def test_redirect_of_a_node_is_not_followed(setup: ClusterSetup) -> None:
    await setup.start("a b")
    setup.nodes["b"].script("CLUSTER", error(f"MOVED 7 127.0.0.1:{setup.nodes['a'].port}"))
    assert await setup.refresh_names(setup.make_source("a")) == {"a", "b"}
    assert setup.nodes["a"].request_count("NODES") == 1


async def test_seed_outside_the_allow_list_is_queried(setup: ClusterSetup) -> None:
    """The configuration names it. The manager decides whether it may also be a target."""
    await setup.start("a")
    setup.is_allowed = lambda _endpoint: False
    assert await setup.refresh_names(setup.make_source("a")) == {"a"}


async def test_invalid_host_name_is_rejected(setup: ClusterSetup) -> None:
    await setup.start("a b")
    setup.change("b", address="evil/../:6379@16379")
    assert await setup.refresh_names(setup.make_source("a")) == {"a"}
    assert setup.rejected == [("unreadable", "node b announces an invalid host name")]


@pytest.mark.parametrize(
    ("prefer", "announced", "host"),
    [
        ("ip", None, "127.0.0.1"),
        ("hostname", None, "localhost"),
        ("announced", "127.0.0.1", "127.0.0.1"),
        ("announced", "localhost", "localhost"),
        ("announced", "?", "localhost"),
    ],
)
async def test_prefer_option_selects_the_address(
    setup: ClusterSetup, prefer: str, announced: str | None, host: str
) -> None:
    await setup.start("a b")
    for name in "ab":
        setup.change(name, address=f"127.0.0.1:{setup.nodes[name].port}@1,localhost")
        if announced is not None:
            setup.nodes[name].shards = shards_reply(announced)
    targets = await setup.make_source("a", prefer=prefer).refresh()
    assert {target.address for target in targets} == {f"{host}:{setup.nodes[name].port}" for name in "ab"}


async def test_unknown_preferred_endpoint_means_the_address_of_the_seed(setup: ClusterSetup) -> None:
    """With ``cluster-preferred-endpoint-type unknown-endpoint``, all nodes share one address with different ports."""
    await setup.start("a b")
    for name in "ab":
        setup.change(name, address=f"10.255.255.1:{setup.nodes[name].port}@1")
        setup.nodes[name].shards = shards_reply(None)
    assert await setup.refresh_names(setup.make_source("a", prefer="announced")) == {"a", "b"}


async def test_preferred_endpoint_is_queried_rarely_and_from_one_node(setup: ClusterSetup) -> None:
    await setup.start("a b")
    setup.nodes["a"].shards = setup.nodes["b"].shards = shards_reply("127.0.0.1")
    source = setup.make_source("a", prefer="announced")
    for _ in range(PREFERENCE_REFRESHES):
        await source.refresh()
    assert sum(node.request_count("SHARDS") for node in setup.nodes.values()) == 1
    await source.refresh()
    assert sum(node.request_count("SHARDS") for node in setup.nodes.values()) == 2


@pytest.mark.parametrize(
    "denial",
    [
        "ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER HELP.",
        "NOPERM User exporter has no permissions to run the 'cluster|shards' command",
    ],
)
async def test_nodes_without_cluster_shards_are_reached_at_their_ips(setup: ClusterSetup, denial: str) -> None:
    await setup.start("a b")
    for name in "ab":
        setup.change(name, address=f"127.0.0.1:{setup.nodes[name].port}@1,localhost")
        setup.nodes[name].shards = error(denial)
    source = setup.make_source("a", prefer="announced")
    assert await setup.refresh_names(source) == {"a", "b"}
    assert await setup.refresh_names(source) == {"a", "b"}
    assert sum(node.request_count("SHARDS") for node in setup.nodes.values()) == 1


async def test_missing_cluster_shards_is_logged_once(setup: ClusterSetup, caplog: pytest.LogCaptureFixture) -> None:
    """The preference is queried again at long intervals. The same answer is no news."""
    await setup.start("a")
    source = setup.make_source("a", prefer="announced")
    with caplog.at_level(logging.INFO, "exporter.discovery"):
        for _ in range(PREFERENCE_REFRESHES + 1):
            await source.refresh()
    assert setup.nodes["a"].request_count("SHARDS") == 2
    assert caplog.text.count("preferred addresses not known") == 1


@pytest.mark.parametrize("failure", ["reset", error("LOADING the dataset is in memory"), error("NOAUTH")])
async def test_next_node_is_queried_for_the_preference_if_one_fails(setup: ClusterSetup, failure: Response) -> None:
    await setup.start("a b")
    for name in "ab":
        setup.change(name, address=f"127.0.0.1:{setup.nodes[name].port}@1,localhost")
    setup.nodes["a"].shards, setup.nodes["b"].shards = failure, shards_reply("localhost")
    with pytest.raises(DiscoveryError, match="it is unknown which address the nodes prefer"):
        await setup.make_source("a", prefer="announced").refresh()
    targets = await setup.make_source("a", "b", prefer="announced").refresh()
    assert {target.endpoint.host for target in targets} == {"localhost"}


async def test_single_node_without_its_own_address_is_where_it_was_queried(setup: ClusterSetup) -> None:
    await setup.start("a")
    setup.change("a", address=f":{setup.nodes['a'].port}@1")
    setup.nodes["a"].shards = shards_reply("")
    assert await setup.refresh_names(setup.make_source("a", prefer="announced")) == {"a"}


# -- who publishes


async def test_shard_that_does_not_own_the_cluster_publishes_only_targets(setup: ClusterSetup) -> None:
    await setup.start("a b")
    source = setup.make_source("a", owner=False)
    assert await setup.refresh_names(source) == {"a", "b"}
    assert setup.value(SLOTS, state="covered") is None
    assert setup.value(CHANGES, change="role") is None


async def test_closed_source_neither_queries_nor_publishes(setup: ClusterSetup) -> None:
    await setup.start("a b")
    source = setup.make_source("a")
    await source.aclose()
    with pytest.raises(DiscoveryError):
        await source.refresh()
    assert [node.accepted for node in setup.nodes.values()] == [0, 0]
    assert setup.value(SLOTS, state="covered") is None
