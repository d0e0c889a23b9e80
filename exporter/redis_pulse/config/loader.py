"""Sources in, resolved settings out; every problem is collected before anything is refused."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from redis_pulse.config.discovery_models import SourceSettings
from redis_pulse.config.file_reader import read_file
from redis_pulse.config.layered_source import ConfigSource, InheritVariables, location_of_path
from redis_pulse.config.problems import ConfigError, Problem
from redis_pulse.config.resolver import CheckCollectors, ConfigResolver
from redis_pulse.config.settings import Settings
from redis_pulse.config.sharding import Shard, resolve_shard
from redis_pulse.config.sources import CONFIG, SECRETS_DIR, command_line, dotenv, environment, inherited, secrets
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.validation_errors import problems_from


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A good configuration: what was set, the resolved targets, and what a person should know all the same."""

    settings: Settings
    targets: tuple[TargetSettings, ...]
    warnings: tuple[str, ...] = ()
    #: where further targets are found
    sources: tuple[SourceSettings, ...] = ()
    #: which part of them all is ours; None: everything
    shard: Shard | None = None


#: Reads the configuration again: raises ConfigError, and the running one stays, when it is bad.
ConfigLoader = Callable[[], LoadedConfig]


def load(
    arguments: argparse.Namespace | None,
    environ: Mapping[str, str],
    directory: Path,
    *,
    check_collectors: CheckCollectors | None = None,
    sets: Mapping[str, Sequence[str]] | None = None,
    inherit: InheritVariables | None = None,
    with_secrets: bool = True,
    extra_targets: Sequence[tuple[str, str]] = (),
) -> LoadedConfig:
    """Read all sources, the strongest first: command line, environment, ``.env``, file, folder of secrets, defaults.

    ``directory`` is where ``.env`` is looked for and where relative paths begin (those in a file begin where it lies).
    ``check_collectors`` is asked about the name and the options of every collector that is named; ``sets`` are names
    for several of them. ``inherit`` is asked what variables of redis_exporter mean that are no settings of ours.
    ``with_secrets`` False: files of secrets and certificates need not be there. ``extra_targets`` (name, URL) stand
    beside those that are set. Raises ConfigError with every problem that was found.
    """
    layers, warnings, problems = _read(arguments, environ, directory, inherit, with_secrets=with_secrets)
    settings = None
    try:
        settings = Settings(layers=[layer.data for layer in layers])  # type: ignore[call-arg]
    except ValidationError as error:
        problems += problems_from(error, layers)
    # Raised here and not above, so that the error, which knows the values, does not travel along as its context.
    if settings is None:
        raise ConfigError(problems)
    if settings.debug:
        settings = settings.model_copy(update={"log": settings.log.model_copy(update={"level": "debug"})})
    resolver = ConfigResolver(settings, layers, check_collectors, sets=sets, secrets=with_secrets)
    targets = resolver.targets(extra_targets)
    shard = None
    try:
        shard = resolve_shard(settings.shard, environ)
    except ValueError as error:
        problems.append(Problem(location_of_path(layers, ("shard",)), str(error)))
    if problems or resolver.problems:
        raise ConfigError([*problems, *resolver.problems])
    return LoadedConfig(settings, targets, (*warnings, *resolver.warnings), resolver.sources, shard)


def _read(
    arguments: argparse.Namespace | None,
    environ: Mapping[str, str],
    directory: Path,
    inherit: InheritVariables | None,
    *,
    with_secrets: bool,
) -> tuple[list[ConfigSource], list[str], list[Problem]]:
    """Read the sources, the strongest first; one that cannot be read leaves a problem and nothing else."""
    layers: list[ConfigSource] = []
    warnings: list[str] = []
    problems: list[Problem] = []
    variables: dict[str, str] = {}
    with _collecting(problems):
        variables = dotenv(directory)
    layers.append(command_line(arguments, directory))
    for source, prefix in ((environ, ""), (variables, ".env: ")):
        with _collecting(problems):
            layer, unknown = environment(source, directory, prefix=prefix)
            layers.append(layer)
            warnings += unknown
    if file := getattr(arguments, "config", None) or environ.get(CONFIG) or variables.get(CONFIG):
        # Only who asks for it on the command line: a daemon reads its file again.
        is_stdin = file == "-" == getattr(arguments, "config", None)
        data = sys.stdin.buffer.read() if is_stdin else None
        with _collecting(problems):
            path = directory / Path(file).expanduser()
            layers.append(read_file(path, shown="stdin" if is_stdin else file, data=data))
    folder = environ.get(SECRETS_DIR) or variables.get(SECRETS_DIR)
    if with_secrets or (folder is not None and (directory / Path(folder).expanduser()).is_dir()):
        with _collecting(problems):
            layers.append(secrets(folder, directory))
    layer, said = inherited({**variables, **environ}, directory, inherit)
    warnings += [*said.warnings, *_resolve_conflicts(layer, layers)]
    problems += said.problems
    layers.append(layer)
    if any("@" in url for url in layers[0].data.get("redis_url", ())):
        warnings.append("everybody on this host can see the password in --redis-url: use REDIS_URL or --password-file")
    return layers, warnings, problems


def _resolve_conflicts(inherited: ConfigSource, layers: Sequence[ConfigSource]) -> list[str]:
    """Take collectors out of what is inherited when they are set elsewhere: two lists are not merged."""
    if not inherited.holds(("collectors",)) or not any(layer.holds(("collectors",)) for layer in layers):
        return []
    del inherited.data["collectors"]
    names = dict.fromkeys(name for path, name in inherited.locations.items() if path[0] == "collectors")
    return [f"{name} is not used, since collectors are set" for name in names]


@contextmanager
def _collecting(problems: list[Problem]) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        problems += error.problems
