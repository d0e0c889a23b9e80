"""CLUSTER NODES of real servers and of broken ones, and the address that nodes prefer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redis_pulse.parse.cluster_nodes import ClusterNode, parse_nodes, preferred_endpoint

REDIS_6 = """\
e7d1 127.0.0.1:30002@40002 master - 0 1426238316232 2 connected 5461-10922
292f 127.0.0.1:30003@40003 master,fail? - 1426238318243 1426238311232 3 connected 10923-16383
6ec2 127.0.0.1:30005@40005 slave e7d1 0 1426238316232 5 connected
824f 127.0.0.1:30006@40006 slave,fail 292f 1426238317741 1426238317741 6 disconnected
07c3 :30001@40001 myself,master - 0 0 1 connected 0-5459 5460 [93->-292f] [77-<-e7d1]
"""


def test_nodes_are_read_with_role_state_master_and_slots() -> None:
    nodes, bad = parse_nodes(REDIS_6)
    assert bad == 0
    assert nodes["e7d1"] == ClusterNode("e7d1", "127.0.0.1", 30002, "", "master", "ok", "", 2, False, ((5461, 10922),))
    assert {node.id: node.state for node in nodes.values() if node.state != "ok"} == {"292f": "pfail", "824f": "fail"}
    assert (nodes["6ec2"].role, nodes["6ec2"].master, nodes["6ec2"].slots) == ("replica", "e7d1", ())


def test_migrating_slot_belongs_to_its_owner() -> None:
    assert parse_nodes(REDIS_6).by_id["07c3"].slots == ((0, 5459), (5460, 5460))


def test_node_without_contacts_does_not_know_its_own_ip() -> None:
    node = parse_nodes(REDIS_6).by_id["07c3"]
    assert (node.myself, node.ip, node.port) == (True, "", 30001)


@pytest.mark.parametrize(
    ("word", "ip", "port", "hostname"),
    [
        ("10.0.0.7:6379@16379", "10.0.0.7", 6379, ""),
        ("10.0.0.7:6379", "10.0.0.7", 6379, ""),
        ("10.0.0.7:6379@16379,", "10.0.0.7", 6379, ""),
        ("10.0.0.7:6379@16379,cart-0.cart", "10.0.0.7", 6379, "cart-0.cart"),
        ("10.0.0.7:6379@16379,,tls-port=6380,shard-id=69bc", "10.0.0.7", 6379, ""),
        ("10.0.0.7:6379@16379,cart-0,shard-id=69bc", "10.0.0.7", 6379, "cart-0"),
        ("fd00::7:6379@16379,cart-0", "fd00::7", 6379, "cart-0"),
        (":0@0", "", 0, ""),
    ],
)
def test_every_form_of_an_address_is_read(word: str, ip: str, port: int, hostname: str) -> None:
    node = parse_nodes(f"07c3 {word} master - 0 0 1 connected").by_id["07c3"]
    assert (node.ip, node.port, node.hostname) == (ip, port, hostname)


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ("handshake", "handshake"),
        ("slave,noaddr", "noaddr"),
        ("master,fail,noaddr", "noaddr"),
        ("master,fail?", "pfail"),
        ("slave,fail", "fail"),
        ("myself,slave,nofailover", "ok"),
        ("noflags", "ok"),
    ],
)
def test_state_is_the_most_specific_flag(flags: str, state: str) -> None:
    assert parse_nodes(f"07c3 :0@0 {flags} - 0 0 1 connected").by_id["07c3"].state == state


@pytest.mark.parametrize(
    "line",
    [
        "vars currentEpoch 6 lastVoteEpoch 0",
        "07c3 127.0.0.1 master - 0 0 1 connected",
        "07c3 127.0.0.1:99999@1 master - 0 0 1 connected",
        "07c3 127.0.0.1:6379@16379 master - 0 0 x connected",
        "07c3 127.0.0.1:6379@16379 master - 0 0 1 connected 0-16384",
        "07c3 127.0.0.1:6379@16379 master - 0 0 1 connected 7-3",
        "07c3 127.0.0.1:6379@16379 master - 0 0 1 connected all",
    ],
)
def test_unreadable_line_is_counted_and_affects_no_other(line: str) -> None:
    nodes, bad = parse_nodes(f"{line}\n{REDIS_6}")
    assert (len(nodes), bad) == (5, 1)


@given(st.text())
def test_any_text_raises_nothing(text: str) -> None:
    nodes, bad = parse_nodes(text)
    assert len(nodes) + bad <= len(text.splitlines())


def shards(*nodes: list[Any]) -> list[Any]:
    """Return the reply to CLUSTER SHARDS as RESP2 encodes it."""
    return [[b"slots", [0, 16383], b"nodes", [node], b"id", b"0b49"] for node in nodes]


def node(endpoint: bytes | None, hostname: bytes | None = None) -> list[Any]:
    name = [] if hostname is None else [b"hostname", hostname]
    return [b"id", b"62b9", b"port", 6379, b"ip", b"10.0.0.7", b"endpoint", endpoint, *name, b"health", b"online"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (shards(node(b"10.0.0.7", b"cart-0"), node(b"10.0.0.8")), "ip"),
        (shards(node(b"cart-0", b"cart-0"), node(b"?")), "hostname"),
        (shards(node(b"?"), node(b"cart-1", b"cart-1")), "hostname"),
        (shards(node(None, b"cart-0")), "unknown"),
        (shards(node(b"")), None),
        ([], None),
        (b"OK", None),
        ([[b"nodes", b"none"], 7, [b"nodes"]], None),
    ],
)
def test_preferred_endpoint_comes_from_the_shards(reply: Any, expected: str | None) -> None:
    assert preferred_endpoint(reply) == expected


def test_epoch_of_too_many_digits_is_a_bad_line() -> None:
    """`int` refuses more than 4300 digits with an error, which cost the views of all other nodes."""
    nodes, bad = parse_nodes(f"07c3 10.0.0.7:6379 master - 0 0 {'9' * 5000} connected\n{REDIS_6}")
    assert bad == 1
    assert nodes == parse_nodes(REDIS_6).by_id
