"""Where the nodes of a cluster are: which of the addresses that they announce counts."""

import ipaddress
import re
from collections.abc import Mapping

from exporter.config import Endpoint
from exporter.parse.cluster_nodes import Node, Preferred, State

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?")


def place(node: Node, reached: Endpoint, preferred: Preferred) -> Endpoint | None:
    """Return where to reach a node that was announced by the one at ``reached``; None when nobody knows.

    Of IP and host name the other one counts where the preferred one is missing. A node that does not know its own
    address yet is where it was asked. Raises ValueError for what is no host name.
    """
    if node.state in ("handshake", "noaddr"):
        return None
    if preferred == "unknown":
        host = reached.host
    elif preferred == "hostname":
        host = node.hostname or node.ip
    else:
        host = node.ip or node.hostname
    if not host:
        return reached if node.myself else None
    if not node.port:
        return None
    return Endpoint("redis", _checked(host), node.port, tls=reached.tls)


def _checked(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        if not _NAME.fullmatch(host):
            raise ValueError("announces a name that is none") from None
        return host.lower()


def healthiest(places: Mapping[str, Endpoint], state: Mapping[str, State]) -> dict[Endpoint, str]:
    """Return the node at each place: one that failed may have been replaced by another at the same address."""
    order = sorted(places, key=lambda identity: (places[identity].host, places[identity].port, state[identity] != "ok"))
    found: dict[Endpoint, str] = {}
    for identity in order:
        found.setdefault(places[identity], identity)
    return found
