"""Targets from DNS: the addresses of a headless service, or SRV records with their ports.

The known targets stay while the name is missing or the resolver does not reply. A server may vanish from DNS when it
fails. Its target must then still report the failure.
"""

from collections.abc import Sequence
from functools import partial

import dns.asyncresolver
import dns.exception
import dns.resolver

from redis_pulse.blocking import FILE_DEADLINE, FILES
from redis_pulse.config import DnsSourceSettings, SourceSettings, TargetSettings, parse_url
from redis_pulse.discovery.base import DiscoveryError, SourceContext
from redis_pulse.slices import sliced

#: Seconds for one query, all attempts at all resolvers included.
QUERY_TIMEOUT = 10.0


class DnsSource:
    """The targets behind one DNS name."""

    def __init__(self, settings: SourceSettings, options: DnsSourceSettings, context: SourceContext) -> None:
        self.settings = settings
        self._context = context
        self._options = options
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def refresh(self) -> Sequence[TargetSettings]:
        """Query the name, and return one target per record. Raises DiscoveryError."""
        options = self._options
        try:
            if self._resolver is None:
                # The constructor reads /etc/resolv.conf, and file access may block.
                make_resolver = partial(_make_resolver, options.server)
                self._resolver = await FILES.run(("resolver", options.server), make_resolver, within=FILE_DEADLINE)
            records = await self._resolver.resolve(options.name, options.type, search=True, lifetime=QUERY_TIMEOUT)
        except dns.resolver.NXDOMAIN:
            raise DiscoveryError("the name does not exist") from None
        except dns.resolver.NoAnswer:
            raise DiscoveryError(f"the name has no {options.type} record") from None
        except (dns.exception.DNSException, OSError, ValueError) as error:
            raise DiscoveryError(f"the name cannot be resolved: {type(error).__name__}") from None
        targets: list[TargetSettings] = []
        async for record in sliced(sorted(records, key=str)):
            try:
                targets.append(self._target(record))
            except ValueError as error:  # RFC 2782: port 0 says that there is no such server
                self._context.reject("unreadable", f"the record {str(record)[:100]} {error}")
        return targets

    async def aclose(self) -> None:
        """Do nothing: no connection stays open."""

    def _target(self, record: object) -> TargetSettings:
        if self._options.type == "SRV":
            host, port = str(record.target).rstrip("."), record.port  # type: ignore[attr-defined]
        else:
            host, port = record.address, self._options.port  # type: ignore[attr-defined]
        url = parse_url(f"{self._options.scheme}://{f'[{host}]' if ':' in host else host}:{port}")
        return self.settings.template.at(url.endpoint, url.endpoint.address)


def _make_resolver(server: str | None) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=server is None)
    if server is not None:
        endpoint = parse_url(server).endpoint
        resolver.nameservers = [endpoint.host]
        resolver.port = endpoint.port if server.rpartition(":")[2].isdigit() and ":" in server else 53
    return resolver
