"""What the daemon, a module and a target say in one group of settings, merged: the strongest owner is the last.

From what was written to targets in which everything is concrete.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, NamedTuple, TypeVar

from pydantic import SecretStr

from redis_pulse.config.discovery_models import Scheme, SourceSettings, placeholder_url
from redis_pulse.config.layered_source import ConfigSource, SettingPath, format_path, location_of_path
from redis_pulse.config.models import (
    BreakerSettings,
    CanarySettings,
    ConnectionSettings,
    PollSettings,
    ProbeSettings,
    SloSettings,
    TlsSettings,
)
from redis_pulse.config.option_types import ScriptFile, own_metrics
from redis_pulse.config.problems import Problem, closest_name
from redis_pulse.config.settings import Module, Settings, TargetEntry, named_url
from redis_pulse.config.source_resolver import SourceResolver
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.types import Options
from redis_pulse.config.url import ParsedUrl, parse_url
from redis_pulse.config.validation import check_password_file, check_target, missing_password

_Group = TypeVar("_Group", bound=Options)


class LayeredSettings(NamedTuple):
    """Somebody who may set something for a target, and where that stands."""

    path: SettingPath
    settings: Settings | Module


def merged_group(model: type[_Group], field: str, owners: Sequence[LayeredSettings], **derived: Any) -> _Group:
    """Return a group; ``derived`` are defaults that hang on other settings."""
    return model(**(derived | merged_fields(field, owners)))


def merged_fields(field: str, owners: Sequence[LayeredSettings]) -> dict[str, Any]:
    """Return what the owners say in one group, the strongest last; what nobody says is left to the defaults."""
    said: dict[str, Any] = {}
    for _, owner in owners:
        if (group := getattr(owner, field)) is not None:
            said |= {name: getattr(group, name) for name in group.model_fields_set}
    return said


def merged_poll(owners: Sequence[LayeredSettings]) -> PollSettings:
    """Return how a target is polled; its interval moves the defaults that hang on it."""
    interval = merged_fields("poll", owners).get("interval", PollSettings().interval)
    return merged_group(
        PollSettings, "poll", owners, timeout=min(PollSettings().timeout, interval), max_age=3 * interval
    )


def merged_tls(owners: Sequence[LayeredSettings], url: ParsedUrl) -> TlsSettings:
    """Return the TLS settings; a URL may say ``ssl_cert_reqs``, and without a check no name is checked either."""
    said = merged_fields("tls", owners)
    if url.cert_reqs is not None:
        said["cert_reqs"] = url.cert_reqs
    if said.get("cert_reqs") == "none":
        said.setdefault("check_hostname", False)
    return TlsSettings(**said)


def precedence(owners: Sequence[LayeredSettings], steps: tuple[str, str]) -> int:
    """Return the number of the strongest owner that sets a value; -1 when nobody does."""
    numbers: Iterator[int] = (
        number
        for number in reversed(range(len(owners)))
        if (group := getattr(owners[number].settings, steps[0])) is not None and steps[1] in group.model_fields_set
    )
    return next(numbers, -1)


def location_of(owners: Sequence[LayeredSettings], steps: tuple[str, str]) -> SettingPath:
    """Return where the strongest owner that sets a value does so; the top when nobody does."""
    return (*owners[max(0, precedence(owners, steps))].path, *steps)


#: Given the name of a collector and its options, return what is wrong with them.
CheckCollectors = Callable[[str, dict[str, Any]], list[str]]
DEFAULT_URL = "redis://localhost:6379"


class _Credentials(NamedTuple):
    """Who logs in, and where the password is written down."""

    username: str | None = None
    password: SecretStr | None = None
    password_file: FilePath | None = None
    path: SettingPath = ()


class ConfigResolver:
    """Resolves the targets of one configuration; afterwards ``problems`` and ``warnings`` say what was found."""

    def __init__(
        self,
        settings: Settings,
        layers: Sequence[ConfigSource],
        check_collectors: CheckCollectors | None,
        *,
        sets: Mapping[str, Sequence[str]] | None = None,
        secrets: bool = True,
    ) -> None:
        self._settings = settings
        #: names of sets of collectors, and what is in each
        self._sets = sets or {}
        #: whether files of secrets must be there
        self._secrets = secrets
        self._layers = layers
        self._check_collectors = check_collectors
        self._problems: dict[tuple[SettingPath, str], Problem] = {}
        self.warnings: list[str] = []
        self._own_metrics: dict[str, ScriptFile] = {}
        #: where further targets are found; filled by ``targets``
        self.sources: tuple[SourceSettings, ...] = ()

    @property
    def problems(self) -> list[Problem]:
        """What makes the configuration unusable."""
        return list(self._problems.values())

    def targets(self, extra: Sequence[tuple[str, str]]) -> tuple[TargetSettings, ...]:
        """Return all targets: those of the file, of ``redis_url``, and the ``extra`` ones (name, URL)."""
        settings, found = self._settings, []
        sources = SourceResolver(settings, self._template, self._add_problem, secrets=self._secrets)
        for index, entry in enumerate(settings.targets):
            target = self._from_file(index, entry)
            if entry.cluster is None and entry.sentinel is None:
                found.append((("targets", index), target))
            else:
                sources.add_topology_source(("targets", index), entry, target)
        sources.add_discovery_sources()
        self.sources = tuple(sources.found)
        for index, url in enumerate(settings.redis_url):
            name, parsed = named_url(url.get_secret_value())
            found.append((("redis_url", index), self._from_url(name, parsed)))
        for index, (name, url_text) in enumerate(extra):
            found.append((("extra", index), self._build((LayeredSettings((), settings),), name, parse_url(url_text))))
        if not found and not self.sources:
            self.warnings.append(f"no target is set: watching {DEFAULT_URL} (set REDIS_URL, or targets in a file)")
            found.append((("redis_url", 0), self._from_url(None, parse_url(DEFAULT_URL))))
        elif not settings.redis_url and (settings.password or settings.password_file or settings.username):
            self.warnings.append(
                "REDIS_USER, REDIS_PASSWORD and REDIS_PASSWORD_FILE are not used: they belong to the targets of "
                "REDIS_URL, and each target of a file has its own"
            )
        self._reject_duplicates(found)
        return tuple(target for _, target in found)

    def _add_problem(self, path: SettingPath, message: str, cure: str = "") -> None:
        self._problems.setdefault((path, message), Problem(location_of_path(self._layers, path), message, cure))

    def _from_file(self, index: int, entry: TargetEntry) -> TargetSettings:
        path, url = ("targets", index), self._url_of(index, entry)
        owners, credentials = self._module(entry.module, (*path, "module"))
        owners.append(LayeredSettings(path, entry))
        if url.password and (entry.password or entry.password_file):
            self._add_problem(path, "has a password in its url and another one beside it", "keep one")
        own = self._credentials(path, entry)
        if url.password:
            own = own._replace(password=url.password)
        credentials += [_Credentials(url.username), own]
        return self._build(owners, entry.name, url, credentials, entry.db)

    def _url_of(self, index: int, entry: TargetEntry) -> ParsedUrl:
        path = ("targets", index)
        if entry.sentinel is not None:
            if entry.url is not None or entry.cluster is not None:
                self._add_problem((*path, "sentinel"), "stands beside a url or cluster", "keep one of them")
            if entry.name is None:
                self._add_problem(path, "has no name", "a Sentinel set needs one: its servers are named after it")
            return placeholder_url(entry.sentinel.scheme)
        return parse_url(entry.url.get_secret_value()) if entry.url is not None else placeholder_url("redis")

    def _module(self, name: str | None, at: SettingPath) -> tuple[list[LayeredSettings], list[_Credentials]]:
        """Return who has a say before the target itself: the daemon and, when one is named, a module."""
        owners: list[LayeredSettings] = [LayeredSettings((), self._settings)]
        if name is None:
            return owners, []
        if (module := self._settings.modules.get(name)) is None:
            guess = closest_name(name, self._settings.modules)
            known = f"known: {', '.join(self._settings.modules) or 'none'}"
            self._add_problem(at, "is no module", f"did you mean {guess}?" if guess else known)
            return owners, []
        owners.append(LayeredSettings(("modules", name), module))
        return owners, [self._credentials(("modules", name), module)]

    def _template(self, module: str | None, at: SettingPath, scheme: Scheme) -> TargetSettings:
        """Return a target of a source, but for its name and endpoint."""
        owners, credentials = self._module(module, at)
        return self._build(owners, None, placeholder_url(scheme), credentials)

    def _from_url(self, name: str | None, url: ParsedUrl) -> TargetSettings:
        credentials = [self._credentials((), self._settings), _Credentials(url.username, url.password)]
        return self._build((LayeredSettings((), self._settings),), name, url, credentials)

    def _credentials(self, path: SettingPath, owner: Settings | Module) -> _Credentials:
        if owner.password and owner.password_file:
            self._add_problem((*path, "password"), "stands beside a password_file", "keep one of the two")
        return _Credentials(owner.username, owner.password, owner.password_file, path)

    def _build(
        self,
        owners: Sequence[LayeredSettings],
        name: str | None,
        url: ParsedUrl,
        credentials: Sequence[_Credentials] = (),
        db: int | None = None,
    ) -> TargetSettings:
        """Merge, the weakest owner first, and check what came out."""
        username = next((one.username for one in reversed(credentials) if one.username), None)
        none = _Credentials()
        login = next((one for one in reversed(credentials) if one.password or one.password_file), none)
        labels: dict[str, str] = {}
        for owner in owners:
            labels |= owner.settings.labels if isinstance(owner.settings, Module) else {}
        target = TargetSettings(
            name=name or url.endpoint.address,
            endpoint=url.endpoint,
            db=next((one for one in (db, url.db) if one is not None), 0),
            labels=labels,
            username=username,
            password=login.password,
            password_file=login.password_file,
            tls=merged_tls(owners, url),
            connection=merged_group(ConnectionSettings, "connection", owners),
            probe=merged_group(ProbeSettings, "probe", owners),
            poll=merged_poll(owners),
            breaker=merged_group(BreakerSettings, "breaker", owners),
            canary=merged_group(CanarySettings, "canary", owners),
            slo=merged_group(SloSettings, "slo", owners),
            commands={
                command: name
                for owner in owners
                if isinstance(owner.settings, Module)
                for command, name in owner.settings.commands.items()
            },
            collectors=self._collectors(owners),
        )
        self._check(target, owners, login)
        return target

    def _collectors(self, owners: Sequence[LayeredSettings]) -> dict[str, dict[str, Any]] | None:
        chosen: dict[str, dict[str, Any]] | None = None
        for path, owner in owners:
            if owner.collectors is None:
                continue
            asked = owner.collectors
            chosen = {name: {} for known in self._sets if asked.get(known) is not None for name in self._sets[known]}
            for name, options in asked.items():
                if name in self._sets:
                    if options:
                        self._add_problem((*path, "collectors", name), "is a set of collectors, which has no options")
                    continue
                for message in self._check_collectors(name, options or {}) if self._check_collectors else ():
                    self._add_problem((*path, "collectors", name), message)
                if options is None:
                    chosen.pop(name, None)
                else:
                    chosen[name] = options
            for script in own_metrics(chosen.get("scripts", {})):
                if self._own_metrics.setdefault(script.metric, script).family != script.family:
                    message = f"gives the metric {script.metric} another type, help or labels than elsewhere"
                    self._add_problem((*path, "collectors", "scripts"), message)
        return chosen

    def _check(self, target: TargetSettings, owners: Sequence[LayeredSettings], login: _Credentials) -> None:
        own_buckets = precedence(owners, ("probe", "buckets")) > precedence(owners, ("slo", "latency"))
        for steps, message, cure in check_target(target, own_buckets=own_buckets, files=self._secrets):
            self._add_problem(location_of(owners, steps), message, cure)
        if target.password_file is not None and self._secrets:
            trouble = check_password_file(target.password_file, target.endpoint)
            if trouble is not None:
                self._add_problem((*login.path, "password_file"), *trouble)
            elif (warning := missing_password(target)) is not None:
                self.warnings.append(warning)
        own_tls = any(owner.tls is not None for path, owner in owners if path and path[0] == "targets")
        if own_tls and not target.endpoint.tls:
            self.warnings.append(f"target {target.name}: its tls settings are not used, since its url is not rediss://")
        if target.endpoint.tls and target.tls.cert_reqs == "none":
            self.warnings.append(f"target {target.name}: the certificate is not checked (tls.cert_reqs is none)")

    def _reject_duplicates(self, found: Sequence[tuple[SettingPath, TargetSettings]]) -> None:
        names: dict[str, SettingPath] = {}
        servers: dict[tuple[str, int], SettingPath] = {}
        for path, target in found:
            server = (target.endpoint.address, target.db)
            if (first := servers.setdefault(server, path)) is not path:
                what = f"{target.address}, database {target.db}"
                self._add_problem(path, f"is the same server as {format_path(first)}: {what}", "declare it once")
            elif (first := names.setdefault(target.name, path)) is not path:
                self._add_problem(
                    path, f"has the name of {format_path(first)}: {target.name}", "give it a name of its own"
                )
