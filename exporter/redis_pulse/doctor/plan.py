"""What doctor examines: the targets of the command line or of the configuration, and how each is loaded."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from redis_pulse.config import (
    ConfigError,
    LoadedConfig,
    Settings,
    SourceSettings,
    TargetSettings,
    closest_name,
    parse_url,
)
from redis_pulse.doctor.checks import configuration
from redis_pulse.doctor.findings import Findings


class WrongArgumentsError(Exception):
    """The arguments cannot be used; ``str()`` says why, without a secret."""


@dataclass(slots=True)
class TlsFiles:
    """Files of the command line for the connections to the targets."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def changes(self) -> dict[str, Path]:
        """Return the files that are set, by the name of their setting."""
        files = {"ca_file": self.ca_file, "cert_file": self.cert_file, "key_file": self.key_file}
        return {name: file for name, file in files.items() if file is not None}


@dataclass(slots=True)
class Plan:
    """Everything to examine, and the findings about the configuration itself."""

    findings: Findings
    targets: list[TargetSettings] = field(default_factory=list)
    sources: list[SourceSettings] = field(default_factory=list)
    settings: Settings | None = None
    #: whether a configuration was named or found, so that a daemon may run with it
    has_configuration: bool = False
    #: names that the daemon gives to its targets
    configured_names: list[str] = field(default_factory=list)
    #: the password files that the findings name as unreadable
    unreadable: set[Path] = field(default_factory=set)


#: Reads the configuration: from these arguments, this environment, with or without secrets.
ReadConfig = Callable[[argparse.Namespace, Mapping[str, str], bool], LoadedConfig]
#: Loads the configuration for URLs of the command line, or the configured one without any. The flag says whether
#: secrets must exist.
Load = Callable[[Sequence[str], bool], LoadedConfig]


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name targets, and those of their login and their TLS."""
    add = parser.add_argument
    add("targets", nargs="*", metavar="TARGET", help=argparse.SUPPRESS)
    add("--config", metavar="FILE", help="configuration file of the daemon (REDIS_PULSE_CONFIG)")
    add("--username", metavar="NAME", help="ACL user (REDIS_USER; its password is REDIS_PASSWORD)")
    add("--password-file", metavar="FILE", help="file with the password (REDIS_PASSWORD_FILE)")
    add("--tls-ca-file", metavar="FILE", type=Path, help="certificates to trust")
    add("--tls-cert-file", metavar="FILE", type=Path, help="client certificate")
    add("--tls-key-file", metavar="FILE", type=Path, help="key of the client certificate")


def loader(arguments: argparse.Namespace, read: ReadConfig, environ: Mapping[str, str]) -> Load:
    """Return a function that loads either the configuration, or the URLs of the command line alone."""
    configured = {"username": arguments.username, "password_file": arguments.password_file}
    of_targets = ("REDIS_URL", "REDIS_ADDR", "REDIS_PULSE_CONFIG", "REDIS_PULSE_REDIS_URL", "REDIS_PULSE_TARGETS")

    def load(urls: Sequence[str], with_secrets: bool) -> LoadedConfig:
        if not urls:
            return read(argparse.Namespace(config=arguments.config, **configured), environ, with_secrets)
        alone = {name: value for name, value in environ.items() if name not in of_targets}
        return read(argparse.Namespace(config=None, redis_url=list(urls), **configured), alone, with_secrets)

    return load


def make_plan(words: Sequence[str], file: str, load: Load, tls: TlsFiles) -> Plan:
    """Return what to examine. Raises WrongArgumentsError for a target that is no URL and no known name."""
    plan = Plan(Findings("configuration", file, {"file": file or "FILE"}))
    plan.findings.check = "configuration"
    named: list[str] = []
    urls: list[str] = []
    configured = _load(plan, load, ()) if file or not words else None
    names: set[str] = set()
    if configured is not None:
        names = {target.name for target in configured.targets} | {source.name for source in configured.sources}
    for word in words:
        (named if word in names else urls).append(word)
    if configured is not None:
        plan.has_configuration = True
        plan.settings = configured.settings
        plan.sources = [source for source in configured.sources if not words or source.name in named]
        plan.targets = [target for target in configured.targets if not words or target.name in named]
        plan.configured_names = [target.name for target in plan.targets]
    for url in urls:
        plan.targets += _targets_of_url(plan, url, names, load, is_configured=bool(file))
    plan.targets = list({target.name: target for target in reversed(plan.targets)}.values())[::-1]  # each one once
    if changes := tls.changes():
        plan.targets = [
            target.model_copy(update={"tls": target.tls.model_copy(update=changes)}) for target in plan.targets
        ]
    plan.unreadable = configuration.add_unreadable_secrets(plan.findings, plan.targets)
    plan.findings.done.append("configuration")
    return plan


def _load(plan: Plan, load: Load, urls: Sequence[str]) -> LoadedConfig | None:
    """Load a configuration. If only secrets are unreadable, load it without them, so that the rest is examined."""
    try:
        loaded = load(urls, True)
    except ConfigError as error:
        is_secret = all(configuration.is_about_secret(problem) for problem in error.problems)
        loaded_without = _load_without_secrets(load, urls) if is_secret else None
        configuration.add_problems(plan.findings, error.problems, loaded_without)
        if loaded_without is None:
            return None
        loaded = loaded_without
    configuration.add_warnings(plan.findings, loaded)
    return loaded


def _load_without_secrets(load: Load, urls: Sequence[str]) -> LoadedConfig | None:
    try:
        return load(urls, False)
    except ConfigError:
        return None


def _targets_of_url(
    plan: Plan, url: str, names: set[str], load: Load, *, is_configured: bool
) -> Sequence[TargetSettings]:
    looks_like_name = "://" not in url and ":" not in url
    if is_configured and looks_like_name:
        if not plan.has_configuration:
            return ()  # no name is known, and the findings say why
        guess = closest_name(url, names)
        hint = f"did you mean {guess}?" if guess else f"known: {', '.join(sorted(names)[:10]) or 'none'}"
        raise WrongArgumentsError(f"no target of --config has this name: {hint}")
    try:
        endpoint = parse_url(url).endpoint
    except ValueError as error:
        raise WrongArgumentsError(f"TARGET {error}") from None
    loaded = _load(plan, load, [url])
    if loaded is None:
        return ()
    if plan.settings is None:
        plan.settings = loaded.settings
    return [target for target in loaded.targets if target.endpoint == endpoint][:1]
