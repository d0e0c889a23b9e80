"""The list of servers that discovered targets may have: ``discovery.allow``."""

from collections.abc import Sequence

from redis_pulse.config import Endpoint
from redis_pulse.config.networks import matches_name, numeric_host, split_patterns


class AllowList:
    """The networks (``10.0.0.0/8``) and names (``cache.internal``, ``*.cache.internal``) that targets may have.

    An empty list allows every address. A name is compared with names only. DNS decides at each connection which address
    the name has.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.is_empty = not patterns
        self._networks, self._names = split_patterns(patterns)

    def __call__(self, endpoint: Endpoint) -> bool:
        """Return whether a target may have this endpoint."""
        if self.is_empty:
            return True
        if endpoint.kind == "unix":
            return False
        if (address := numeric_host(endpoint.host)) is None:
            return matches_name(endpoint.host, self._names)
        return any(address in network for network in self._networks)
