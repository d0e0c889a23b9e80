"""From the text of a URL to an endpoint and what else the text holds; a bad URL is never repeated in a message.

Paths that the metrics cannot have: one list and one check for settings, ``migrate-flags`` and routes.
"""

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl, unquote

from pydantic import SecretStr

from redis_pulse.config.problems import closest_name

DEFAULT_PORT = 6379
SCHEMES = ("redis", "rediss", "valkey", "valkeys", "unix")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9.+-]*):/{1,2}")
_COLONLESS = re.compile(r"(rediss?|valkeys?|unix)//", re.IGNORECASE)
_HOST = re.compile(r"[^\s/?#@\[\]%]+")
_ENCODE = "a user name or password with /, ?, #, @ or : in it must be percent-encoded"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens. ``scheme`` is ``redis`` or ``unix``; whether it is encrypted says ``tls``."""

    scheme: Literal["redis", "unix"]
    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    tls: bool = False

    @property
    def kind(self) -> Literal["tcp", "unix"]:
        """The kind of socket."""
        return "unix" if self.scheme == "unix" else "tcp"

    @property
    def address(self) -> str:
        """``host:port``, ``[::1]:6379`` or the path of the socket; never a credential."""
        if self.kind == "unix":
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: a unix socket, or a loopback address (which a tunnel may use, too)."""
        if self.kind == "unix" or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return self.address


class ParsedUrl(NamedTuple):
    """What a URL says. Parts that it does not name are None."""

    endpoint: Endpoint
    db: int | None = None
    username: str | None = None
    password: SecretStr | None = None
    cert_reqs: str | None = None


def parse_url(text: str) -> ParsedUrl:
    """Read ``redis[s]://``, ``valkey[s]://``, ``unix://``, ``host:port``, ``host`` or the path of a socket.

    Raises ValueError with a message that holds nothing of the text but a scheme, since the rest may be a password.
    """
    text = text.strip()
    if not text:
        raise ValueError("must not be empty: write redis://host:port")
    scheme, rest = ("unix", text) if text.startswith("/") else _scheme(text)
    if scheme == "unix":
        return _unix(rest)
    authority, tail = _split(rest)
    if "@" in tail:
        raise ValueError(_ENCODE)
    userinfo, at, place = authority.rpartition("@")
    if not scheme and at:
        raise ValueError("must start with redis:// (or rediss://) when it holds a user name or password")
    host, port = _host_and_port(place)
    path, _, query = tail.partition("?")
    endpoint = Endpoint("redis", host, port, tls=scheme in ("rediss", "valkeys"))
    return _with_parameters(ParsedUrl(endpoint, _database(path.strip("/"))), userinfo, query)


def _scheme(text: str) -> tuple[str, str]:
    match = _SCHEME.match(text)
    if match is None:
        if colonless := _COLONLESS.match(text):
            raise ValueError(f"must have a colon after {colonless[1].lower()}: {colonless[1].lower()}://")
        return "", text
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in SCHEMES:
        if scheme == "unix" and not match[0].endswith("//"):
            rest = "/" + rest
        elif not match[0].endswith("//"):
            raise ValueError(f"must have two slashes after {scheme}:")
        return scheme, rest
    if "sentinel" in scheme:
        raise ValueError(
            "names a Sentinel, for which there is no URL: list it in a target, as sentinel: {hosts: [host:26379]}"
        )
    if len(scheme) > 20:
        raise ValueError(f"must start with one of {', '.join(f'{known}://' for known in SCHEMES)}")
    guess = closest_name(scheme, SCHEMES)
    hint = f"did you mean {guess}://?" if guess else f"use one of {', '.join(f'{known}://' for known in SCHEMES)}"
    raise ValueError(f"has the unknown scheme {scheme}://: {hint}")


def _split(rest: str) -> tuple[str, str]:
    end = re.search(r"[/?#]", rest)
    return (rest, "") if end is None else (rest[: end.start()], rest[end.start() :])


def _unix(rest: str) -> ParsedUrl:
    userinfo = ""
    if not rest.startswith("/"):
        userinfo, at, rest = rest.rpartition("@/")
        if not at:
            raise ValueError("must hold the whole path of a socket: unix:///run/redis.sock")
        rest = "/" + rest
        if re.search(r"[/?#@]", userinfo):
            raise ValueError(_ENCODE)
    path, _, query = rest.partition("?")
    if "@" in path or "://" in path:
        raise ValueError("must hold the path of a socket, with @ written as %40")
    return _with_parameters(ParsedUrl(Endpoint("unix", path=unquote(path))), userinfo, query)


def _host_and_port(place: str) -> tuple[str, int]:
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        if not bracket or (port and not port.startswith(":")) or not _is_ipv6(host):
            raise ValueError("must write an IPv6 address as [::1]:6379")
        port = port[1:]
    elif place.count(":") > 1:
        if not _is_ipv6(place):
            raise ValueError("must be host:port, with one colon")
        host, port = place, ""
    else:
        host, _, port = place.partition(":")
        host = unquote(host)
        if "," in host:
            raise ValueError("has a comma in its host: with a password in one URL, each begins with its scheme")
        if host and not _HOST.fullmatch(host):
            raise ValueError("has a host name with characters that no host name has")
    if not host:
        host = "localhost"
    if not port:
        return host.lower(), DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
        raise ValueError("must have a port between 1 and 65535")
    return host.lower(), int(port)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _database(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise ValueError("must have the number of a database, or nothing, after the last /")
    return int(text)


def _with_parameters(parsed: ParsedUrl, userinfo: str, query: str) -> ParsedUrl:
    name, _, secret = userinfo.partition(":")
    db, cert_reqs, username, password = parsed.db, None, unquote(name) or None, unquote(secret) or None
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "db":
            db = _database(value)
        elif key == "ssl_cert_reqs":
            cert_reqs = value.lower().removeprefix("cert_")
            if cert_reqs not in ("required", "optional", "none"):
                raise ValueError("must have ssl_cert_reqs=required, optional or none")
        elif key == "username":
            username = value or username
        elif key == "password":
            password = value or password
        else:
            raise ValueError(
                "has a parameter other than db, username, password, ssl_cert_reqs: "
                "set connection and tls options in the configuration"
            )
    return ParsedUrl(parsed.endpoint, db, username, None if password is None else SecretStr(password), cert_reqs)


#: Each is a page. One that ends with ``/`` is taken with all that is below it.
RESERVED_PATHS = ("/", "/scrape", "/sd", "/health", "/-/", "/redis/")
_PATH = re.compile(r"/[A-Za-z0-9/._~-]*")


def _is_reserved(path: str) -> bool:
    return any(
        path == taken or (taken != "/" and taken.endswith("/") and path.startswith(taken)) for taken in RESERVED_PATHS
    )


def telemetry_path_error(path: str) -> str:
    """Return what is wrong with a path for the metrics; empty when nothing is."""
    if not _PATH.fullmatch(path) or path == "/":
        return "must be a path such as /metrics"
    return "belongs to another page; choose a path such as /metrics" if _is_reserved(path) else ""
