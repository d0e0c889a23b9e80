"""Which of the addresses of a host a connection may use. This is checked at every connection, since DNS may change."""

import socket
from typing import Any

from redis_pulse.config.networks import PermittedAddresses

#: Address family and address, as ``socket.connect`` takes them.
Address = tuple[int, Any]


def permitted_addresses(addresses: list[Address], permitted: PermittedAddresses | None) -> list[Address]:
    """Return the addresses of a host that may be used. Raises socket.gaierror without such an address.

    The owner of a name could otherwise change its address after the check, and the exporter would connect anywhere.
    """
    if permitted is None:
        return addresses
    usable = [(family, address) for family, address in addresses if address[0] in permitted]
    if addresses and not usable:
        raise socket.gaierror(socket.EAI_FAIL, "no address of this name is in scrape.adopt.allow")
    return usable
