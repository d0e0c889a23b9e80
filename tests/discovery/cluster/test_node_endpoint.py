"""Which of the addresses that a node announces counts."""

import pytest

from redis_pulse.config import parse_url
from redis_pulse.discovery.cluster.topology import healthiest, node_endpoint
from redis_pulse.parse.cluster_nodes import ClusterNode, Preferred, parse_nodes

SEED = parse_url("redis://cart.example.org:7000").endpoint


def node(address: str, flags: str = "master") -> ClusterNode:
    return parse_nodes(f"07c3 {address} {flags} - 0 0 1 connected").by_id["07c3"]


@pytest.mark.parametrize(
    ("address", "preferred", "wanted"),
    [
        ("10.0.0.7:6379@1", "ip", "10.0.0.7:6379"),
        ("10.0.0.7:6379@1,Cart-0.Cart", "ip", "10.0.0.7:6379"),
        ("10.0.0.7:6379@1,Cart-0.Cart", "hostname", "cart-0.cart:6379"),
        ("10.0.0.7:6379@1", "hostname", "10.0.0.7:6379"),
        (":6379@1,cart-0", "ip", "cart-0:6379"),
        ("10.0.0.7:6379@1,cart-0", "unknown", "cart.example.org:6379"),
        ("fd00::7:6379@1", "ip", "[fd00::7]:6379"),
        (":6379@1", "ip", None),
        ("10.0.0.7:0@0", "ip", None),
    ],
)
def test_the_preferred_address_counts_and_else_the_other_one(
    address: str, preferred: Preferred, wanted: str | None
) -> None:
    found = node_endpoint(node(address), SEED, preferred)
    assert (found and found.address) == wanted


def test_a_node_that_does_not_know_its_address_is_where_it_was_asked() -> None:
    assert node_endpoint(node(":6379@1", "myself,master"), SEED, "ip") == SEED


@pytest.mark.parametrize("flags", ["handshake", "master,noaddr"])
def test_one_that_is_not_there_yet_or_any_more_has_no_place(flags: str) -> None:
    assert node_endpoint(node("10.0.0.7:6379@1", flags), SEED, "ip") is None


def test_all_nodes_are_reached_over_tls_when_one_is() -> None:
    """The port is the right one: a node names the port of the kind of connection on which it is asked."""
    seed = parse_url("rediss://10.0.0.1:6380").endpoint
    assert node_endpoint(node("10.0.0.7:6380@1"), seed, "ip") == parse_url("rediss://10.0.0.7:6380").endpoint


@pytest.mark.parametrize("host", ["a b", "user@host", "../x", "a/b", "-x", "x" * 300, "a%0d"])
def test_what_is_no_name_is_not_used_as_one(host: str) -> None:
    with pytest.raises(ValueError, match="announces a name that is none"):
        node_endpoint(node("10.0.0.7:6379@1")._replace(hostname=host), SEED, "hostname")


def test_of_two_nodes_at_one_place_the_one_that_is_well_counts() -> None:
    here, there = (parse_url(address).endpoint for address in ("10.0.0.7:6379", "10.0.0.8:6379"))
    found = healthiest({"old": here, "new": here, "far": there}, {"old": "fail", "new": "ok", "far": "fail"})
    assert found == {here: "new", there: "far"}
