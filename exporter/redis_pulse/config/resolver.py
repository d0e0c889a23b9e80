"""Resolve settings to targets in which every value is concrete.

``ConfigResolver.targets`` works in four phases, which follow each other in this file:

1. Declare: list everything that names a target, with the settings and logins that apply to it.
2. Merge: combine those settings to one ``TargetSettings``, the weakest first.
3. Check: find what does not fit together in a merged target.
4. Compare: find targets that have the same name or the same server.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
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
    StallSettings,
    TlsSettings,
)
from redis_pulse.config.option_types import ScriptFile, own_metrics
from redis_pulse.config.problems import Problem, closest_name
from redis_pulse.config.settings import Module, Settings, TargetEntry, named_url
from redis_pulse.config.source_resolver import SourceResolver
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.types import Collectors, Options
from redis_pulse.config.url import ParsedUrl, parse_url
from redis_pulse.config.validation import check_password_file, check_target, missing_password

DEFAULT_URL = "redis://localhost:6379"
#: Given the name of a collector and its options, return what is wrong with them.
CheckCollectors = Callable[[str, dict[str, Any]], list[str]]
#: The collectors of a target and their options.
CollectorOptions = dict[str, dict[str, Any]]
_Group = TypeVar("_Group", bound=Options)


class SettingsLayer(NamedTuple):
    """Settings that apply to a target, and their path: the top of the file, a module, or the target."""

    settings: Settings | Module
    path: SettingPath

    def sets(self, group: str, key: str) -> bool:
        """Whether this layer sets a key of a group."""
        options = getattr(self.settings, group)
        return options is not None and key in options.model_fields_set


class Login(NamedTuple):
    """A user name and a password that apply to a target, and their path."""

    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    path: SettingPath = ()


class Declaration(NamedTuple):
    """A target that is named somewhere, before its settings are merged. The weakest layers and logins come first."""

    path: SettingPath
    name: str | None
    url: ParsedUrl
    layers: Sequence[SettingsLayer]
    logins: Sequence[Login] = ()
    db: int | None = None

    def login(self) -> Login:
        """Return the strongest login that has a password. A user name and a password may come from two logins."""
        return next((login for login in reversed(self.logins) if login.password or login.password_file), Login())

    def username(self) -> str | None:
        """Return the strongest user name, or None."""
        return next((login.username for login in reversed(self.logins) if login.username), None)


class ConfigResolver:
    """Resolves the targets of one configuration, and collects its ``problems`` and ``warnings``."""

    def __init__(
        self,
        settings: Settings,
        config_sources: Sequence[ConfigSource],
        check_collectors: CheckCollectors | None,
        *,
        sets: Mapping[str, Sequence[str]] | None = None,
        secrets: bool = True,
    ) -> None:
        self._settings = settings
        self._top = SettingsLayer(settings, ())
        self._config_sources = config_sources
        self._check_collectors = check_collectors
        #: the names of sets of collectors, and the collectors in each
        self._sets = sets or {}
        #: whether files of secrets must exist
        self._secrets = secrets
        self._problems: dict[tuple[SettingPath, str], Problem] = {}
        self._script_metrics: dict[str, ScriptFile] = {}
        self.warnings: list[str] = []
        #: where discovery finds further targets; set by ``targets``
        self.sources: tuple[SourceSettings, ...] = ()

    @property
    def problems(self) -> list[Problem]:
        """What makes the configuration unusable."""
        return list(self._problems.values())

    def targets(self, extra: Sequence[tuple[str, str]]) -> tuple[TargetSettings, ...]:
        """Return all targets: those of the file, of ``redis_url``, and the ``extra`` ones (name, URL)."""
        settings, targets = self._settings, self._file_targets()
        targets += [(declared.path, self._resolve(declared)) for declared in self._declare_urls(extra)]
        if not targets and not self.sources:
            self.warnings.append(f"no target is set: watching {DEFAULT_URL} (set REDIS_URL, or targets in a file)")
            declared = self._declare_url(("redis_url", 0), None, parse_url(DEFAULT_URL))
            targets.append((declared.path, self._resolve(declared)))
        elif not settings.redis_url and (settings.password or settings.password_file or settings.username):
            self.warnings.append(
                "REDIS_USER, REDIS_PASSWORD and REDIS_PASSWORD_FILE are not used: they apply to the targets of "
                "REDIS_URL; set the login of other targets in the file"
            )
        self._reject_duplicates(targets)
        return tuple(target for _, target in targets)

    def _file_targets(self) -> list[tuple[SettingPath, TargetSettings]]:
        """Return the targets of the file with their paths, and set ``sources``."""
        targets: list[tuple[SettingPath, TargetSettings]] = []
        resolver = SourceResolver(self._settings, self._resolve_template, self._add_problem, secrets=self._secrets)
        for index, entry in enumerate(self._settings.targets):
            declared = self._declare_entry(("targets", index), entry)
            target = self._resolve(declared)
            if entry.cluster is None and entry.sentinel is None:
                targets.append((declared.path, target))
            else:
                resolver.add_topology_source(declared.path, entry, target)
        resolver.add_discovery_sources()
        self.sources = tuple(resolver.sources)
        return targets

    def _resolve(self, declared: Declaration) -> TargetSettings:
        """Return a target, merged and checked."""
        target = self._merge(declared)
        self._check(target, declared)
        return target

    def _resolve_template(self, module: str | None, module_path: SettingPath, scheme: Scheme) -> TargetSettings:
        """Return a target that discovery completes with a name and an endpoint."""
        layers, logins = self._module_layers(module, module_path)
        return self._resolve(Declaration((), None, placeholder_url(scheme), layers, logins))

    def _add_problem(self, path: SettingPath, message: str, hint: str = "") -> None:
        location = location_of_path(self._config_sources, path)
        self._problems.setdefault((path, message), Problem(location, message, hint))

    # Phase 1: declare.

    def _declare_entry(self, path: SettingPath, entry: TargetEntry) -> Declaration:
        """Return the declaration of a target of the file."""
        url = self._entry_url(path, entry)
        layers, logins = self._module_layers(entry.module, (*path, "module"))
        layer = SettingsLayer(entry, path)
        if url.password and (entry.password or entry.password_file):
            self._add_problem(path, "has a password in its url and a separate one", "keep one")
        own = self._login(layer)
        if url.password:
            own = own._replace(password=url.password)
        return Declaration(path, entry.name, url, [*layers, layer], [*logins, Login(url.username), own], entry.db)

    def _entry_url(self, path: SettingPath, entry: TargetEntry) -> ParsedUrl:
        if entry.sentinel is not None:
            if entry.url is not None or entry.cluster is not None:
                self._add_problem((*path, "sentinel"), "cannot be combined with url or cluster", "keep one of them")
            if entry.name is None:
                self._add_problem(path, "has no name", "a Sentinel set needs one: its servers are named after it")
            return placeholder_url(entry.sentinel.scheme)
        return parse_url(entry.url.get_secret_value()) if entry.url is not None else placeholder_url("redis")

    def _declare_urls(self, extra: Sequence[tuple[str, str]]) -> Iterator[Declaration]:
        """Yield the declarations of ``redis_url`` and of ``extra``. The extra ones have no login."""
        for index, url in enumerate(self._settings.redis_url):
            name, parsed = named_url(url.get_secret_value())
            yield self._declare_url(("redis_url", index), name, parsed)
        for index, (name, text) in enumerate(extra):
            yield Declaration(("extra", index), name, parse_url(text), [self._top])

    def _declare_url(self, path: SettingPath, name: str | None, url: ParsedUrl) -> Declaration:
        logins = [self._login(self._top), Login(url.username, url.password)]
        return Declaration(path, name, url, [self._top], logins)

    def _module_layers(self, name: str | None, path: SettingPath) -> tuple[list[SettingsLayer], list[Login]]:
        """Return the layers and logins that are weaker than a target: those of the top and of its module.

        The login at the top is not one of them: it is for ``redis_url`` only. ``path`` is where the module is named.
        """
        if name is None:
            return [self._top], []
        if (module := self._settings.modules.get(name)) is None:
            guess = closest_name(name, self._settings.modules)
            known = f"known: {', '.join(self._settings.modules) or 'none'}"
            self._add_problem(path, "is not a module", f"did you mean {guess}?" if guess else known)
            return [self._top], []
        layer = SettingsLayer(module, ("modules", name))
        return [self._top, layer], [self._login(layer)]

    def _login(self, layer: SettingsLayer) -> Login:
        settings, path = layer
        if settings.password and settings.password_file:
            self._add_problem((*path, "password"), "cannot be combined with password_file", "keep one of the two")
        return Login(settings.username, settings.password, settings.password_file, path)

    # Phase 2: merge.

    def _merge(self, declared: Declaration) -> TargetSettings:
        """Return the settings of a target, merged from its layers."""
        url, layers, login = declared.url, declared.layers, declared.login()
        modules = [layer.settings for layer in layers if isinstance(layer.settings, Module)]
        return TargetSettings(
            name=declared.name or url.endpoint.address,
            endpoint=url.endpoint,
            db=next((db for db in (declared.db, url.db) if db is not None), 0),
            labels={name: value for module in modules for name, value in module.labels.items()},
            username=declared.username(),
            password=login.password,
            password_file=login.password_file,
            tls=_merge_tls(layers, url),
            connection=_merge_group(ConnectionSettings, "connection", layers),
            probe=_merge_group(ProbeSettings, "probe", layers),
            poll=_merge_poll(layers),
            breaker=_merge_group(BreakerSettings, "breaker", layers),
            canary=_merge_group(CanarySettings, "canary", layers),
            slo=_merge_group(SloSettings, "slo", layers),
            stalls=_merge_group(StallSettings, "stalls", layers),
            commands={command: name for module in modules for command, name in module.commands.items()},
            collectors=_merge_collectors(layers, self._sets),
        )

    # Phase 3: check.

    def _check(self, target: TargetSettings, declared: Declaration) -> None:
        layers = declared.layers
        for layer in layers:
            if layer.settings.collectors is not None:
                self._check_layer_collectors(layer.settings.collectors, (*layer.path, "collectors"))
        own_buckets = strongest_layer(layers, "probe", "buckets") > strongest_layer(layers, "slo", "latency")
        for key, message, hint in check_target(target, own_buckets=own_buckets, files=self._secrets):
            self._add_problem(path_of_setting(layers, key), message, hint)
        if target.password_file is not None and self._secrets:
            self._check_password_file(target, target.password_file, (*declared.login().path, "password_file"))
        self._check_tls(target, layers)

    def _check_layer_collectors(self, collectors: Collectors, path: SettingPath) -> None:
        """Check the collectors of one layer, also where a stronger layer replaces them."""
        for name, options in collectors.items():
            if name in self._sets:
                if options:
                    self._add_problem((*path, name), "is a set of collectors, which has no options")
            elif self._check_collectors is not None:
                for message in self._check_collectors(name, options or {}):
                    self._add_problem((*path, name), message)
        for script in own_metrics(enabled_collectors(collectors, self._sets).get("scripts", {})):
            if self._script_metrics.setdefault(script.metric, script).family != script.family:
                message = f"gives the metric {script.metric} another type, help or labels than elsewhere"
                self._add_problem((*path, "scripts"), message)

    def _check_password_file(self, target: TargetSettings, file: Path, path: SettingPath) -> None:
        error = check_password_file(file, target.endpoint)
        if error is not None:
            self._add_problem(path, *error)
        elif (warning := missing_password(target)) is not None:
            self.warnings.append(warning)

    def _check_tls(self, target: TargetSettings, layers: Sequence[SettingsLayer]) -> None:
        has_own_tls = any(layer.settings.tls is not None for layer in layers if layer.path[:1] == ("targets",))
        if has_own_tls and not target.endpoint.tls:
            self.warnings.append(
                f"target {target.name}: its tls settings are not used, because its url is not rediss://"
            )
        if target.endpoint.tls and target.tls.cert_reqs == "none":
            self.warnings.append(f"target {target.name}: the certificate is not checked (tls.cert_reqs: none)")

    # Phase 4: compare.

    def _reject_duplicates(self, targets: Sequence[tuple[SettingPath, TargetSettings]]) -> None:
        """Add a problem for each target that has the server or the name of one before it."""
        names: dict[str, SettingPath] = {}
        servers: dict[tuple[str, int], SettingPath] = {}
        for path, target in targets:
            server = (target.endpoint.address, target.db)
            if (first := servers.setdefault(server, path)) is not path:
                what = f"{target.address}, database {target.db}"
                self._add_problem(path, f"is the same server as {format_path(first)}: {what}", "declare it once")
            elif (first := names.setdefault(target.name, path)) is not path:
                message = f"has the same name as {format_path(first)}: {target.name}"
                self._add_problem(path, message, "give it another name")


def _merge_group(model: type[_Group], group: str, layers: Sequence[SettingsLayer], **defaults: Any) -> _Group:
    """Return a merged group. ``defaults`` replace the defaults of the model."""
    return model(**(defaults | _merge_fields(group, layers)))


def _merge_fields(group: str, layers: Sequence[SettingsLayer]) -> dict[str, Any]:
    """Return what the layers set in a group. Keys that no layer sets are left out."""
    merged: dict[str, Any] = {}
    for layer in layers:
        if (options := getattr(layer.settings, group)) is not None:
            merged |= {name: getattr(options, name) for name in options.model_fields_set}
    return merged


def _merge_poll(layers: Sequence[SettingsLayer]) -> PollSettings:
    """Return the poll settings. The defaults of ``timeout`` and ``max_age`` depend on ``interval``."""
    interval = _merge_fields("poll", layers).get("interval", PollSettings().interval)
    timeout = min(PollSettings().timeout, interval)
    return _merge_group(PollSettings, "poll", layers, timeout=timeout, max_age=3 * interval)


def _merge_tls(layers: Sequence[SettingsLayer], url: ParsedUrl) -> TlsSettings:
    """Return the TLS settings. ``ssl_cert_reqs`` of a URL is the strongest."""
    merged = _merge_fields("tls", layers)
    if url.cert_reqs is not None:
        merged["cert_reqs"] = url.cert_reqs
    if merged.get("cert_reqs") == "none":
        # An unchecked certificate has no name to check either.
        merged.setdefault("check_hostname", False)
    return TlsSettings(**merged)


def _merge_collectors(layers: Sequence[SettingsLayer], sets: Mapping[str, Sequence[str]]) -> CollectorOptions | None:
    """Return the collectors of the strongest layer that names some, or None for the default ones."""
    named = [layer.settings.collectors for layer in layers if layer.settings.collectors is not None]
    return enabled_collectors(named[-1], sets) if named else None


def enabled_collectors(collectors: Collectors, sets: Mapping[str, Sequence[str]]) -> CollectorOptions:
    """Return the collectors that run, with their options: sets are replaced by their members."""
    # ``sets.items()`` would import the collectors even when no set is named.
    enabled: CollectorOptions = {
        member: {} for name in sets if collectors.get(name) is not None for member in sets[name]
    }
    for name, options in collectors.items():
        if name in sets:
            continue
        if options is None:
            enabled.pop(name, None)
        else:
            enabled[name] = options
    return enabled


def strongest_layer(layers: Sequence[SettingsLayer], group: str, key: str) -> int:
    """Return the index of the strongest layer that sets a key, or -1 if no layer does."""
    return next((index for index in reversed(range(len(layers))) if layers[index].sets(group, key)), -1)


def path_of_setting(layers: Sequence[SettingsLayer], key: tuple[str, str]) -> SettingPath:
    """Return the path at which the strongest layer sets a key. If no layer does, return its path at the top."""
    return (*layers[max(0, strongest_layer(layers, *key))].path, *key)
