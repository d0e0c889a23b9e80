"""Targets from the records of a DNS name: the addresses of a headless service, or SRV records with their ports.

A name that has gone, or a resolver that does not answer, keeps the targets that were known: servers that are no longer
in DNS and do not answer either are what somebody wants to be told of.
"""

from collections.abc import Sequence
from functools import partial

import dns.asyncresolver
import dns.exception
import dns.resolver

from redis_pulse.blocking import FILE_DEADLINE, FILES
from redis_pulse.config import DnsSourceSettings, SourceSettings, TargetSettings, parse_url
from redis_pulse.discovery.base import DiscoveryError, SourceContext

#: Seconds for one question, all tries at all resolvers together.
LONGEST = 10.0


class DnsSource:
    """What one name stands for."""

    def __init__(self, settings: SourceSettings, surroundings: SourceContext) -> None:
        del surroundings
        assert isinstance(settings.options, DnsSourceSettings)  # noqa: S101
        self.settings = settings
        self._options = settings.options
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def refresh(self) -> Sequence[TargetSettings]:
        """Ask. Raises DiscoveryError."""
        options = self._options
        try:
            if self._resolver is None:
                # It reads /etc/resolv.conf.
                make = partial(_resolver, options.server)
                self._resolver = await FILES.run(("resolver", options.server), make, within=FILE_DEADLINE)
            answer = await self._resolver.resolve(options.name, options.type, search=True, lifetime=LONGEST)
        except dns.resolver.NXDOMAIN:
            raise DiscoveryError("there is no such name") from None
        except dns.resolver.NoAnswer:
            raise DiscoveryError(f"the name has no {options.type} record") from None
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise DiscoveryError(f"cannot be resolved: {type(error).__name__}") from None
        return [self._target(record) for record in sorted(answer, key=str)]

    async def aclose(self) -> None:
        """Nothing is open."""

    def _target(self, record: object) -> TargetSettings:
        if self._options.type == "SRV":
            host, port = str(record.target).rstrip("."), record.port  # type: ignore[attr-defined]
        else:
            host, port = record.address, self._options.port  # type: ignore[attr-defined]
        url = parse_url(f"{self._options.scheme}://{f'[{host}]' if ':' in host else host}:{port}")
        return self.settings.template.at(url.endpoint, url.endpoint.address)


def _resolver(server: str | None) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=server is None)
    if server is not None:
        endpoint = parse_url(server).endpoint
        resolver.nameservers = [endpoint.host]
        resolver.port = endpoint.port if server.rpartition(":")[2].isdigit() and ":" in server else 53
    return resolver
