"""Addresses and networks: what a numeric host is, and which addresses the connections of an adopted target may have."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


def numeric_host(host: str) -> IpAddress | None:
    """Return the address that a host is written as, or None for a name. An IPv4 address in IPv6 form is an IPv4 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def split_patterns(patterns: Sequence[str]) -> tuple[tuple[IpNetwork, ...], tuple[str, ...]]:
    """Return the networks and the names of an allow list. Names are in lower case, without a dot at the end."""
    networks: list[IpNetwork] = []
    names: list[str] = []
    for pattern in patterns:
        try:
            networks.append(ipaddress.ip_network(pattern, strict=False))
        except ValueError:
            names.append(pattern.lower().rstrip("."))
    return tuple(networks), tuple(names)


def matches_name(host: str, names: Sequence[str]) -> bool:
    """Return whether a host is one of these names. ``*.example.com`` stands for every name below it."""
    host = host.lower().rstrip(".")
    return any(host.endswith(name[1:]) if name[0] == "*" else host == name for name in names)


@dataclass(frozen=True, slots=True)
class PermittedAddresses:
    """The addresses that the connections of a target may have, whatever DNS says later.

    Without networks, every address is permitted that does not lead back into this machine or its link. Loopback,
    multicast and unspecified addresses do. So do link-local ones, where clouds serve the credentials of a machine.
    """

    networks: tuple[IpNetwork, ...] = ()

    def __contains__(self, address: str) -> bool:
        """Return whether a connection may have this address, given as the resolver writes it."""
        ip = numeric_host(address)
        if ip is None:
            return False
        if self.networks:
            return any(ip in network for network in self.networks)
        return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)
