"""Decide which announced servers receive a connection, and with it the credentials of the target.

The nodes of a cluster and Sentinels announce servers that no configuration names. One hostile node could announce its
own host, and receive the password. So an announced server is used only in one of these cases:

1. ``discovery.allow`` is set, and contains it. With a list, no other case counts.
2. The connection uses TLS, and checks the certificate against the CA in ``tls.ca_file``. A foreign host has no such
   certificate, so it receives nothing.
3. It has the host of a seed: the same name, or one of its addresses. Seeds are the servers in the configuration.
4. It has an address in the private range of a seed, such as 10.0.0.0/8. See ``_PRIVATE_RANGES``.
5. Its name is below the domain of a seed, or exists only in local networks (``.internal``, or no dot). In addition, all
   addresses of the name satisfy 3 or 4. The domain matters, because the owner of another name could change its address
   after the check.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Sequence

from redis_pulse import blocking
from redis_pulse.config import Endpoint, SourceSettings, TargetSettings
from redis_pulse.config.networks import numeric_host
from redis_pulse.discovery.allow_list import AllowList
from redis_pulse.slices import sliced

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Returns the addresses of a name. Raises OSError.
Resolve = Callable[[str], Awaitable[Sequence[str]]]

#: An address in one of them is near every other address in it.
_PRIVATE_RANGES = tuple(
    tuple(ipaddress.ip_network(network) for network in networks)
    for networks in (
        ("127.0.0.0/8", "::1/128"),
        ("10.0.0.0/8",),
        ("172.16.0.0/12",),
        ("192.168.0.0/16",),
        ("100.64.0.0/10",),
        ("169.254.0.0/16",),
        ("fc00::/7",),
        ("fe80::/10",),
    )
)
#: Domains that the public DNS does not have. A name without a dot is local too.
_LOCAL_DOMAINS = ("internal", "local", "localhost", "lan", "svc", "home.arpa")
#: Why an announced server is refused, and what to do. The message begins with its address.
NOT_NEAR = "was only announced: if it is yours, add it to discovery.allow (see docs/security.md, announced servers)"
#: Limit for one lookup, and for all lookups of one call, in seconds.
LOOKUP_TIMEOUT, LEARN_TIMEOUT = 2.0, 5.0
#: Limit for the names that one call looks up. The next refresh looks up the others.
MAX_LOOKUPS = 200
#: Limit for the names that are remembered.
_MAX_NAMES = 10_000


class AnnouncedServers:
    """Decides for one source. ``learn`` looks up names, and the call decides at once."""

    def __init__(
        self, settings: SourceSettings, allow_list: Callable[[], AllowList], resolve: Resolve | None = None
    ) -> None:
        self._seeds = [seed.endpoint for seed in settings.seeds]
        self._has_own_ca = all(_has_own_ca(one) for one in (settings.template, *settings.seeds) if one.endpoint.tls)
        self._allow_list = allow_list
        self._resolve = resolve or _resolve
        self._hosts = {_normalized(seed.host) for seed in self._seeds}
        self._domains = tuple(domain for seed in self._seeds if (domain := _domain_of(seed.host)))
        #: the addresses of each seed with a name, at its last successful lookup
        self._looked_up: dict[str, list[_Address]] = {}
        self._near = _NearAddresses(address for host in self._hosts if (address := numeric_host(host)))
        #: names whose addresses are all near a seed
        self._near_names: set[str] = set()
        #: own names without an address. No connection to them can succeed now. The next call looks them up again.
        self._unresolved: set[str] = set()

    def __call__(self, endpoint: Endpoint) -> bool:
        """Return whether the exporter may connect to an endpoint, and log in to it."""
        allow_list = self._allow_list()
        if not allow_list.is_empty:
            return allow_list(endpoint)
        if endpoint in self._seeds or (endpoint.tls and self._has_own_ca):
            return True
        return self._is_near_host(_normalized(endpoint.host))

    async def learn(self, hosts: Iterable[str]) -> None:
        """Look up the hosts that are not yet known to be near a seed. A lookup that fails decides nothing."""
        if not self._allow_list().is_empty:
            return
        unknown = set()
        async for host in sliced(hosts):
            if host in self._unresolved or not self._is_near_host(_normalized(host)):
                unknown.add(_normalized(host))
        if not unknown:
            return
        try:
            async with asyncio.timeout(LEARN_TIMEOUT):
                await self._look_up_seeds()
                await self._look_up_names(sorted(host for host in unknown if self._is_own_name(host))[:MAX_LOOKUPS])
        except TimeoutError:
            return

    async def _look_up_seeds(self) -> None:
        names = [host for host in self._hosts if numeric_host(host) is None]
        results = await asyncio.gather(*map(self._addresses, names))
        self._looked_up |= {name: found for name, found in zip(names, results, strict=True) if found}
        numeric = [address for host in self._hosts if (address := numeric_host(host))]
        self._near = _NearAddresses([*numeric, *(one for found in self._looked_up.values() for one in found)])

    async def _look_up_names(self, names: Sequence[str]) -> None:
        results = await asyncio.gather(*map(self._addresses, names))
        if len(self._near_names) > _MAX_NAMES:
            self._near_names.clear()
        self._unresolved = {name for name, found in zip(names, results, strict=True) if not found}
        for name, found in zip(names, results, strict=True):
            if found and all(address in self._near for address in found):
                self._near_names.add(name)

    async def _addresses(self, name: str) -> list[_Address]:
        """Return the addresses of a name; none if the lookup fails."""
        try:
            texts = await self._resolve(name)
        except (OSError, UnicodeError):
            return []
        return [address for text in texts if (address := numeric_host(text)) is not None]

    def _is_near_host(self, host: str) -> bool:
        if host in self._hosts or host in self._near_names or host in self._unresolved:
            return True
        address = numeric_host(host)
        return address is not None and address in self._near

    def _is_own_name(self, host: str) -> bool:
        if numeric_host(host) is not None:
            return False
        return (
            "." not in host
            or any(host.endswith(f".{domain}") for domain in _LOCAL_DOMAINS)
            or any(host.endswith(f".{domain}") for domain in self._domains)
        )


class _NearAddresses:
    """The addresses of the seeds, and all addresses in their private ranges."""

    def __init__(self, seeds: Iterable[_Address]) -> None:
        self._addresses = frozenset(seeds)
        ranges = {_range_of(address) for address in self._addresses} - {None}
        self._networks = [network for number in ranges for network in _PRIVATE_RANGES[number or 0]]

    def __contains__(self, address: _Address) -> bool:
        return address in self._addresses or any(address in network for network in self._networks)


def _has_own_ca(target: TargetSettings) -> bool:
    return target.tls.ca_file is not None and target.tls.cert_reqs == "required"


def _normalized(host: str) -> str:
    address = numeric_host(host)
    return str(address) if address is not None else host.lower().rstrip(".")


def _domain_of(host: str) -> str:
    """Return the domain of a name: what follows its first dot. Empty if strangers may have names in it.

    A domain needs two labels. ``co.uk`` has two, but anyone may have a name in it.
    """
    if numeric_host(host) is not None:
        return ""
    domain = _normalized(host).partition(".")[2]
    labels = domain.split(".")
    is_registry = len(labels) == 2 and len(labels[1]) == 2 and len(labels[0]) <= 3
    return "" if len(labels) < 2 or is_registry else domain


def _range_of(address: _Address) -> int | None:
    """Return the number of the private range that has an address, or None for a public address."""
    for number, networks in enumerate(_PRIVATE_RANGES):
        if any(address in network for network in networks):
            return number
    return None


async def _resolve(name: str) -> list[str]:
    return [str(address[0]) for _, address in await blocking.resolve(name, 0, within=LOOKUP_TIMEOUT)]
