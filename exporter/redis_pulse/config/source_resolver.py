"""From what was written to resolved sources: where further targets are found, and as what they are watched."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

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
from redis_pulse.config.layered_source import SettingPath
from redis_pulse.config.settings import Settings, TargetEntry
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.url import parse_url
from redis_pulse.config.validation import check_password_file

#: Given a module, where it is named, and a scheme, return a target but for its name and endpoint.
Template = Callable[[str | None, SettingPath, Scheme], TargetSettings]


class AddProblem(Protocol):
    """Takes note of a problem."""

    def __call__(self, path: SettingPath, message: str, cure: str = "") -> None:
        """Note it."""
        ...


class SourceResolver:
    """Collects the sources of one configuration in ``found``."""

    def __init__(self, settings: Settings, template: Template, complain: AddProblem, *, secrets: bool) -> None:
        self._settings = settings
        self._template = template
        self._complain = complain
        self._secrets = secrets
        self.found: list[SourceSettings] = []

    def add_topology_source(self, path: SettingPath, entry: TargetEntry, template: TargetSettings) -> None:
        """Note a declared target that is a cluster, or a Sentinel set: its servers are the targets."""
        if entry.cluster is not None:
            self._cluster(path, entry.cluster, template)
        if entry.sentinel is not None:
            self._sentinel(path, entry.sentinel, template)

    def add_discovery_sources(self) -> None:
        """Note the files, URLs and DNS names that list targets."""
        found = self._settings.discovery
        sources: list[tuple[SettingPath, Kind, str, FileSourceSettings | HttpSourceSettings | DnsSourceSettings]] = [
            *((("discovery", "files", n), "file", one.path, one) for n, one in enumerate(found.files)),
            *(
                (("discovery", "http", n), "http", one.name or one.url.partition("?")[0], one)
                for n, one in enumerate(found.http)
            ),
            *((("discovery", "dns", n), "dns", f"{one.name} {one.type}", one) for n, one in enumerate(found.dns)),
        ]
        for path, kind, name, options in sources:
            template = self._template(options.module, (*path, "module"), options.scheme)
            named = () if kind == "dns" else self._settings.modules
            modules = {module: self._template(module, (), options.scheme) for module in named}
            self._add(path, SourceSettings(kind, name, options, template, modules))

    def _cluster(self, path: SettingPath, cluster: ClusterSettings, template: TargetSettings) -> None:
        endpoints = [template.endpoint, *(parse_url(seed).endpoint for seed in cluster.seeds)]
        # Whether a cluster wants TLS says its url, for all of its nodes.
        seeds = tuple(template.at(replace(one, tls=template.endpoint.tls), template.name) for one in endpoints)
        self._add(path, SourceSettings("cluster", template.name, cluster, template, seeds=seeds))

    def _sentinel(self, path: SettingPath, sentinel: SentinelSettings, template: TargetSettings) -> None:
        if sentinel.password and sentinel.password_file:
            self._complain((*path, "sentinel", "password"), "stands beside a password_file", "keep one of the two")
        asked = template.model_copy(
            update={
                "username": sentinel.username,
                "password": sentinel.password,
                "password_file": sentinel.password_file,
                "tls": sentinel.tls or self._settings.tls,
            }
        )
        endpoints = [parse_url(host).endpoint for host in sentinel.hosts]
        seeds = tuple(asked.at(endpoint, endpoint.address) for endpoint in endpoints)
        file = sentinel.password_file
        if file is not None and self._secrets and (trouble := check_password_file(file, endpoints[0])):
            self._complain((*path, "sentinel", "password_file"), *trouble)
        self._add(path, SourceSettings("sentinel", template.name, sentinel, template, seeds=seeds))

    def _add(self, path: SettingPath, source: SourceSettings) -> None:
        if any(source.key == other.key for other in self.found):
            self._complain(path, "is declared twice", "keep one, or give it another name")
        self.found.append(source)
