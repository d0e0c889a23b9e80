"""Parse the URLs of servers and listen addresses, and check the path of the metrics.

The text of a URL may contain a password, so no message repeats any part of it except the scheme.
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
_MISSING_COLON = re.compile(r"(rediss?|valkeys?|unix)//", re.IGNORECASE)
_HOST = re.compile(r"[^\s/?#@\[\]%]+")
_LISTEN = re.compile(
    r"(?:(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%\S+)?)\]|(?P<host>[^\s:/\[\]]*)):)?(?P<port>[0-9]{1,5})", re.ASCII
)
_MUST_ENCODE = "a user name or password with /, ?, #, @ or : in it must be percent-encoded"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server listens. ``tls`` tells whether the connection is encrypted."""

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
        """``host:port``, ``[::1]:6379`` or the path of the socket. Never a credential."""
        if self.kind == "unix":
            return self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine: a unix socket or a loopback address, which may also be a tunnel."""
        if self.kind == "unix" or self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return self.address


class ParsedUrl(NamedTuple):
    """The parts of a URL. Missing parts are None."""

    endpoint: Endpoint
    db: int | None = None
    username: str | None = None
    password: SecretStr | None = None
    cert_reqs: str | None = None


def parse_url(text: str) -> ParsedUrl:
    """Return the parts of ``redis[s]://``, ``valkey[s]://``, ``unix://``, ``host:port``, ``host`` or a socket path.

    Raises ValueError with a message that repeats nothing of the text but its scheme.
    """
    text = text.strip()
    if not text:
        raise ValueError("must not be empty: write redis://host:port")
    scheme, rest = ("unix", text) if text.startswith("/") else _split_scheme(text)
    if scheme == "unix":
        return _parse_unix(rest)
    authority, tail = _split_authority(rest)
    if "@" in tail:
        raise ValueError(_MUST_ENCODE)
    userinfo, at, address = authority.rpartition("@")
    if not scheme and at:
        raise ValueError("must start with redis:// (or rediss://) when it contains a user name or password")
    host, port = _host_and_port(address)
    path, _, query = tail.partition("?")
    endpoint = Endpoint("redis", host, port, tls=scheme in ("rediss", "valkeys"))
    return _with_parameters(ParsedUrl(endpoint, _parse_database(path.strip("/"))), userinfo, query)


def has_credentials(text: str) -> bool:
    """Return whether the text of a target seems to hold a user name or a password. It need not be a valid URL."""
    return "@" in text or any(f"{key}=" in text.lower() for key in ("password", "username"))


def _split_scheme(text: str) -> tuple[str, str]:
    match = _SCHEME.match(text)
    if match is None:
        if match := _MISSING_COLON.match(text):
            raise ValueError(f"must have a colon after {match[1].lower()}: {match[1].lower()}://")
        return "", text
    scheme, rest = match[1].lower(), text[match.end() :]
    if scheme in SCHEMES:
        if scheme == "unix" and not match[0].endswith("//"):
            rest = "/" + rest
        elif not match[0].endswith("//"):
            raise ValueError(f"must have two slashes after {scheme}:")
        return scheme, rest
    if "sentinel" in scheme:
        raise ValueError("names a Sentinel, which has no URL: set it in a target, as sentinel: {hosts: [host:26379]}")
    if len(scheme) > 20:
        raise ValueError(f"must start with one of {', '.join(f'{known}://' for known in SCHEMES)}")
    guess = closest_name(scheme, SCHEMES)
    hint = f"did you mean {guess}://?" if guess else f"use one of {', '.join(f'{known}://' for known in SCHEMES)}"
    raise ValueError(f"has the unknown scheme {scheme}://: {hint}")


def _split_authority(rest: str) -> tuple[str, str]:
    end = re.search(r"[/?#]", rest)
    return (rest, "") if end is None else (rest[: end.start()], rest[end.start() :])


def _parse_unix(rest: str) -> ParsedUrl:
    userinfo = ""
    if not rest.startswith("/"):
        userinfo, at, rest = rest.rpartition("@/")
        if not at:
            raise ValueError("must contain the full path of a socket: unix:///run/redis.sock")
        rest = "/" + rest
        if re.search(r"[/?#@]", userinfo):
            raise ValueError(_MUST_ENCODE)
    path, _, query = rest.partition("?")
    if "@" in path or "://" in path:
        raise ValueError("must contain the path of a socket, with @ written as %40")
    return _with_parameters(ParsedUrl(Endpoint("unix", path=unquote(path))), userinfo, query)


def _host_and_port(address: str) -> tuple[str, int]:
    if address.startswith("["):
        host, bracket, port = address[1:].partition("]")
        if not bracket or (port and not port.startswith(":")) or not _is_ipv6(host):
            raise ValueError("must write an IPv6 address as [::1]:6379")
        port = port[1:]
    elif address.count(":") > 1:
        if not _is_ipv6(address):
            raise ValueError("must be host:port, with one colon")
        host, port = address, ""
    else:
        host, _, port = address.partition(":")
        host = unquote(host)
        if "," in host:
            raise ValueError("has a comma in its host: if one URL has a password, each URL must begin with its scheme")
        if host and not _HOST.fullmatch(host):
            raise ValueError("has a host name with invalid characters")
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


def _parse_database(text: str) -> int | None:
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
            db = _parse_database(value)
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


class ListenAddress(NamedTuple):
    """An address to listen on. An empty host means every address of the machine, port 0 any free port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> ListenAddress:
    """Return the address of ``:9121``, ``127.0.0.1:9121``, ``[::1]:9121``, ``localhost:9121`` or just ``9121``.

    Raises ValueError for anything else. The message does not repeat the text.
    """
    match = _LISTEN.fullmatch(text.strip())
    if match is None:
        if text.count(":") > 1 and "[" not in text and "/" not in text:
            raise ValueError("must write an IPv6 address in brackets, for example [::1]:9121")
        raise ValueError("must be an address and a port such as :9121, 127.0.0.1:9121 or [::1]:9121")
    port = int(match["port"])
    if port > 65535:
        raise ValueError("must have a port of at most 65535")
    return ListenAddress(match["v6"] or match["host"] or "", port)


#: The paths of other pages. One that ends with ``/`` is reserved with all paths below it.
RESERVED_PATHS = ("/", "/scrape", "/sd", "/stalls", "/keyspace", "/config", "/api/", "/health", "/-/", "/redis/")
_PATH = re.compile(r"/[A-Za-z0-9/._~-]*")


def _is_reserved(path: str) -> bool:
    return any(
        path == reserved or (reserved != "/" and reserved.endswith("/") and path.startswith(reserved))
        for reserved in RESERVED_PATHS
    )


def telemetry_path_error(path: str) -> str:
    """Return what is wrong with a path of the metrics, or an empty text."""
    if not _PATH.fullmatch(path) or path == "/":
        return "must be a path such as /metrics"
    return "belongs to another page; choose a path such as /metrics" if _is_reserved(path) else ""
