"""The list of networks and names that a found target may have."""

import ipaddress
from collections.abc import Sequence

from redis_pulse.config import Endpoint


class AllowList:
    """``patterns`` are networks (``10.0.0.0/8``) and names (``cache.internal``, ``*.cache.internal``); none: all may.

    A name is held against names only: where it leads to is for DNS to say, at every connection anew.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._any = not patterns
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._names: list[str] = []
        for pattern in patterns:
            try:
                self._networks.append(ipaddress.ip_network(pattern, strict=False))
            except ValueError:
                self._names.append(pattern.lower().rstrip("."))

    def __call__(self, endpoint: Endpoint) -> bool:
        """Whether a target may be there."""
        if self._any:
            return True
        if endpoint.kind == "unix":
            return False
        try:
            address = ipaddress.ip_address(endpoint.host.partition("%")[0])
        except ValueError:
            host = endpoint.host.lower().rstrip(".")
            return any(host.endswith(name[1:]) if name[0] == "*" else host == name for name in self._names)
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
