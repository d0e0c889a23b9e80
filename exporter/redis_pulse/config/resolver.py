"""Resolve settings to targets in which every value is concrete.

``ConfigResolver.targets`` works in four phases, which follow each other in this file:

1. Declare: list everything that names a target, with the settings and logins that apply to it.
2. Merge: combine those settings to one ``TargetSettings``, the weakest first.
3. Check: find what does not fit together in a merged target.
4. Compare: find targets that have the same name or the same server.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from redis_pulse.config.adopt_models import AdoptRules
from redis_pulse.config.discovery_models import Scheme, SourceSettings, placeholder_url
from redis_pulse.config.layered_source import ConfigSource, SettingPath, format_path, location_of_path
from redis_pulse.config.login import KEEP_ONE, Login, conflicts, login_of
from redis_pulse.config.merging import (
    SettingsLayer,
    enabled_collectors,
    merge_collectors,
    merge_group,
    merge_poll,
    merge_tls,
    of_targets,
    path_of_setting,
    strongest_layer,
)
from redis_pulse.config.models import (
    BreakerSettings,
    CanarySettings,
    ConnectionSettings,
    ProbeSettings,
    SloSettings,
    StallSettings,
)
from redis_pulse.config.option_types import ScriptFile, own_metrics
from redis_pulse.config.problems import Problem, closest_name
from redis_pulse.config.settings import Module, Settings, TargetEntry, named_url
from redis_pulse.config.shared_options import SharedOptions
from redis_pulse.config.source_resolver import SourceResolver
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.types import Collectors
from redis_pulse.config.url import ParsedUrl, parse_url
from redis_pulse.config.validation import check_password_file, check_target, check_token_source, missing_password

DEFAULT_URL = "redis://localhost:6379"
#: Given the name of a collector and its options, return what is wrong with them.
CheckCollectors = Callable[[str, dict[str, Any]], list[str]]


#: The layer below all others, for the targets of the demo.
_RECORDS_STALLS = SettingsLayer(Module(stalls=StallSettings(enabled=True)), ("extra",))


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
        return next((login for login in reversed(self.logins) if login.is_complete), Login())

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
        self._share = SharedOptions().share
        self.warnings: list[str] = []
        #: where discovery finds further targets; set by ``targets``
        self.sources: tuple[SourceSettings, ...] = ()
        #: which targets a scrape may add; set by ``targets``
        self.adopt: AdoptRules | None = None
        #: by name of a target, where it is declared; set by ``targets``
        self.declared_in: dict[str, str] = {}

    @property
    def problems(self) -> list[Problem]:
        """What makes the configuration unusable."""
        return list(self._problems.values())

    def targets(self, extra: Sequence[tuple[str, str]]) -> tuple[TargetSettings, ...]:
        """Return all targets: those of the file, of ``redis_url``, and the ``extra`` ones (name, URL)."""
        settings, targets = self._settings, self._file_targets()
        targets += [(declared.path, self._resolve(declared)) for declared in self._declare_urls(extra)]
        self.adopt = self._adopt_rules()
        if not targets and not self.sources and self.adopt is None:
            self.warnings.append(f"no target is set: watching {DEFAULT_URL} (set REDIS_URL, or targets in a file)")
            declared = self._declare_url(("redis_url", 0), None, parse_url(DEFAULT_URL))
            targets.append((declared.path, self._resolve(declared)))
        elif not settings.redis_url and (settings.password or settings.password_file or settings.username):
            self.warnings.append(
                "REDIS_USER, REDIS_PASSWORD and REDIS_PASSWORD_FILE are not used: they apply to the targets of "
                "REDIS_URL; set the login of other targets in the file"
            )
        self._reject_duplicates(targets)
        self.declared_in = {target.name: self._place(path) for path, target in targets}
        return tuple(target for _, target in targets)

    def _place(self, path: SettingPath) -> str:
        """Return the place that declares a target, for people."""
        if not any(source.holds(path[:1]) for source in self._config_sources):
            return "no setting: it is the default"
        return location_of_path(self._config_sources, path)

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
        self.warnings += resolver.warnings
        return targets

    def _adopt_rules(self) -> AdoptRules | None:
        if (options := self._settings.scrape.adopt) is None:
            return None
        template = self._resolve_template(options.module, ("scrape", "adopt", "module"), "redis")
        modules = {name: self._resolve_template(name, (), "redis") for name in self._settings.modules}
        return AdoptRules(options, template, modules)

    def _resolve(self, declared: Declaration) -> TargetSettings:
        """Return a target, merged and checked."""
        target = self._merge(declared)
        self._check(target, declared)
        return target

    def _resolve_template(self, module: str | None, module_path: SettingPath, scheme: Scheme) -> TargetSettings:
        """Return a target that discovery completes with a name and an endpoint.

        A module with a group ``tls`` demands TLS, whatever the scheme of the source is.
        """
        if module in self._settings.modules and self._settings.modules[module].tls is not None:
            scheme = "rediss"
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
        if url.password and entry.credentials:
            self._add_problem((*path, "credentials"), "cannot be combined with a password in the url", KEEP_ONE)
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
        """Yield the declarations of ``redis_url`` and of ``extra``.

        The extra ones have no login, and record stalls by default.
        """
        for index, url in enumerate(self._settings.redis_url):
            name, parsed = named_url(url.get_secret_value())
            yield self._declare_url(("redis_url", index), name, parsed)
        for index, (name, text) in enumerate(extra):
            yield Declaration(("extra", index), name, parse_url(text), [_RECORDS_STALLS, self._top])

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
        login = login_of(*layer)
        for key, message in conflicts(login):
            self._add_problem((*login.path, key), message, KEEP_ONE)
        return login

    # Phase 2: merge.

    def _merge(self, declared: Declaration) -> TargetSettings:
        """Return the settings of a target, merged from its layers."""
        url, layers, login, share = declared.url, declared.layers, declared.login(), self._share
        modules = [layer.settings for layer in layers if isinstance(layer.settings, Module)]
        return TargetSettings(
            name=declared.name or url.endpoint.address,
            endpoint=url.endpoint,
            db=next((db for db in (declared.db, url.db) if db is not None), 0),
            labels={name: value for module in modules for name, value in module.labels.items()},
            username=declared.username(),
            password=login.password,
            password_file=login.password_file,
            token_source=login.credentials,
            tls=share(merge_tls(layers, url)),
            connection=share(merge_group(ConnectionSettings, "connection", layers)),
            probe=share(ProbeSettings(**of_targets("probe", layers, "priority", "process"))),
            poll=share(merge_poll(layers)),
            breaker=share(merge_group(BreakerSettings, "breaker", layers)),
            canary=share(merge_group(CanarySettings, "canary", layers)),
            slo=share(merge_group(SloSettings, "slo", layers)),
            stalls=share(StallSettings(**of_targets("stalls", layers, "file"))),
            commands={command: name for module in modules for command, name in module.commands.items()},
            collectors=merge_collectors(layers, self._sets),
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
        self._check_token_source(target, declared)
        self._check_tls(target, layers)

    def _check_token_source(self, target: TargetSettings, declared: Declaration) -> None:
        if (source := target.token_source) is None:
            return
        if self._secrets and (error := check_token_source(source)) is not None:
            self._add_problem((*declared.login().path, "credentials", source.kind), *error)
        is_plain = target.endpoint.kind == "tcp" and not target.endpoint.tls
        if is_plain and source.kind != "command" and declared.path:
            self.warnings.append(f"target {target.name}: its token is sent without encryption: use rediss://")

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
