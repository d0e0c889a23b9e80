"""Resolve the sources that discovery reads: where further targets are found, and with which settings."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from redis_pulse.config.bearer_token import read_bearer_token
from redis_pulse.config.discovery_models import (
    ClusterSettings,
    DnsSourceSettings,
    FileSourceSettings,
    HttpSourceSettings,
    Kind,
    Scheme,
    SentinelSettings,
    SourceSettings,
)
from redis_pulse.config.layered_source import SettingPath, format_path
from redis_pulse.config.settings import Settings, TargetEntry
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.url import parse_url
from redis_pulse.config.validation import check_password_file

#: Given a module, the path of its name, and a scheme, return a target without name and endpoint.
ResolveTemplate = Callable[[str | None, SettingPath, Scheme], TargetSettings]


class AddProblem(Protocol):
    """Collects problems."""

    def __call__(self, path: SettingPath, message: str, hint: str = "") -> None:
        """Add a problem of the setting at ``path``."""
        ...


class SourceResolver:
    """Collects the sources of one configuration in ``sources``."""

    def __init__(
        self, settings: Settings, resolve_template: ResolveTemplate, add_problem: AddProblem, *, secrets: bool
    ) -> None:
        self._settings = settings
        self._resolve_template = resolve_template
        self._add_problem = add_problem
        self._secrets = secrets
        self.sources: list[SourceSettings] = []
        self.warnings: list[str] = []

    def add_topology_source(self, path: SettingPath, entry: TargetEntry, template: TargetSettings) -> None:
        """Add a declared target that is a cluster or a Sentinel set. Its servers are the targets."""
        if entry.cluster is not None:
            self._add_cluster(path, entry.cluster, template)
        if entry.sentinel is not None:
            self._add_sentinel(path, entry.sentinel, template)

    def add_discovery_sources(self) -> None:
        """Add the files, URLs and DNS names that list targets."""
        discovery = self._settings.discovery
        declared: list[tuple[SettingPath, Kind, str, FileSourceSettings | HttpSourceSettings | DnsSourceSettings]] = []
        for index, file in enumerate(discovery.files):
            declared.append((("discovery", "files", index), "file", file.path, file))
        for index, http in enumerate(discovery.http):
            self._check_token(("discovery", "http", index, "bearer_token_file"), http)
            name = http.name or http.url.partition("?")[0]
            declared.append((("discovery", "http", index), "http", name, http))
        for index, dns in enumerate(discovery.dns):
            declared.append((("discovery", "dns", index), "dns", f"{dns.name} {dns.type}", dns))
        for path, kind, name, options in declared:
            template = self._resolve_template(options.module, (*path, "module"), options.scheme)
            # A DNS record names no module.
            usable = () if kind == "dns" else self._settings.modules
            modules = {module: self._resolve_template(module, (), options.scheme) for module in usable}
            self._add(path, SourceSettings(kind, name, options, template, modules))

    def _check_token(self, path: SettingPath, http: HttpSourceSettings) -> None:
        if (file := http.bearer_token_file) is None:
            return
        if not http.url.startswith("https:"):
            self.warnings.append(f"{format_path(path)}: everyone on the way to the inventory can read it: use https://")
        if not self._secrets:
            return
        try:
            read_bearer_token(file)
        except OSError as error:
            self._add_problem(path, f"names a file that cannot be read: {error.strerror}")
        except ValueError as error:
            self._add_problem(path, str(error), "write the token alone into the file, in one line")

    def _add_cluster(self, path: SettingPath, cluster: ClusterSettings, template: TargetSettings) -> None:
        endpoints = [template.endpoint, *(parse_url(seed).endpoint for seed in cluster.seeds)]
        # The url of the target decides for all nodes of the cluster whether TLS is used.
        seeds = tuple(
            template.at(replace(endpoint, tls=template.endpoint.tls), template.name) for endpoint in endpoints
        )
        self._add(path, SourceSettings("cluster", template.name, cluster, template, seeds=seeds))

    def _add_sentinel(self, path: SettingPath, sentinel: SentinelSettings, template: TargetSettings) -> None:
        if sentinel.password and sentinel.password_file:
            message = "cannot be combined with password_file"
            self._add_problem((*path, "sentinel", "password"), message, "keep one of the two")
        sentinel_template = template.model_copy(
            update={
                "username": sentinel.username,
                "password": sentinel.password,
                "password_file": sentinel.password_file,
                "token_source": None,  # Sentinels of managed services are not reachable
                "tls": sentinel.tls or self._settings.tls,
            }
        )
        endpoints = [parse_url(host).endpoint for host in sentinel.hosts]
        seeds = tuple(sentinel_template.at(endpoint, endpoint.address) for endpoint in endpoints)
        file = sentinel.password_file
        if file is not None and self._secrets and (error := check_password_file(file, endpoints[0])):
            self._add_problem((*path, "sentinel", "password_file"), *error)
        self._add(path, SourceSettings("sentinel", template.name, sentinel, template, seeds=seeds))

    def _add(self, path: SettingPath, source: SourceSettings) -> None:
        if any(source.key == other.key for other in self.sources):
            self._add_problem(path, "is declared twice", "keep one, or give it another name")
        self.sources.append(source)
