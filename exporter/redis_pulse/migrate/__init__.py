"""Coming over from redis_exporter: its flags and variables in, a configuration of ours out.

    redis-pulse migrate-flags -- -redis.addr=redis://cart:6379 -export-client-list

``table`` has a row a flag; from it the documentation is rendered too. No password is ever shown: it goes to a file.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from redis_pulse.collectors import load
from redis_pulse.config import InheritedSettings
from redis_pulse.migrate.convert import convert
from redis_pulse.migrate.environment import settings_from_environment
from redis_pulse.migrate.flag_parser import FLAGS, parse_flags
from redis_pulse.migrate.flags import FLAG_TABLE, VERSION, Flag
from redis_pulse.migrate.yaml_writer import write

__all__ = ["FLAG_TABLE", "VERSION", "Flag", "Migrated", "inherit", "is_flag", "migrate"]


class Migrated(NamedTuple):
    """The text of a configuration file, and what was asked for and is not in it."""

    text: str
    missing: tuple[str, ...]


def migrate(words: Sequence[str], environ: Mapping[str, str]) -> Migrated:
    """Return what does what redis_exporter did with these flags, ``NAME=value`` words and this environment."""
    made = convert(parse_flags(words, environ), _known())
    return Migrated(write(made), tuple(dict.fromkeys(made.missing)))


def inherit(variables: Mapping[str, str]) -> InheritedSettings:
    """Say what variables of redis_exporter mean to a daemon that is started with them."""
    return settings_from_environment(variables, _known())


def is_flag(word: str) -> bool:
    """Whether a word of a command line is a flag of redis_exporter, such as ``-redis.addr=cart:6379``."""
    return word.startswith("-") and word.lstrip("-").partition("=")[0] in FLAGS


def _known() -> dict[str, bool]:
    return {name: collector.default for name, collector in load().items()}
