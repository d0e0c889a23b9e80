"""What a node of a cluster says of all nodes (CLUSTER NODES, CLUSTER SHARDS) to plain values."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from redis_pulse.parse.reply import as_list, as_text

SLOTS = 16384

Role = Literal["master", "replica"]
#: How a node is, as another one sees it; ``pfail`` is one's suspicion, ``fail`` what the masters agreed upon.
State = Literal["ok", "pfail", "fail", "handshake", "noaddr"]
#: Which address of a node clients shall use: ``unknown`` is the one at which they reached the cluster.
Preferred = Literal["ip", "hostname", "unknown"]

#: The flags that say more than others first.
_STATES: tuple[tuple[str, State], ...] = (
    ("handshake", "handshake"),
    ("noaddr", "noaddr"),
    ("fail", "fail"),
    ("fail?", "pfail"),
)
_ADDRESS = re.compile(r"(?P<ip>[^@,]*):(?P<port>\d{1,5})(@\d+)?(,(?P<hostname>[^,=]*))?(,.*)?")
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


class ClusterNode(NamedTuple):
    """One node, as the one that was asked sees it; ``ip`` and ``hostname`` are empty when that does not know them."""

    id: str
    ip: str
    #: for connections of the kind on which the question came: plain, or TLS
    port: int
    hostname: str
    role: Role
    state: State
    #: the node's id whose replica it is, or empty
    master: str
    epoch: int
    #: whether it is the one that was asked
    myself: bool
    #: first and last of each range that it owns
    slots: tuple[tuple[int, int], ...]


class ClusterNodes(NamedTuple):
    """Nodes by id; ``bad`` counts lines that could not be read."""

    by_id: dict[str, ClusterNode]
    bad: int


def parse_nodes(text: str) -> ClusterNodes:
    """Read the reply of CLUSTER NODES, one line a node.

    >>> line = "07c3 10.0.0.7:6379@16379,a.cart myself,master - 0 0 3 connected 0-5460 [93-<-e7d1]"
    >>> parse_nodes(line).by_id["07c3"][1:6]
    ('10.0.0.7', 6379, 'a.cart', 'master', 'ok')
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    read = [_parts(words) for words in lines]
    nodes = {node.id: node for node in read if node is not None}
    return ClusterNodes(nodes, sum(node is None for node in read))


def _parts(words: list[str]) -> ClusterNode | None:
    # What differs between one who answers and the next is when they last heard of each other: that is left out.
    return _node(*words[:4], words[6], tuple(words[8:])) if len(words) >= 8 else None


@lru_cache(maxsize=4096)
def _node(
    identity: str, address: str, flag: str, master: str, epoch: str, owned: tuple[str, ...]
) -> ClusterNode | None:
    """Read one line; remembered, since every node says nearly the same, again and again."""
    match, flags = _ADDRESS.fullmatch(address), flag.split(",")
    slots = tuple(_slots(owned))
    if match is None or not epoch.isdecimal() or any(not 0 <= first <= last < SLOTS for first, last in slots):
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
        epoch=int(epoch),
        myself="myself" in flags,
        slots=slots,
    )


def _slots(words: Iterable[str]) -> Iterator[tuple[int, int]]:
    for word in words:
        if word.startswith("["):  # on its way: the owner stays the owner until it has arrived
            continue
        match = _RANGE.fullmatch(word)
        yield (int(match[1]), int(match[2] or match[1])) if match else (SLOTS, SLOTS)


def preferred(shards: Any) -> Preferred | None:
    """Say which address of a node clients shall use, out of the reply of CLUSTER SHARDS; None when it does not say.

    Every node is listed with its ``endpoint``, that is its IP, its host name (``?`` when it has none), or nothing at
    all, as ``cluster-preferred-endpoint-type`` of the answering node says for all of them.
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
        for node in as_list(_fields(shard).get("nodes")) or ():
            yield _fields(node)


def _fields(flat: Any) -> dict[str, Any]:
    items = as_list(flat) or []
    return {as_text(name) or "": value for name, value in zip(items[::2], items[1::2], strict=False)}
