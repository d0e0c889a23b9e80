"""Load the configuration: read all sources, merge them, resolve the targets, and report all problems at once."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from redis_pulse.config.adopt_models import AdoptRules
from redis_pulse.config.discovery_models import SourceSettings
from redis_pulse.config.effective import EffectiveValue, effective_values
from redis_pulse.config.file_reader import read_file
from redis_pulse.config.layered_source import ConfigSource, InheritVariables, location_of_path
from redis_pulse.config.problems import ConfigError, Problem
from redis_pulse.config.resolver import CheckCollectors, ConfigResolver
from redis_pulse.config.setting_sources import (
    CONFIG,
    SECRETS_DIR,
    command_line,
    dotenv,
    environment,
    inherited,
    secrets,
)
from redis_pulse.config.settings import Settings
from redis_pulse.config.sharding import Shard, resolve_shard
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.validation_errors import problems_from


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration without problems: its settings and its resolved targets. It may still have warnings."""

    settings: Settings
    targets: tuple[TargetSettings, ...]
    warnings: tuple[str, ...] = ()
    #: where discovery finds further targets
    sources: tuple[SourceSettings, ...] = ()
    #: which part of all targets this daemon takes; None: all of them
    shard: Shard | None = None
    #: the value of each setting, and the source that decided it; without secrets
    effective: tuple[EffectiveValue, ...] = ()
    #: the configuration file, as messages name it, or an empty text
    file: str = ""
    #: which targets a scrape may add; None: none
    adopt: AdoptRules | None = None
    #: target → the place that declares it: a line and a path of a file, a variable or a flag
    declared_in: Mapping[str, str] = field(default_factory=dict)


#: Loads the configuration again. Raises ConfigError if it has problems; the daemon then keeps the one it has.
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
    """Load the configuration. Raises ConfigError with every problem.

    The sources, the strongest first: command line, environment, ``.env``, file, folder of secrets, defaults.
    ``directory`` is where ``.env`` is, and what relative paths refer to. Paths in a file refer to its folder.
    ``check_collectors`` checks the name and the options of every collector. ``sets`` are names for several collectors.
    ``inherit`` translates variables of redis_exporter. Without ``with_secrets``, files of secrets and certificates need
    not exist. ``extra_targets`` (name, URL) are added to the targets of the configuration, and record
    stalls by default.
    """
    config_sources, warnings, problems = _read(arguments, environ, directory, inherit, with_secrets=with_secrets)
    settings = None
    try:
        settings = Settings(sources=[source.data for source in config_sources])  # type: ignore[call-arg]
    except ValidationError as error:
        problems += problems_from(error, config_sources)
    # Raise outside of the except block. Otherwise the ValidationError, which holds values, would be its context.
    if settings is None:
        raise ConfigError(problems)
    if settings.debug:
        settings = settings.model_copy(update={"log": settings.log.model_copy(update={"level": "debug"})})
    resolver = ConfigResolver(settings, config_sources, check_collectors, sets=sets, secrets=with_secrets)
    targets = resolver.targets(extra_targets)
    shard = None
    try:
        shard = resolve_shard(settings.shard, environ)
    except ValueError as error:
        problems.append(Problem(location_of_path(config_sources, ("shard",)), str(error)))
    if problems or resolver.problems:
        raise ConfigError([*problems, *resolver.problems])
    effective = tuple(effective_values(settings, config_sources))
    file = next((source.file for source in config_sources if source.file), "")
    warnings += resolver.warnings
    return LoadedConfig(
        settings,
        targets,
        tuple(warnings),
        resolver.sources,
        shard,
        effective,
        file,
        resolver.adopt,
        resolver.declared_in,
    )


def _read(
    arguments: argparse.Namespace | None,
    environ: Mapping[str, str],
    directory: Path,
    inherit: InheritVariables | None,
    *,
    with_secrets: bool,
) -> tuple[list[ConfigSource], list[str], list[Problem]]:
    """Return the sources, the strongest first, the warnings, and the problems of sources that cannot be read."""
    sources: list[ConfigSource] = []
    warnings: list[str] = []
    problems: list[Problem] = []
    dotenv_variables: dict[str, str] = {}
    with _collecting(problems):
        dotenv_variables = dotenv(directory)
    sources.append(command_line(arguments, directory))
    for variables, prefix in ((environ, ""), (dotenv_variables, ".env: ")):
        with _collecting(problems):
            source, unknown = environment(variables, directory, prefix=prefix)
            sources.append(source)
            warnings += unknown
    if file := getattr(arguments, "config", None) or environ.get(CONFIG) or dotenv_variables.get(CONFIG):
        # Standard input can be named on the command line only: the daemon reads its file again on a reload.
        is_stdin = file == "-" == getattr(arguments, "config", None)
        data = sys.stdin.buffer.read() if is_stdin else None
        with _collecting(problems):
            path = directory / Path(file).expanduser()
            sources.append(read_file(path, shown="stdin" if is_stdin else file, data=data))
    folder = environ.get(SECRETS_DIR) or dotenv_variables.get(SECRETS_DIR)
    if with_secrets or (folder is not None and (directory / Path(folder).expanduser()).is_dir()):
        with _collecting(problems):
            sources.append(secrets(folder, directory))
    source, translated = inherited({**dotenv_variables, **environ}, directory, inherit)
    warnings += [*translated.warnings, *_drop_inherited_collectors(source, sources)]
    problems += translated.problems
    sources.append(source)
    if any("@" in url for url in sources[0].data.get("redis_url", ())):
        warnings.append("every user of this host can see the password in --redis-url: use REDIS_URL or --password-file")
    return sources, warnings, problems


def _drop_inherited_collectors(inherited: ConfigSource, sources: Sequence[ConfigSource]) -> list[str]:
    """Remove inherited collectors if another source sets collectors, and return a warning for each variable.

    The two lists are not merged.
    """
    if not inherited.holds(("collectors",)) or not any(source.holds(("collectors",)) for source in sources):
        return []
    del inherited.data["collectors"]
    names = dict.fromkeys(name for path, name in inherited.locations.items() if path[0] == "collectors")
    return [f"{name} is not used, because collectors are set" for name in names]


@contextmanager
def _collecting(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of a ConfigError to a list, and continue after the block."""
    try:
        yield
    except ConfigError as error:
        problems += error.problems
