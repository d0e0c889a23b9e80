"""The counts of a cluster add up, whatever its nodes report."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.discovery.cluster.metrics import changes, count_nodes
from redis_pulse.discovery.cluster.topology import NodeView, states
from redis_pulse.parse.cluster_nodes import SLOTS
from tests.discovery.cluster.fake_cluster import Line
from tests.discovery.cluster.test_topology import ADDRESSES, lines, view

FLAGS = {"b": "slave", "c": "slave,fail", "d": "slave,fail?"}


def test_unhealthy_replica_is_not_counted() -> None:
    replicas = [Line(name, ADDRESSES[name], flags=flags, master="a") for name, flags in FLAGS.items()]
    node_view = view("a", [*lines("a"), *replicas])
    assert count_nodes(node_view, states(node_view, [node_view])).replicas == {"0": 1}


OWNERS = st.dictionaries(st.integers(0, SLOTS - 1), st.sampled_from("abc"), max_size=30)


def view_of_owners(owners: dict[int, str], flags: dict[str, str]) -> NodeView:
    slots = {name: " ".join(str(slot) for slot, owner in owners.items() if owner == name) for name in "abc"}
    return view(
        "a", [Line(name, ADDRESSES[name], flags=flags.get(name, "master"), slots=slots[name]) for name in "abc"]
    )


@given(OWNERS, st.dictionaries(st.sampled_from("bc"), st.sampled_from(["master,fail", "master,fail?"])))
def test_each_slot_is_in_exactly_one_state(owners: dict[int, str], flags: dict[str, str]) -> None:
    node_view = view_of_owners(owners, flags)
    counts = count_nodes(node_view, states(node_view, [node_view])).slots
    assert sum(counts.values()) == SLOTS
    assert counts["failing"] == sum(owner in flags for owner in owners.values())
    assert counts["unassigned"] == SLOTS - len(owners)


@given(OWNERS, OWNERS)
def test_moved_slots_are_those_with_another_owner(old: dict[int, str], new: dict[int, str]) -> None:
    moved = changes(view_of_owners(old, {}), view_of_owners(new, {}))["slots"]
    assert moved == sum(old.get(slot) != new.get(slot) for slot in old.keys() | new.keys())
