"""Settings of the sources of targets: files, HTTP, DNS, nodes of a cluster, servers that Sentinels watch."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from redis_pulse.config.models import TlsSettings
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.types import Count, Options, PositiveCount, PositiveSeconds
from redis_pulse.config.url import Endpoint, ParsedUrl, parse_url

Kind = Literal["file", "http", "dns", "cluster", "sentinel"]
Scheme = Literal["redis", "rediss", "valkey", "valkeys"]

_HOST_PATTERN = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_HTTP_URL = re.compile(r"https?://[^\s/@?#]+(/[^\s#]*)?")


def _as_list(value: Any) -> Any:
    """Return a list: a text is split at commas, a mapping becomes a list of one. Return other values unchanged."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, dict) else value


def _short_form(key: str) -> BeforeValidator:
    """Return a validator that accepts a text in place of a source, and sets ``key`` to it."""

    def expand(value: Any) -> Any:
        value = _as_list(value)
        return [{key: item} if isinstance(item, str) else item for item in value] if isinstance(value, list) else value

    return BeforeValidator(expand)


def _server_address(value: str) -> str:
    if "@" in value:
        raise ValueError("must not contain a user name or password: set username and password_file")
    if parse_url(value).endpoint.kind != "tcp":
        raise ValueError("must be an address such as host:port")
    return value


def _http_url(value: str) -> str:
    if not _HTTP_URL.fullmatch(value):
        raise ValueError("must be a URL that begins with http:// or https://, without user name and password")
    return value


def _network_or_name(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        if re.fullmatch(r"[0-9a-fA-F.:/]+", value) or not _HOST_PATTERN.fullmatch(value):
            raise ValueError("must be a network such as 10.0.0.0/8, or a name such as *.redis.internal") from None
    return value


def _bool_or_settings(value: Any) -> Any:
    if value is True:
        return {}
    return None if value is False else value


#: Networks such as 10.0.0.0/8, and names such as *.redis.internal.
NetworksAndNames = Annotated[tuple[Annotated[str, AfterValidator(_network_or_name)], ...], BeforeValidator(_as_list)]
Server = Annotated[str, AfterValidator(_server_address)]
Servers = Annotated[tuple[Server, ...], BeforeValidator(_as_list)]


class ClusterSettings(Options):
    """Every node of a Redis Cluster is a target. The nodes report each other."""

    seeds: Servers = Field((), description="Further nodes to query if the one in url does not reply.")
    interval: PositiveSeconds = Field(10.0, ge=0.1, description="Time between two queries of the topology.")
    replicas: bool = Field(True, description="Whether replicas are targets too, or masters only.")
    prefer: Literal["announced", "ip", "hostname"] = Field(
        "announced",
        description="Which address of a node is used: the one it announces as preferred, its IP, or its host name.",
    )


class SentinelSettings(Options):
    """The master and the replicas of a Sentinel set are targets. Their names stay the same after a failover."""

    hosts: Annotated[Servers, Field(min_length=1)] = Field(
        description="The Sentinels: host:port, or rediss://host:port for one that requires TLS."
    )
    master: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field(
        (), description="Names of the masters to monitor. Default: all that the Sentinels watch."
    )
    username: str | None = Field(None, repr=False, description="ACL user to log in to the Sentinels as.")
    password: SecretStr | None = Field(None, description="Password of the Sentinels. Prefer password_file.")
    password_file: Path | None = Field(None, description="File with the password of the Sentinels.")
    tls: TlsSettings | None = Field(None, description="Like the group tls, for connections to the Sentinels.")
    scheme: Scheme = Field("redis", description="Scheme of the connections to the servers that the Sentinels report.")
    interval: PositiveSeconds = Field(10.0, ge=0.1, description="Time between two queries of the Sentinels.")
    replicas: bool = Field(True, description="Whether replicas are targets too, or the master only.")
    sentinels: bool = Field(False, description="Whether the Sentinels are targets too.")


class FileSourceSettings(Options):
    """Files in the format of Prometheus' file_sd, JSON or YAML."""

    path: str = Field(min_length=1, description="A file, or a pattern such as targets/*.yaml.")
    module: str | None = Field(None, description="Module of its targets. An entry may name another one.")
    scheme: Scheme = Field("redis", description="Scheme of the connections to targets that are written as host:port.")
    interval: PositiveSeconds = Field(5.0, ge=0.1, description="Time between two checks for changes.")
    sockets: bool = Field(default=False, description="Whether entries may be unix sockets of this machine.")


class HttpSourceSettings(Options):
    """A URL that answers in the format of Prometheus' http_sd."""

    url: Annotated[str, AfterValidator(_http_url)] = Field(repr=False, description="URL of the list of targets.")
    name: str | None = Field(None, description="Its name in metrics. Default: the URL up to its ?.")
    module: str | None = Field(None, description="Module of its targets. An entry may name another one.")
    scheme: Scheme = Field("redis", description="Scheme of the connections to targets that are written as host:port.")
    interval: PositiveSeconds = Field(30.0, ge=0.1, description="Time between two requests.")
    timeout: PositiveSeconds = Field(10.0, description="Maximum time to wait for the complete answer.")
    max_bytes: PositiveCount = Field(10_000_000, description="An answer of more bytes is rejected.")
    bearer_token_file: Path | None = Field(None, description="File with the bearer token. It is read at every request.")
    tls: TlsSettings = Field(
        TlsSettings(), description="How the certificate of the server is checked. Like the group tls."
    )


class DnsSourceSettings(Options):
    """A name whose records are servers, such as a headless service."""

    name: str = Field(min_length=1, description="The DNS name to query.")
    type: Literal["A", "AAAA", "SRV"] = Field(
        "A", description="The type of records to query. SRV records include the port."
    )
    port: PositiveCount = Field(6379, le=65535, description="The port, if the records do not include it.")
    server: str | None = Field(
        None, description="The DNS server to query: host or host:port. Default: those of the system."
    )
    module: str | None = Field(None, description="Module of its targets.")
    scheme: Scheme = Field("redis", description="Scheme of the connections to the servers.")
    interval: PositiveSeconds = Field(30.0, ge=0.1, description="Time between two requests.")


class DiscoverySettings(Options):
    """Where further targets are found."""

    files: Annotated[tuple[FileSourceSettings, ...], _short_form("path")] = Field((), description="Files of targets.")
    http: Annotated[tuple[HttpSourceSettings, ...], _short_form("url")] = Field(
        (), description="URLs that list targets."
    )
    dns: Annotated[tuple[DnsSourceSettings, ...], _short_form("name")] = Field(
        (), description="DNS names whose records are targets."
    )
    allow: NetworksAndNames = Field(
        (),
        description=(
            "Networks and names that discovered targets may have (10.0.0.0/8, *.redis.internal). Default: all that "
            "files, URLs and DNS name, and those that a cluster or a Sentinel announces near itself."
        ),
    )
    max_targets: Count = Field(
        2000, description="Maximum number of targets of all sources together. A thousand targets take about 0.3 GB."
    )


SourceOptions = ClusterSettings | SentinelSettings | FileSourceSettings | HttpSourceSettings | DnsSourceSettings


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One resolved source of targets. Two are equal if all of their settings are.

    ``template`` has the settings of its targets; ``template.at(…)`` adds endpoint, name and labels. ``modules`` are the
    templates of the modules that entries may name. ``seeds`` are the servers to query: nodes of a cluster, or Sentinels
    with their own credentials.
    """

    kind: Kind
    #: the pattern of files, the URL, the DNS name, or the name of the declared target
    name: str
    options: SourceOptions
    template: TargetSettings
    modules: Mapping[str, TargetSettings] = field(default_factory=dict, repr=False)
    seeds: tuple[TargetSettings, ...] = ()

    @property
    def key(self) -> str:
        """Its kind and name, which no other source has."""
        return f"{self.kind} {self.name}"

    @property
    def title(self) -> str:
        """Its name and kind, as ``check-config`` shows them, and for Sentinels the masters."""
        kind: str = self.kind
        if isinstance(self.options, SentinelSettings):
            kind += f" {' '.join(self.options.master)}" if self.options.master else ", all masters"
        return f"{self.name}: {kind}"


#: The host of a server that discovery has not found yet.
_PLACEHOLDER = "to-be-found"


def placeholder_url(scheme: Scheme) -> ParsedUrl:
    """Return a URL of a server that discovery has not found yet. Only its scheme is meaningful."""
    return parse_url(f"{scheme}://{_PLACEHOLDER}")


def is_placeholder(endpoint: Endpoint) -> bool:
    """Return whether the address is unknown yet, because discovery will find the server."""
    return endpoint.host == _PLACEHOLDER


BoolOrSettings = BeforeValidator(_bool_or_settings)
