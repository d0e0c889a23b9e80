"""Every node of a cluster is found, as most of them see it; nothing is lost by who goes or errs."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from redis_pulse.discovery import DiscoveryError
from redis_pulse.discovery.cluster.source import FAILURES_SHOWN, PREFERENCE_LASTS, VIEWS
from redis_pulse.discovery.cluster.topology import STATES
from redis_pulse.discovery.manager import MAKERS
from tests.discovery.cluster.fake_cluster import ClusterSetup, FakeNode, Line, endpoints_are
from tests.fakes import Response, error
from tests.harness import eventually, target_settings

NODES, SLOTS = "redis_cluster_topology_nodes", "redis_cluster_topology_slots"
CHANGES, DISAGREE = "redis_cluster_topology_changes_total", "redis_cluster_topology_disagreeing_nodes"


@pytest.fixture
async def room() -> AsyncIterator[ClusterSetup]:
    async with AsyncExitStack() as stack:
        yield ClusterSetup(stack)


async def test_one_seed_leads_to_every_node(room: ClusterSetup) -> None:
    await room.start("a a1 b b1 c c1")
    source = room.source("a", template={"labels": {"team": "web"}})
    targets = await source.refresh()
    assert {target.name for target in targets} == {f"cart/{room.address(name)}" for name in room.nodes}
    assert all(target.labels == {"team": "web", "cluster": "cart"} for target in targets)
    assert room.value(NODES, role="master", state="ok") == 3
    assert room.value(NODES, role="replica", state="ok") == 3
    assert dict(room.counts(SLOTS, "state")) == {"covered": 16384}
    replicas = {shard: room.value("redis_cluster_topology_shard_replicas", shard=shard) for shard in ("0", "5461")}
    assert replicas == {"0": 1, "5461": 1}
    assert room.value(DISAGREE) == 0
    assert dict(room.counts(CHANGES, "change")) == {}


async def test_the_maker_makes_it(room: ClusterSetup) -> None:
    await room.start("a")
    made = room.source("a")
    assert type(MAKERS["cluster"](made.settings, made._context)) is type(made)


async def test_every_role_and_state_is_there_from_the_start(room: ClusterSetup) -> None:
    await room.start("a")
    await room.source("a").refresh()
    for role in ("master", "replica"):
        for state in STATES:
            assert room.value(NODES, role=role, state=state) is not None


async def test_masters_alone_are_watched_when_that_is_wished(room: ClusterSetup) -> None:
    await room.start("a a1 b b1")
    assert await room.found(room.source("a", replicas=False)) == {"a", "b"}
    assert room.value(NODES, role="replica", state="ok") == 2


async def test_the_loss_of_the_seed_loses_nothing(room: ClusterSetup) -> None:
    await room.start("a b c")
    source = room.source("a")
    await source.refresh()
    await room.nodes["a"].stop()
    room.change("a", flags="master,fail")
    assert await room.found(source) == {"a", "b", "c"}
    assert room.value(NODES, role="master", state="fail") == 1
    assert room.value(SLOTS, state="failing") == 5461
    assert room.value(DISAGREE) == 0


async def test_a_seed_that_is_gone_is_made_up_for_by_the_next_one(room: ClusterSetup) -> None:
    await room.start("a b c")
    await room.nodes["a"].stop()
    assert await room.found(room.source("a", "b")) == {"a", "b", "c"}


async def test_after_a_reload_the_nodes_known_before_are_asked_when_no_seed_answers(room: ClusterSetup) -> None:
    await room.start("a b c")
    await room.nodes["a"].stop()
    known = [target_settings(f"redis://{room.address(name)}", name=name) for name in "abc"]
    assert await room.found(room.source("a", known=lambda: known)) == {"a", "b", "c"}


async def test_a_reload_that_names_another_cluster_leads_there(room: ClusterSetup) -> None:
    await room.start("a b")
    await room.start("x")
    room.sees("x", [replace(room.lines["x"], slots="0-16383")])
    known = [target_settings(f"redis://{room.address('a')}", name="a")]
    assert await room.found(room.source("x", known=lambda: known)) == {"x"}
    assert room.nodes["a"].accepted == 0


async def test_when_nobody_answers_what_was_known_stays_and_is_not_shown_as_true_for_long(room: ClusterSetup) -> None:
    await room.start("a b")
    source = room.source("a")
    await source.refresh()
    for node in room.nodes.values():
        await node.stop()
    for _ in range(FAILURES_SHOWN):
        assert room.value(SLOTS, state="covered") == 16384
        with pytest.raises(DiscoveryError, match="no node of the cluster answers: 127"):
            await source.refresh()
    assert room.value(SLOTS, state="covered") is None
    assert room.value(DISAGREE) is None
    assert room.value(CHANGES, change="role") == 0, "what was counted stays"


async def test_a_server_that_is_no_cluster_is_said_to_be_none(room: ClusterSetup) -> None:
    await room.start("a")
    room.nodes["a"].script("CLUSTER", error("ERR This instance has cluster support disabled"))
    with pytest.raises(DiscoveryError, match="cluster support disabled"):
        await room.source("a").refresh()


async def test_an_answer_that_says_nothing_is_no_view(room: ClusterSetup) -> None:
    await room.start("a")
    room.sees("a", [])
    with pytest.raises(DiscoveryError, match="cannot be read"):
        await room.source("a").refresh()


async def test_nodes_come_and_go_and_are_counted(room: ClusterSetup) -> None:
    await room.start("a b")
    source = room.source("a")
    await source.refresh()
    late = await room.stack.enter_async_context(FakeNode("late"))
    room.nodes["late"], room.lines["late"] = late, late.line
    late.sees = lambda: [*room.lines.values()]
    assert await room.found(source) == {"a", "b", "late"}
    del room.lines["late"]
    assert await room.found(source) == {"a", "b"}
    assert dict(room.counts(CHANGES, "change")) == {"node_added": 1, "node_removed": 1}


async def test_one_in_handshake_is_counted_and_no_target(room: ClusterSetup) -> None:
    """Its id is made up, and nobody knows yet whether it belongs to the cluster at all."""
    await room.start("a b")
    source = room.source("a")
    room.lines["shy"] = Line("shy", "127.0.0.1:1@2", flags="handshake")
    assert await room.found(source) == {"a", "b"}
    assert room.value(NODES, role="master", state="handshake") == 1
    assert room.value(DISAGREE) == 0


async def test_one_without_an_address_is_counted_and_no_target(room: ClusterSetup) -> None:
    await room.start("a b")
    source = room.source("a")
    room.lines["lost"] = Line("lost", ":0@0", flags="slave,noaddr", master="a")
    assert await room.found(source) == {"a", "b"}
    assert room.value(NODES, role="replica", state="noaddr") == 1


async def test_a_failover_changes_roles_and_moves_no_slot(room: ClusterSetup) -> None:
    await room.start("a a1 b b1 c c1")
    source = room.source("a")
    await source.refresh()
    room.change("a1", flags="master", master="-", slots=room.lines["a"].slots, epoch=9)
    room.change("a", flags="slave", master="a1", slots="", epoch=9)
    await source.refresh()
    assert dict(room.counts(CHANGES, "change")) == {"role": 2}
    assert room.value("redis_cluster_topology_shard_replicas", shard="0") == 1


async def test_slots_that_move_to_another_shard_are_counted(room: ClusterSetup) -> None:
    await room.start("a b")
    source = room.source("a")
    await source.refresh()
    room.change("a", slots="10-8191")
    room.change("b", slots="0-9 8192-16383", epoch=9)
    await source.refresh()
    assert dict(room.counts(CHANGES, "change")) == {"slots": 10}
    shards = {shard for shard, _ in room.counts("redis_cluster_topology_shard_replicas", "shard")}
    assert shards == set(), "no shard has a replica"
    assert room.value("redis_cluster_topology_shard_replicas", shard="10") == 0
    assert room.value("redis_cluster_topology_shard_replicas", shard="8192") is None


async def test_a_node_that_moves_is_a_new_target_and_counted_as_an_address(room: ClusterSetup) -> None:
    await room.start("a b")
    source = room.source("a")
    await source.refresh()
    other = await room.stack.enter_async_context(FakeNode("b"))
    other.sees = room.nodes["b"].sees
    room.nodes["b"] = other
    room.change("b", address=f"127.0.0.1:{other.port}@1")
    assert await room.found(source) == {"a", "b"}
    assert dict(room.counts(CHANGES, "change")) == {"address": 1}


async def test_one_that_failed_and_was_replaced_at_its_address_does_not_hide_the_new_one(room: ClusterSetup) -> None:
    await room.start("a b")
    room.lines = {"old": Line("0ld", f"{room.address('b')}@1", flags="slave,fail", master="a"), **room.lines}
    targets = [target.address for target in await room.source("a").refresh()]
    assert sorted(targets) == sorted([room.address("a"), room.address("b")])


# -- who is believed


async def test_a_node_that_sees_another_topology_is_counted_and_outvoted(room: ClusterSetup) -> None:
    await room.start("a b c")
    source = room.source("a")
    stale = [replace(line, slots="0-16383" if name == "a" else "") for name, line in room.lines.items()]
    room.sees("a", stale)
    assert await room.found(source) == {"a", "b", "c"}
    assert room.value(DISAGREE) == 1
    assert dict(room.counts(SLOTS, "state")) == {"covered": 16384}
    assert room.value("redis_cluster_topology_shard_replicas", shard="5461") == 0


async def test_a_node_that_does_not_answer_does_not_disagree(room: ClusterSetup) -> None:
    await room.start("a b c")
    await room.nodes["c"].stop()
    await room.source("a").refresh()
    assert room.value(DISAGREE) == 0


async def test_a_node_that_hangs_holds_up_a_look_no_longer_than_its_deadline(room: ClusterSetup) -> None:
    await room.start("a b c")
    room.nodes["c"].script("CLUSTER", "never")
    source = room.source("a", template={"poll": {"timeout": 0.05}})
    assert await room.found(source) == {"a", "b", "c"}
    assert room.value(DISAGREE) == 0
    assert room.nodes["c"].asked_for("NODES") == 1


async def test_how_a_node_is_doing_is_what_most_think(room: ClusterSetup) -> None:
    """One that is cut off from the bus suspects all the others, and they suspect it."""
    await room.start("a b c")
    source = room.source("a")
    others = [replace(room.lines[name], flags="master,fail?") for name in "bc"]
    room.sees("a", [room.lines["a"], *others])
    await source.refresh()
    assert room.value(NODES, role="master", state="ok") == 3
    assert room.value(DISAGREE) == 0, "of who owns what they think the same"


async def test_a_node_that_was_reset_takes_no_other_along(room: ClusterSetup) -> None:
    await room.start("a b c")
    source = room.source("a")
    await source.refresh()
    room.sees("a", [replace(room.lines["a"], slots="")])
    assert await room.found(source) == {"a", "b", "c"}
    assert room.value(DISAGREE) == 1


async def test_a_node_that_was_reset_takes_no_other_along_even_when_it_alone_answers(room: ClusterSetup) -> None:
    await room.start("a b c")
    source = room.source("a")
    await source.refresh()
    room.sees("a", [replace(room.lines["a"], slots="")])
    for name in "bc":
        await room.nodes[name].stop()
    with pytest.raises(DiscoveryError, match="do not know the others any more"):
        await source.refresh()


async def test_a_seed_that_was_reset_is_outvoted_from_the_start(room: ClusterSetup) -> None:
    await room.start("a b c")
    room.sees("a", [replace(room.lines["a"], slots="")])
    assert await room.found(room.source("a", "b")) == {"a", "b", "c"}
    assert room.value(DISAGREE) == 1


async def test_a_cluster_that_was_made_anew_at_the_same_addresses_is_taken(room: ClusterSetup) -> None:
    await room.start("a b")
    source = room.source("a")
    await source.refresh()
    anew = {name: replace(line, id=f"new-{name}") for name, line in room.lines.items()}
    room.lines = anew
    for node in room.nodes.values():
        node.id = f"new-{node.id}"
    assert await room.found(source) == {"a", "b"}
    assert dict(room.counts(CHANGES, "change")) == {"node_added": 2, "node_removed": 2, "slots": 16384}


async def test_another_cluster_that_got_the_address_of_a_lost_node_is_not_taken(room: ClusterSetup) -> None:
    """Where addresses are used again, as pods' are; unless the configuration itself names that one."""
    await room.start("a b")
    source = room.source("a")
    await source.refresh()
    await room.nodes["a"].stop()
    foreign = room.nodes["b"]
    foreign.id = "foreign"
    foreign.sees = lambda: [Line("foreign", f"127.0.0.1:{foreign.port}@1", slots="0-16383", epoch=99)]
    with pytest.raises(DiscoveryError, match="do not know the others any more"):
        await source.refresh()


async def test_a_cluster_that_shrinks_by_most_of_its_nodes_is_believed(room: ClusterSetup) -> None:
    await room.start("a b c d e")
    source = room.source("a")
    await source.refresh()
    for name in "bcde":
        del room.lines[name]
        await room.nodes[name].stop()
    room.change("a", slots="0-16383", epoch=9)
    assert await room.found(source) == {"a"}


# -- at what cost


async def test_a_refresh_costs_one_command_a_node(room: ClusterSetup) -> None:
    await room.start("a a1 b b1")
    source = room.source("a")
    for _ in range(3):
        await source.refresh()
    assert {node.asked_for("NODES") for node in room.nodes.values()} == {3}
    assert {node.accepted for node in room.nodes.values()} == {1}, "the connection stays"
    assert all(node.received == [("CLUSTER", "NODES")] * 3 for node in room.nodes.values())


async def test_of_many_nodes_so_many_are_asked_in_turns(room: ClusterSetup) -> None:
    count = 2 * VIEWS + 8
    await room.start(" ".join(["a", *(f"a{number}" for number in range(1, count))]))
    source = room.source("a")
    await source.refresh()
    first = sum(node.asked_for("NODES") for node in room.nodes.values())
    assert first == VIEWS + 1, "the seed, and so many more"
    for _ in range(3):
        await source.refresh()
    asked = [node.asked_for("NODES") for node in room.nodes.values()]
    assert sum(asked) == first + 3 * VIEWS
    assert min(asked) >= 1, "everybody has had a turn"
    await eventually(lambda: not any(node.connected for node in room.nodes.values()))  # no connection stays open


async def test_of_many_nodes_all_are_asked_when_it_is_not_clear_what_most_see(room: ClusterSetup) -> None:
    count = 2 * VIEWS + 8
    await room.start(" ".join(["a", *(f"a{number}" for number in range(1, count))]))
    lines = list(room.lines.values())
    stale = [line for line in lines if line.id != "a1"]
    for name in list(room.nodes)[2 : VIEWS // 2]:
        room.sees(name, stale)
    assert len(await room.source("a").refresh()) == count
    assert room.value(DISAGREE) == VIEWS // 2 - 2
    assert min(node.asked_for("NODES") for node in room.nodes.values()) == 1


async def test_of_many_nodes_one_that_disagrees_is_found_and_then_watched(room: ClusterSetup) -> None:
    count = 2 * VIEWS + 8
    await room.start(" ".join(["a", *(f"a{number}" for number in range(1, count))]))
    source = room.source("a")
    for _ in range(4):
        await source.refresh()
    before = sum(node.asked_for("NODES") for node in room.nodes.values())
    room.sees("a30", [line for line in room.lines.values() if line.id != "a7"])
    seen: list[float] = []
    for _ in range(6):
        await source.refresh()
        seen.append(room.value(DISAGREE) or 0)
    assert seen[-1] == 1
    assert seen == sorted(seen), "once found it is asked each time"
    assert sum(node.asked_for("NODES") for node in room.nodes.values()) == before + 6 * VIEWS
    room.nodes["a30"].sees = room.nodes["a"].sees
    await source.refresh()
    assert room.value(DISAGREE) == 0


async def test_a_change_that_all_know_is_believed_at_once_though_few_are_asked(room: ClusterSetup) -> None:
    count = 2 * VIEWS + 8
    await room.start(" ".join(["a", *(f"a{number}" for number in range(1, count))]))
    source = room.source("a")
    for _ in range(4):
        await source.refresh()
    del room.lines["a9"]
    assert len(await source.refresh()) == count - 1
    assert room.value(DISAGREE) == 0


async def test_a_node_that_is_down_is_left_in_peace_by_its_own_breaker(room: ClusterSetup) -> None:
    await room.start("a b c")
    source = room.source("a", template={"breaker": {"failure_threshold": 1, "open_interval": 30}})
    await source.refresh()
    room.nodes["c"].greeting = "reset"
    await room.nodes["c"].drop()
    for _ in range(6):
        room.clock.advance(10)
        await source.refresh()
    assert room.nodes["c"].accepted <= 5
    assert room.value(NODES, role="master", state="ok") == 3


# -- where they are


async def test_no_server_is_asked_that_may_not_be_a_target(room: ClusterSetup) -> None:
    """A node that announces a foreign host must not make us show it our password."""
    await room.start("a b c")
    away = room.nodes["c"].endpoint
    room.allowed = lambda endpoint: endpoint != away
    source = room.source("a", template={"password": "correct-horse"})
    assert await room.found(source) == {"a", "b"}
    await source.refresh()
    assert room.nodes["c"].accepted == 0
    assert ("not_allowed", f"{away.address} is not in discovery.allow") in room.refused


async def test_nobody_is_followed_to_where_a_node_redirects(room: ClusterSetup) -> None:
    await room.start("a b")
    room.nodes["b"].script("CLUSTER", error(f"MOVED 7 127.0.0.1:{room.nodes['a'].port}"))
    assert await room.found(room.source("a")) == {"a", "b"}
    assert room.nodes["a"].asked_for("NODES") == 1


async def test_a_seed_may_be_asked_though_the_list_does_not_name_it(room: ClusterSetup) -> None:
    """The configuration names it; whether it may be a target as well is not for the source to say."""
    await room.start("a")
    room.allowed = lambda _endpoint: False
    assert await room.found(room.source("a")) == {"a"}


async def test_a_name_that_is_none_is_refused(room: ClusterSetup) -> None:
    await room.start("a b")
    room.change("b", address="evil/../:6379@16379")
    assert await room.found(room.source("a")) == {"a"}
    assert room.refused == [("unreadable", "node b announces a name that is none")]


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
async def test_which_address_counts_is_a_setting(
    room: ClusterSetup, prefer: str, announced: str | None, host: str
) -> None:
    await room.start("a b")
    for name in "ab":
        room.change(name, address=f"127.0.0.1:{room.nodes[name].port}@1,localhost")
        if announced is not None:
            room.nodes[name].shards = endpoints_are(announced)
    targets = await room.source("a", prefer=prefer).refresh()
    assert {target.address for target in targets} == {f"{host}:{room.nodes[name].port}" for name in "ab"}


async def test_nodes_that_want_to_be_reached_where_the_cluster_was_are_reached_there(room: ClusterSetup) -> None:
    """cluster-preferred-endpoint-type unknown-endpoint: all nodes are behind one address, each at its own port."""
    await room.start("a b")
    for name in "ab":
        room.change(name, address=f"10.255.255.1:{room.nodes[name].port}@1")
        room.nodes[name].shards = endpoints_are(None)
    assert await room.found(room.source("a", prefer="announced")) == {"a", "b"}


async def test_what_the_nodes_prefer_is_asked_of_one_and_seldom(room: ClusterSetup) -> None:
    await room.start("a b")
    room.nodes["a"].shards = room.nodes["b"].shards = endpoints_are("127.0.0.1")
    source = room.source("a", prefer="announced")
    for _ in range(PREFERENCE_LASTS):
        await source.refresh()
    assert sum(node.asked_for("SHARDS") for node in room.nodes.values()) == 1
    await source.refresh()
    assert sum(node.asked_for("SHARDS") for node in room.nodes.values()) == 2


@pytest.mark.parametrize(
    "denial",
    [
        "ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER HELP.",
        "NOPERM User exporter has no permissions to run the 'cluster|shards' command",
    ],
)
async def test_without_shards_the_nodes_are_reached_at_their_ips(room: ClusterSetup, denial: str) -> None:
    await room.start("a b")
    for name in "ab":
        room.change(name, address=f"127.0.0.1:{room.nodes[name].port}@1,localhost")
        room.nodes[name].shards = error(denial)
    source = room.source("a", prefer="announced")
    assert await room.found(source) == {"a", "b"}
    assert await room.found(source) == {"a", "b"}
    assert sum(node.asked_for("SHARDS") for node in room.nodes.values()) == 1


@pytest.mark.parametrize("trouble", ["reset", error("LOADING the dataset is in memory"), error("NOAUTH")])
async def test_a_node_in_trouble_says_nothing_of_what_is_preferred_so_the_next_is_asked(
    room: ClusterSetup, trouble: Response
) -> None:
    await room.start("a b")
    for name in "ab":
        room.change(name, address=f"127.0.0.1:{room.nodes[name].port}@1,localhost")
    room.nodes["a"].shards, room.nodes["b"].shards = trouble, endpoints_are("localhost")
    with pytest.raises(DiscoveryError, match="which address the nodes prefer is not known"):
        await room.source("a", prefer="announced").refresh()
    targets = await room.source("a", "b", prefer="announced").refresh()
    assert {target.endpoint.host for target in targets} == {"localhost"}


async def test_a_lone_node_that_does_not_know_its_address_is_where_it_was_asked(room: ClusterSetup) -> None:
    await room.start("a")
    room.change("a", address=f":{room.nodes['a'].port}@1")
    room.nodes["a"].shards = endpoints_are("")
    assert await room.found(room.source("a", prefer="announced")) == {"a"}


# -- whose it is


async def test_a_shard_that_does_not_own_the_cluster_publishes_only_its_targets(room: ClusterSetup) -> None:
    await room.start("a b")
    source = room.source("a", owner=False)
    assert await room.found(source) == {"a", "b"}
    assert room.value(SLOTS, state="covered") is None
    assert room.value(CHANGES, change="role") is None


async def test_a_source_that_is_closed_meanwhile_asks_and_tells_nothing_more(room: ClusterSetup) -> None:
    await room.start("a b")
    source = room.source("a")
    await source.aclose()
    with pytest.raises(DiscoveryError):
        await source.refresh()
    assert [node.accepted for node in room.nodes.values()] == [0, 0]
    assert room.value(SLOTS, state="covered") is None
