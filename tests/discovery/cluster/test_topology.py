"""Whom to believe, when the nodes of a cluster see different things."""

from redis_pulse.config import parse_url
from redis_pulse.discovery.cluster.topology import NodeView, has_majority, majority_view, states
from redis_pulse.parse.cluster_nodes import SLOTS, parse_nodes
from tests.discovery.cluster.fake_cluster import Line, text

ADDRESS = {name: f"10.0.0.{number}:6379@1" for number, name in enumerate("abcdef", 1)}


def lines(names: str = "abc", **slots: str) -> list[Line]:
    """Masters of these names; without ``slots`` the first one has them all."""
    shares = slots or {names[0]: f"0-{SLOTS - 1}"}
    return [Line(name, ADDRESS[name], slots=shares.get(name, "")) for name in names]


def view(asked: str, seen: list[Line]) -> NodeView:
    found = NodeView.from_nodes(
        parse_nodes(text(seen, asked)).by_id, parse_url(ADDRESS[asked].partition("@")[0]).endpoint
    )
    assert found is not None
    return found


def test_the_order_of_lines_and_how_others_do_is_no_matter_of_agreement() -> None:
    seen = lines()
    worse = [Line(one.id, one.address, flags="master,fail?", epoch=one.epoch, slots=one.slots) for one in seen]
    assert view("a", seen).fingerprint == view("b", seen[::-1]).fingerprint == view("c", worse).fingerprint


def test_who_owns_a_slot_is_one() -> None:
    assert view("a", lines(a="0-16383")).fingerprint != view("a", lines(a="1-16383", b="0")).fingerprint


def test_one_who_does_not_say_who_it_is_has_no_view() -> None:
    assert NodeView.from_nodes(parse_nodes(text(lines())).by_id, parse_url("10.0.0.1").endpoint) is None


def test_a_node_that_was_asked_at_two_of_its_addresses_has_one_vote() -> None:
    mine, theirs = view("a", lines(a="0-16383")), view("b", lines(b="0-16383"))
    again = mine._replace(asked_at=parse_url("alias").endpoint)
    newer = view("c", lines(b="0-16383"))
    chosen = majority_view([mine, again, theirs, newer], None, {}, ())
    assert chosen is not None
    assert chosen.fingerprint == theirs.fingerprint


def test_of_equally_many_the_newer_epoch_counts() -> None:
    old, new = lines(a="0-16383"), lines(b="0-16383")
    new = [Line(one.id, one.address, epoch=7, slots=one.slots) for one in new]
    for order in ([view("a", old), view("b", new)], [view("b", new), view("a", old)]):
        chosen = majority_view(order, None, {}, ())
        assert chosen is not None
        assert chosen.node_id == "b"


def test_what_those_said_who_were_not_asked_now_counts_while_somebody_still_says_it() -> None:
    now = [view("a", lines(a="0-16383")), view("b", lines(b="0-16383"))]
    before = {"c": now[1].fingerprint}
    assert has_majority(now, before)
    chosen = majority_view(now, None, before, ())
    assert chosen is not None
    assert chosen.node_id == "b"
    assert not has_majority(now, {"c": 0}), "c claimed what nobody claims any more"
    assert has_majority(now[:1], {"b": 0, "c": 0}), "all who were asked agree"


def test_how_a_node_does_is_the_worse_when_it_is_a_draw() -> None:
    well = view("b", lines("ab"))
    suspects = view("a", [Line("a", ADDRESS["a"], slots="0-16383"), Line("b", ADDRESS["b"], flags="master,fail?")])
    assert states(well, [well, suspects]) == {"a": "ok", "b": "pfail"}
