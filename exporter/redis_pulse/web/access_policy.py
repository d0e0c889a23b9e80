"""Which client may do what: the policy of every path, and the checks of Host, Origin and Sec-Fetch-Site.

``POLICIES`` is the only table. The application cannot be built with a page that is missing in it.

A browser can be made to send requests here by a page of another site. That site cannot read the responses, unless it
changes its DNS record to our address (DNS rebinding). Then ``Host`` has its name. So without a login, pages for people
respond only to names that no foreign site can have.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

#: Names that only a private network resolves.
_INTERNAL_SUFFIXES = (".svc", ".cluster.local", ".internal")
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%a-zA-Z0-9]+\]|[^:\[\]@/\s]*)(?::(?P<port>\d{1,5}))?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
SETTING = "web.allowed_hosts"


@dataclass(frozen=True, slots=True)
class PathPolicy:
    """What a path needs."""

    #: Without a login, only certain names in Host get a response. Otherwise any name does, unless some are set.
    is_for_people: bool
    #: With ``web.open_probes`` it needs no login.
    is_probe: bool = False
    #: It changes something. So it needs a login or loopback, and a browser may not send it for another site.
    changes_state: bool = False


#: Prometheus reads it.
SCRAPED = PathPolicy(is_for_people=False)
#: A kubelet, or another supervisor, reads it.
PROBE = PathPolicy(is_for_people=False, is_probe=True)
PAGE = PathPolicy(is_for_people=True)
ACTION = PathPolicy(is_for_people=True, changes_state=True)

#: Every path. ``/metrics`` stands for the path of the metrics, whatever ``telemetry_path`` is.
POLICIES = {
    "/": PAGE,
    "/metrics": SCRAPED,
    "/scrape": SCRAPED,
    "/sd": SCRAPED,
    "/health": SCRAPED,
    "/-/healthy": PROBE,
    "/-/ready": PROBE,
    "/stalls": PAGE,
    "/config": PAGE,
    "/keyspace": PAGE,
    "/api/v1/status": PAGE,
    "/api/v1/openapi.json": PAGE,
    "/redis/ping": PAGE,
    "/redis/stats": PAGE,
    "/-/reload": ACTION,
}
#: The policy of a path that does not exist.
UNKNOWN = PAGE


class RequestRefusedError(Exception):
    """A request is refused: its HTTP status, and a text for the client."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class HostRules:
    """The names under which the pages respond."""

    #: ``web.allowed_hosts``, in lower case; ``*.example.com`` stands for every name below it
    allowed: tuple[str, ...] = ()
    #: of this machine, in lower case
    own_name: str = ""

    def check_host(self, hosts: Sequence[str], *, http_version: str, policy: PathPolicy, has_login: bool) -> str:
        """Return the value of Host. Raises RequestRefusedError if it is missing, given twice, or refused."""
        if len(hosts) > 1 or (not hosts and http_version == "1.1"):
            raise RequestRefusedError(400, "a request has exactly one Host header")
        value = hosts[0] if hosts else ""
        if not hosts or not (self.allowed or (policy.is_for_people and not has_login)):
            return value
        name = host_name(value)
        if name is None:
            raise RequestRefusedError(400, "the Host header is not a host with an optional port")
        if not self.permits(name):
            raise RequestRefusedError(
                403, f"the name in the Host header is not known here: add it to {SETTING}, or use an IP address"
            )
        return value

    def check_origin(self, host: str, origins: Sequence[str], fetch_sites: Sequence[str]) -> None:
        """Raise RequestRefusedError if a browser sends the request for a page of another site."""
        if origins:
            origin = _netloc(origins[0]) if len(origins) == 1 else None
            if origin is not None and self._is_listed(origin[0]):
                return
            if origin is None or origin != _with_port(host, origin[2]):
                raise RequestRefusedError(403, f"a page of another site cannot do this: see {SETTING}")
        if any(site.lower() not in ("none", "same-origin") for site in fetch_sites):
            raise RequestRefusedError(403, f"a page of another site cannot do this: see {SETTING}")

    def permits(self, name: str) -> bool:
        """Return whether a name in Host gets a response: no foreign site can have it, or it is listed."""
        if not name:
            return False
        if name in ("localhost", self.own_name) or "." not in name.strip("[]") or name.endswith(_INTERNAL_SUFFIXES):
            return True
        return _is_address(name) or self._is_listed(name)

    def _is_listed(self, name: str) -> bool:
        return any(
            name.endswith(allowed[1:]) if allowed.startswith("*.") else name == allowed for allowed in self.allowed
        )


def host_name(value: str) -> str | None:
    """Return the host of a Host header in lower case, without its port. Return None if it is not a host."""
    match = _HOST.fullmatch(value.strip())
    return None if match is None else match["host"].lower().removesuffix(".")


def is_loopback(address: str) -> bool:
    """Return whether a client is on this machine."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _netloc(origin: str) -> tuple[str, int, str] | None:
    """Return host, port and scheme of an Origin header, or None if it has none."""
    try:
        parts = urlsplit(origin.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return name.removesuffix("."), port or _DEFAULT_PORTS[parts.scheme], parts.scheme


def _with_port(host: str, scheme: str) -> tuple[str, int, str] | None:
    """Return the host and the port of a Host header, with the default port of a scheme."""
    match = _HOST.fullmatch(host.strip())
    if match is None:
        return None
    return match["host"].lower().removesuffix("."), int(match["port"] or _DEFAULT_PORTS[scheme]), scheme
