"""Convert the flags and variables of redis_exporter to a configuration of redis-pulse.

    redis-pulse migrate-flags -- -redis.addr=redis://cart:6379 -export-client-list

``flags`` has the table of all flags, and tools/render.py renders the documentation from it. No password is shown: a
hint tells how to put it into a file.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redis_pulse.collectors import load
from redis_pulse.config import InheritedSettings
from redis_pulse.migrate.convert import convert
from redis_pulse.migrate.environment import settings_from_environment
from redis_pulse.migrate.flag_parser import parse_flags
from redis_pulse.migrate.flags import FLAG_TABLE, Flag
from redis_pulse.migrate.serve_flags import FlagError, TakenFlags, take_flags
from redis_pulse.migrate.yaml_writer import write

__all__ = ["FLAG_TABLE", "Flag", "FlagError", "Migrated", "TakenFlags", "inherit", "migrate", "take_flags"]


class Migrated(NamedTuple):
    """The text of a configuration file, and the flags that could not be converted."""

    text: str
    missing: tuple[str, ...]


def migrate(words: Sequence[str], environ: Mapping[str, str]) -> Migrated:
    """Return the configuration for these flags, ``NAME=value`` words and environment of redis_exporter."""
    conversion = convert(parse_flags(words, environ), _collectors())
    return Migrated(write(conversion), tuple(dict.fromkeys(conversion.missing)))


def inherit(variables: Mapping[str, str]) -> InheritedSettings:
    """Return what variables of redis_exporter set in a daemon that starts with them."""
    return settings_from_environment(variables, _collectors())


def _collectors() -> dict[str, bool]:
    """Return for each collector whether it runs by default."""
    return {name: collector.default for name, collector in load().items()}
