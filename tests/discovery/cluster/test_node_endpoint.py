"""Which of its announced addresses a node is reached at."""

import pytest

from redis_pulse.config import parse_url
from redis_pulse.discovery.cluster.topology import healthiest, node_endpoint
from redis_pulse.parse.cluster_nodes import ClusterNode, EndpointType, parse_nodes

SEED = parse_url("redis://cart.example.org:7000").endpoint


ELASTICACHE = "cart-1.ab12cd.euw1.cache.amazonaws.com"


def node(address: str, flags: str = "master") -> ClusterNode:
    return parse_nodes(f"07c3 {address} {flags} - 0 0 1 connected").by_id["07c3"]


@pytest.mark.parametrize(
    ("address", "preferred", "expected"),
    [
        ("10.0.0.7:6379@1", "ip", "10.0.0.7:6379"),
        ("10.0.0.7:6379@1,Cart-0.Cart", "ip", "10.0.0.7:6379"),
        ("10.0.0.7:6379@1,Cart-0.Cart", "hostname", "cart-0.cart:6379"),
        ("10.0.0.7:6379@1", "hostname", "10.0.0.7:6379"),
        (":6379@1,cart-0", "ip", "cart-0:6379"),
        ("10.0.0.7:6379@1,cart-0", "unknown", "cart.example.org:6379"),
        ("fd00::7:6379@1", "ip", "[fd00::7]:6379"),
        # ElastiCache with TLS announces host names. Without TLS, its host names are empty.
        ("10.17.1.161:6379@1122,cart-1.ab12cd.euw1.cache.amazonaws.com", "hostname", f"{ELASTICACHE}:6379"),
        ("10.17.1.161:6379@1122,", "hostname", "10.17.1.161:6379"),
        (":6379@1", "ip", None),
        ("10.0.0.7:0@0", "ip", None),
    ],
)
def test_missing_preferred_address_is_replaced_by_the_other_one(
    address: str, preferred: EndpointType, expected: str | None
) -> None:
    endpoint = node_endpoint(node(address), SEED, preferred)
    assert (endpoint and endpoint.address) == expected


def test_node_without_its_own_address_is_where_it_was_queried() -> None:
    assert node_endpoint(node(":6379@1", "myself,master"), SEED, "ip") == SEED


@pytest.mark.parametrize("flags", ["handshake", "master,noaddr"])
def test_node_in_handshake_or_without_address_has_no_endpoint(flags: str) -> None:
    assert node_endpoint(node("10.0.0.7:6379@1", flags), SEED, "ip") is None


def test_all_nodes_use_tls_if_the_queried_node_does() -> None:
    """The port is correct: a node announces the port for the kind of connection on which the query arrived."""
    seed = parse_url("rediss://10.0.0.1:6380").endpoint
    assert node_endpoint(node("10.0.0.7:6380@1"), seed, "ip") == parse_url("rediss://10.0.0.7:6380").endpoint


@pytest.mark.parametrize("host", ["a b", "user@host", "../x", "a/b", "-x", "x" * 300, "a%0d"])
def test_invalid_host_name_is_an_error(host: str) -> None:
    with pytest.raises(ValueError, match="announces an invalid host name"):
        node_endpoint(node("10.0.0.7:6379@1")._replace(hostname=host), SEED, "hostname")


def test_healthy_node_counts_when_two_share_an_endpoint() -> None:
    shared, other = (parse_url(address).endpoint for address in ("10.0.0.7:6379", "10.0.0.8:6379"))
    nodes = healthiest({"old": shared, "new": shared, "far": other}, {"old": "fail", "new": "ok", "far": "fail"})
    assert nodes == {shared: "new", other: "far"}
