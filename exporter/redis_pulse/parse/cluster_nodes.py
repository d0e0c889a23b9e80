"""Parses what a cluster node reports about all nodes (CLUSTER NODES, CLUSTER SHARDS) into plain values."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple

from redis_pulse.parse.reply import as_list, as_map, as_text, parse_uint

#: Number of hash slots of a cluster.
SLOTS = 16384
#: Nodes that are read, and characters of a line. The line of a node with 1000 ranges of slots has some 12 000.
MAX_NODES, MAX_LINE_LENGTH = 5000, 32_768
_LINE = re.compile(r"[^\r\n]+")

Role = Literal["master", "replica"]
#: State of a node as another node reports it: ``pfail`` if one node suspects it, ``fail`` if the masters agreed.
State = Literal["ok", "pfail", "fail", "handshake", "noaddr"]
#: The address of a node that clients must use; ``unknown`` is the address at which they reached the cluster.
EndpointType = Literal["ip", "hostname", "unknown"]

#: Flag → state, the most specific flags first.
_STATES: tuple[tuple[str, State], ...] = (
    ("handshake", "handshake"),
    ("noaddr", "noaddr"),
    ("fail", "fail"),
    ("fail?", "pfail"),
)
_ADDRESS = re.compile(r"(?P<ip>[^@,]*):(?P<port>\d{1,5})(@\d+)?(,(?P<hostname>[^,=]*))?(,.*)?")
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


class ClusterNode(NamedTuple):
    """One node, as the queried node reports it; ``ip`` and ``hostname`` are empty if that does not know them."""

    id: str
    ip: str
    #: For connections of the same kind as the query: plain or TLS.
    port: int
    hostname: str
    role: Role
    state: State
    #: Id of the node that this replica follows, or empty.
    master: str
    epoch: int
    #: True for the queried node.
    myself: bool
    #: First and last slot of each range that it owns.
    slots: tuple[tuple[int, int], ...]


class ClusterNodes(NamedTuple):
    """Nodes by id; ``bad`` counts the lines that could not be read."""

    by_id: dict[str, ClusterNode]
    bad: int


def parse_nodes(text: str) -> ClusterNodes:
    """Read the reply to CLUSTER NODES, which has one line per node.

    >>> line = "07c3 10.0.0.7:6379@16379,a.cart myself,master - 0 0 3 connected 0-5460 [93-<-e7d1]"
    >>> parse_nodes(line).by_id["07c3"][1:6]
    ('10.0.0.7', 6379, 'a.cart', 'master', 'ok')
    """
    return collect_nodes(iter_nodes(text))


def iter_nodes(text: str) -> Iterator[ClusterNode | None]:
    """Yield the nodes of CLUSTER NODES, and None for each line that cannot be read. At most ``MAX_NODES``."""
    for match in islice(_LINE.finditer(text), MAX_NODES):
        line = match[0][:MAX_LINE_LENGTH]
        if line.strip():
            yield _parse_line(line.split())


def collect_nodes(nodes: Iterable[ClusterNode | None]) -> ClusterNodes:
    """Return the nodes by id, and how many could not be read."""
    by_id: dict[str, ClusterNode] = {}
    bad = 0
    for node in nodes:
        if node is None:
            bad += 1
        else:
            by_id[node.id] = node
    return ClusterNodes(by_id, bad)


def _parse_line(words: list[str]) -> ClusterNode | None:
    # Without the times of the last ping and pong: they differ between the replies of any two nodes.
    return _node(*words[:4], words[6], tuple(words[8:])) if len(words) >= 8 else None


@lru_cache(maxsize=4096)
def _node(
    identity: str, address: str, flag: str, master: str, epoch: str, owned: tuple[str, ...]
) -> ClusterNode | None:
    """Return the node of one line, or None. Results are cached: all nodes report nearly the same lines in each poll."""
    match, flags = _ADDRESS.fullmatch(address), flag.split(",")
    slots = tuple(_slots(owned))
    number = parse_uint(epoch)
    if match is None or number is None or any(not 0 <= first <= last < SLOTS for first, last in slots):
        return None
    port = int(match["port"])
    if port > 65535:
        return None
    replica = "slave" in flags or "replica" in flags
    return ClusterNode(
        id=identity,
        ip=match["ip"],
        port=port,
        hostname=match["hostname"] or "",
        role="replica" if replica else "master",
        state=next((state for name, state in _STATES if name in flags), "ok"),
        master=master if replica and master != "-" else "",
        epoch=number,
        myself="myself" in flags,
        slots=slots,
    )


def _slots(words: Iterable[str]) -> Iterator[tuple[int, int]]:
    for word in words:
        if word.startswith("["):  # a migrating slot; it belongs to its owner until the migration is complete
            continue
        match = _RANGE.fullmatch(word)
        yield (int(match[1]), int(match[2] or match[1])) if match else (SLOTS, SLOTS)


def preferred_endpoint(shards: Any) -> EndpointType | None:
    """Return which address of a node clients must use, or None if the reply to CLUSTER SHARDS does not tell.

    Each node is listed with its ``endpoint``: its IP, its host name (``?`` if it has none), or nothing.
    The setting ``cluster-preferred-endpoint-type`` of the queried node decides this for all nodes.
    """
    for node in _nodes_of(shards):
        if "endpoint" not in node:
            continue
        endpoint = as_text(node["endpoint"])
        if endpoint is None:
            return "unknown"
        if endpoint == "?":
            return "hostname"
        if endpoint and endpoint == as_text(node.get("hostname")):
            return "hostname"
        if endpoint:
            return "ip"
    return None


def _nodes_of(shards: Any) -> Iterator[dict[str, Any]]:
    for shard in as_list(shards) or ():
        for node in as_list((as_map(shard) or {}).get("nodes")) or ():
            yield as_map(node) or {}
