"""Which view counts if the nodes of a cluster disagree."""

from redis_pulse.config import parse_url
from redis_pulse.discovery.cluster.topology import NodeView, has_majority, majority_view, states
from redis_pulse.parse.cluster_nodes import SLOTS, parse_nodes
from tests.discovery.cluster.fake_cluster import Line, cluster_nodes_text

ADDRESSES = {name: f"10.0.0.{number}:6379@1" for number, name in enumerate("abcdef", 1)}


def lines(names: str = "abc", **slots: str) -> list[Line]:
    """Return masters with these names; without ``slots`` the first one owns all slots."""
    shares = slots or {names[0]: f"0-{SLOTS - 1}"}
    return [Line(name, ADDRESSES[name], slots=shares.get(name, "")) for name in names]


def view(name: str, node_lines: list[Line]) -> NodeView:
    """Return the view of the node ``name`` that reports these lines."""
    nodes = parse_nodes(cluster_nodes_text(node_lines, name)).by_id
    result = NodeView.from_nodes(nodes, parse_url(ADDRESSES[name].partition("@")[0]).endpoint)
    assert result is not None
    return result


def test_order_and_state_of_nodes_do_not_change_the_fingerprint() -> None:
    healthy = lines()
    worse = [Line(one.id, one.address, flags="master,fail?", epoch=one.epoch, slots=one.slots) for one in healthy]
    fingerprints = {view("a", healthy).fingerprint, view("b", healthy[::-1]).fingerprint, view("c", worse).fingerprint}
    assert len(fingerprints) == 1


def test_owner_of_a_slot_changes_the_fingerprint() -> None:
    assert view("a", lines(a="0-16383")).fingerprint != view("a", lines(a="1-16383", b="0")).fingerprint


def test_reply_without_the_mark_myself_has_no_view() -> None:
    assert NodeView.from_nodes(parse_nodes(cluster_nodes_text(lines())).by_id, parse_url("10.0.0.1").endpoint) is None


def test_node_queried_at_two_addresses_has_one_vote() -> None:
    mine, theirs = view("a", lines(a="0-16383")), view("b", lines(b="0-16383"))
    again = mine._replace(asked_at=parse_url("alias").endpoint)
    third = view("c", lines(b="0-16383"))
    winner = majority_view([mine, again, theirs, third], None, {}, ())
    assert winner is not None
    assert winner.fingerprint == theirs.fingerprint


def test_newer_epoch_wins_a_tie() -> None:
    old, new = lines(a="0-16383"), lines(b="0-16383")
    new = [Line(one.id, one.address, epoch=7, slots=one.slots) for one in new]
    for order in ([view("a", old), view("b", new)], [view("b", new), view("a", old)]):
        winner = majority_view(order, None, {}, ())
        assert winner is not None
        assert winner.node_id == "b"


def test_earlier_vote_counts_only_for_a_view_that_still_exists() -> None:
    views = [view("a", lines(a="0-16383")), view("b", lines(b="0-16383"))]
    before = {"c": views[1].fingerprint}
    assert has_majority(views, before)
    winner = majority_view(views, None, before, ())
    assert winner is not None
    assert winner.node_id == "b"
    assert not has_majority(views, {"c": 0}), "c had a view that no node has any more"
    assert has_majority(views[:1], {"b": 0, "c": 0}), "all queried nodes agree"


def test_worse_state_of_a_node_wins_a_tie() -> None:
    healthy = view("b", lines("ab"))
    suspects = view("a", [Line("a", ADDRESSES["a"], slots="0-16383"), Line("b", ADDRESSES["b"], flags="master,fail?")])
    assert states(healthy, [healthy, suspects]) == {"a": "ok", "b": "pfail"}
