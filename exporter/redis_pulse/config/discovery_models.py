"""Where targets are found: files, HTTP, DNS, the nodes of a cluster, the servers that Sentinels watch."""

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
from redis_pulse.config.url import ParsedUrl, parse_url

Kind = Literal["file", "http", "dns", "cluster", "sentinel"]
Scheme = Literal["redis", "rediss", "valkey", "valkeys"]

_PATTERN = re.compile(r"(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_HTTP = re.compile(r"https?://[^\s/@?#]+(/[^\s#]*)?")


def _listed(value: Any) -> Any:
    """Take one for a list of one; text is parted at commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [value] if isinstance(value, dict) else value


def _bare(key: str) -> BeforeValidator:
    """Let a source be written as its most important setting alone."""

    def expand(value: Any) -> Any:
        value = _listed(value)
        return [{key: one} if isinstance(one, str) else one for one in value] if isinstance(value, list) else value

    return BeforeValidator(expand)


def _server(value: str) -> str:
    if "@" in value:
        raise ValueError("must not hold a user name or password: set username and password_file beside it")
    if parse_url(value).endpoint.kind != "tcp":
        raise ValueError("must be an address such as host:port")
    return value


def _http_url(value: str) -> str:
    if not _HTTP.fullmatch(value):
        raise ValueError("must be a URL that begins with http:// or https://, without user name and password")
    return value


def _allowed(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        if re.fullmatch(r"[0-9a-fA-F.:/]+", value) or not _PATTERN.fullmatch(value):
            raise ValueError("must be a network such as 10.0.0.0/8, or a name such as *.redis.internal") from None
    return value


def _bool_or_settings(value: Any) -> Any:
    if value is True:
        return {}
    return None if value is False else value


Server = Annotated[str, AfterValidator(_server)]
Servers = Annotated[tuple[Server, ...], BeforeValidator(_listed)]


class ClusterSettings(Options):
    """Every node of a Redis Cluster is a target, found by asking the nodes."""

    seeds: Servers = Field((), description="Further nodes to ask when the one in url does not answer.")
    interval: PositiveSeconds = Field(10.0, ge=0.1, description="Time between two looks at the topology.")
    replicas: bool = Field(True, description="Whether replicas are watched, or masters only.")
    prefer: Literal["announced", "ip", "hostname"] = Field(
        "announced", description="Which of its addresses a node is reached at: the one it prefers, its IP, its name."
    )


class SentinelSettings(Options):
    """The master and the replicas of a Sentinel set are targets, whose names stay when the master moves."""

    hosts: Annotated[Servers, Field(min_length=1)] = Field(
        description="The Sentinels: host:port, or rediss://host:port for one that wants TLS."
    )
    master: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        (), description="Names of the masters to follow; all that the Sentinels watch unless set."
    )
    username: str | None = Field(None, repr=False, description="ACL user to log in to the Sentinels as.")
    password: SecretStr | None = Field(None, description="Password of the Sentinels; better in a file.")
    password_file: Path | None = Field(None, description="File with the password of the Sentinels.")
    tls: TlsSettings | None = Field(None, description="As the group tls, for the Sentinels.")
    scheme: Scheme = Field("redis", description="How the servers are reached that the Sentinels name.")
    interval: PositiveSeconds = Field(10.0, ge=0.1, description="Time between two rounds of questions.")
    replicas: bool = Field(True, description="Whether replicas are watched, or the master only.")
    sentinels: bool = Field(False, description="Whether the Sentinels themselves are targets too.")


class FileSourceSettings(Options):
    """Files in the form of Prometheus' file_sd, JSON or YAML."""

    path: str = Field(min_length=1, description="A file, or a pattern such as targets/*.yaml.")
    module: str | None = Field(None, description="Module of its targets, unless an entry names another one.")
    scheme: Scheme = Field("redis", description="How a target is reached that is written as host:port.")
    interval: PositiveSeconds = Field(5.0, ge=0.1, description="Time between two looks at whether it changed.")


class HttpSourceSettings(Options):
    """A URL that answers in the form of Prometheus' http_sd."""

    url: Annotated[str, AfterValidator(_http_url)] = Field(description="Where to ask.")
    name: str | None = Field(None, description="What it is called in metrics; the URL up to its ? unless set.")
    module: str | None = Field(None, description="Module of its targets, unless an entry names another one.")
    scheme: Scheme = Field("redis", description="How a target is reached that is written as host:port.")
    interval: PositiveSeconds = Field(30.0, ge=0.1, description="Time between two questions.")
    timeout: PositiveSeconds = Field(10.0, description="Longest wait for the whole answer.")
    max_bytes: PositiveCount = Field(10_000_000, description="A longer answer is refused.")
    bearer_token_file: Path | None = Field(None, description="File with the token to show, read at every question.")
    tls: TlsSettings = Field(
        TlsSettings(), description="How the certificate of the server is checked; as the group tls."
    )


class DnsSourceSettings(Options):
    """A name whose records are servers, such as a headless service."""

    name: str = Field(min_length=1, description="The name to ask for.")
    type: Literal["A", "AAAA", "SRV"] = Field("A", description="The records to ask for; SRV says the port, too.")
    port: PositiveCount = Field(6379, le=65535, description="The port, where the record does not say it.")
    server: str | None = Field(None, description="The DNS server to ask, host or host:port; the system's unless set.")
    module: str | None = Field(None, description="Module of its targets.")
    scheme: Scheme = Field("redis", description="How the servers are reached.")
    interval: PositiveSeconds = Field(30.0, ge=0.1, description="Time between two questions.")


class DiscoverySettings(Options):
    """Where targets are found besides those that are listed."""

    files: Annotated[tuple[FileSourceSettings, ...], _bare("path")] = Field((), description="Files of targets.")
    http: Annotated[tuple[HttpSourceSettings, ...], _bare("url")] = Field((), description="URLs that list targets.")
    dns: Annotated[tuple[DnsSourceSettings, ...], _bare("name")] = Field((), description="DNS names that are targets.")
    allow: Annotated[tuple[Annotated[str, AfterValidator(_allowed)], ...], BeforeValidator(_listed)] = Field(
        (),
        description="Networks and names that a found target may have (10.0.0.0/8, *.redis.internal); all unless set.",
    )
    max_targets: Count = Field(20_000, description="No more targets than this are taken from one source.")


SourceOptions = ClusterSettings | SentinelSettings | FileSourceSettings | HttpSourceSettings | DnsSourceSettings


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """One resolved source of targets; equal when nothing differs.

    ``template`` is a target of it but for name, endpoint and labels (``template.at(…)`` makes one); ``modules`` are the
    templates by the names of modules, which entries may refer to; ``seeds`` are the servers to ask: nodes of a cluster,
    or Sentinels, with their own credentials.
    """

    kind: Kind
    #: the glob, URL or DNS name, or the name of the declared target
    name: str
    options: SourceOptions
    template: TargetSettings
    modules: Mapping[str, TargetSettings] = field(default_factory=dict, repr=False)
    seeds: tuple[TargetSettings, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return f"{self.kind} {self.name}"

    @property
    def title(self) -> str:
        """What a person is told: its name, its kind and, of Sentinels, which masters."""
        kind: str = self.kind
        if isinstance(self.options, SentinelSettings):
            kind += f" {' '.join(self.options.master)}" if self.options.master else ", all masters"
        return f"{self.name}: {kind}"


def placeholder_url(scheme: Scheme) -> ParsedUrl:
    """Return a URL that says how to reach a server and not yet which."""
    return parse_url(f"{scheme}://to-be-found")


BoolOrSettings = BeforeValidator(_bool_or_settings)
