"""What is counted of a cluster adds up, whatever its nodes say."""

from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.discovery.cluster.metrics import changes, count_nodes
from redis_pulse.discovery.cluster.topology import NodeView, states
from redis_pulse.parse.cluster_nodes import SLOTS
from tests.discovery.cluster.fake_cluster import Line
from tests.discovery.cluster.test_topology import ADDRESS, lines, view

FLAGS = {"b": "slave", "c": "slave,fail", "d": "slave,fail?"}


def test_a_replica_that_is_not_well_is_no_replica_to_rely_on() -> None:
    replicas = [Line(name, ADDRESS[name], flags=flags, master="a") for name, flags in FLAGS.items()]
    seen = view("a", [*lines("a"), *replicas])
    assert count_nodes(seen, states(seen, [seen])).replicas == {"0": 1}


OWNERS = st.dictionaries(st.integers(0, SLOTS - 1), st.sampled_from("abc"), max_size=30)


def owned(owners: dict[int, str], flags: dict[str, str]) -> NodeView:
    of = {name: " ".join(str(slot) for slot, owner in owners.items() if owner == name) for name in "abc"}
    return view("a", [Line(name, ADDRESS[name], flags=flags.get(name, "master"), slots=of[name]) for name in "abc"])


@given(OWNERS, st.dictionaries(st.sampled_from("bc"), st.sampled_from(["master,fail", "master,fail?"])))
def test_every_slot_is_in_exactly_one_state(owners: dict[int, str], flags: dict[str, str]) -> None:
    seen = owned(owners, flags)
    counts = count_nodes(seen, states(seen, [seen])).slots
    assert sum(counts.values()) == SLOTS
    assert counts["failing"] == sum(owner in flags for owner in owners.values())
    assert counts["unassigned"] == SLOTS - len(owners)


@given(OWNERS, OWNERS)
def test_slots_that_moved_are_those_with_another_owner(old: dict[int, str], new: dict[int, str]) -> None:
    moved = changes(owned(old, {}), owned(new, {}))["slots"]
    assert moved == sum(old.get(slot) != new.get(slot) for slot in old.keys() | new.keys())
