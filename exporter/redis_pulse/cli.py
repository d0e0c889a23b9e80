"""The command line: ``redis-pulse [serve | doctor | demo | check-config | config | …] [options]``.

``EPILOG`` lists the exit codes, and ``--help`` shows it.
"""

from redis_pulse import startup_signals

startup_signals.stop_on_signals()  # first, because the imports below take a few hundred milliseconds
# ruff: noqa: E402
import gc

gc.disable()  # imports leave no garbage, and to look for it takes 8 % of their time
import argparse
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from redis_pulse import __version__
from redis_pulse.config import (
    ConfigError,
    InheritedSettings,
    LoadedConfig,
    check_options,
    closest_name,
    effective_text,
    load,
)
from redis_pulse.config.option_types import own_metrics
from redis_pulse.terminal import QuietParser, forget_stdout, replace_closed_streams
from redis_pulse.versions import version_line, version_text

gc.enable()

COMMANDS = (
    "serve",
    "doctor",
    "keyspace",
    "calibrate",
    "demo",
    "check-config",
    "config",
    "web-config",
    "migrate-flags",
    "assets",
    "completion",
)
#: The commands that only read a configuration.
READING = ("check-config", "config")
DESCRIPTION = """\
Prometheus exporter daemon for Redis and Valkey. It exports server metrics, and latency as a client measures it.

commands:
  serve               run the daemon (default)
  doctor [TARGET…]    examine targets end to end, and print what is wrong and what to do (doctor --help)
  keyspace TARGET     look at some keys of a server for 8 s, and print what fills it (keyspace --help)
  calibrate           measure the error of a ping on this machine (calibrate --help)
  demo                run the daemon with an embedded Valkey, a simulated workload and simulated stalls
  check-config [FILE] check the configuration and print every problem (- reads standard input)
  config [FILE]       print the effective configuration, and where each value comes from
  web-config check FILE
                      check a web configuration file: TLS and logins of the pages
  web-config hash     print the bcrypt hash of a password, for a web configuration file
  assets DIR          write the dashboards, rules and examples of this version into a folder
  migrate-flags -- …  print a configuration that does the same as these flags and variables of redis_exporter
  completion SHELL    print completion for bash, zsh or fish, or the man page (completion man)
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    replace_closed_streams()
    words = sys.argv[1:] if argv is None else list(argv)
    if (run := _command_with_own_arguments(words)) is not None:
        return run()
    words, variables, named = _take_foreign(words)
    arguments = _parse(words)
    read = partial(
        named,
        load,
        arguments,
        {**os.environ, **variables},
        _directory(),
        check_collectors=_check_collector,
        sets=_sets(),
        inherit=_inherit,
        with_secrets=not arguments.no_secrets,
    )
    try:
        match arguments.command:
            case "check-config" | "config":
                is_check = arguments.command == "check-config"
                return _check_config(read, with_secrets=not arguments.no_secrets) if is_check else _print_config(read())
            case "demo":
                return _demo(read, calm=arguments.calm)
            case _:
                gc.disable()
                from redis_pulse.daemon import lifecycle

                gc.freeze()  # from now on, collections skip all modules
                gc.enable()
                return lifecycle.run(read(), reload=read)
    except ConfigError as error:
        return _report(error)
    except KeyboardInterrupt:
        return 130


def _command_with_own_arguments(words: list[str]) -> "partial[int] | None":
    """Return a command whose arguments are not those of the daemon, or None."""
    own = {"web-config": _web_config, "doctor": _doctor, "keyspace": _keyspace, "completion": _completion}
    own |= {"calibrate": _calibrate, "assets": _assets}
    if words and words[0] in own:
        return partial(own[words[0]], words[1:])
    if words[:2] == ["migrate-flags", "--"] or words == ["migrate-flags"]:
        return partial(_migrate, words[2:])
    return None


def _parser() -> argparse.ArgumentParser:
    parser = QuietParser(
        prog="redis-pulse",
        usage="redis-pulse [serve | doctor | keyspace | demo | check-config | config | web-config | …] [options]",
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
    add("--no-secrets", action="store_true", help="with check-config and config: files of secrets need not exist")
    add("--calm", action="store_true", help="with demo: do not stall the embedded Valkey once a minute")
    add("--config", metavar="FILE", help="configuration file, YAML or TOML (REDIS_PULSE_CONFIG)")
    add("--redis-url", metavar="[NAME=]URL", action="append", help="servers to monitor; repeatable (REDIS_URL)")
    add("--username", metavar="NAME", help="ACL user for the servers of --redis-url (REDIS_USER)")
    add("--password-file", metavar="FILE", help="file with the password for --redis-url (REDIS_PASSWORD_FILE)")
    add("--listen", metavar="ADDR:PORT", help="address and port of the HTTP server (default :9121)")
    add("--telemetry-path", metavar="PATH", help="path of the metrics (default /metrics)")
    add("--web.config.file", metavar="FILE", help="TLS and logins of the pages, as in other exporters")
    add("--probe-interval", metavar="TIME", help="time between two PINGs (default 1s)")
    add("--probe-timeout", metavar="TIME", help="a PING that takes longer is a failure (default 1s)")
    add("--poll-interval", metavar="TIME", help="time between two polls of INFO and other collectors (default 15s)")
    add("--poll-timeout", metavar="TIME", help="deadline of a command of a poll (default 5s)")
    add("--collectors", metavar="NAMES", help="collectors to run, separated by commas, or the set default or lean")
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
    if is_file and arguments.command in READING and not arguments.file:
        arguments.file = unknown.pop()  # argparse finds no optional word after the first option
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
    if unknown or (arguments.file and (arguments.command not in READING or arguments.config)):
        parser.error("there are too many arguments: servers go to --redis-url, a file to --config")
    _refuse_misplaced(parser, arguments)
    arguments.config = arguments.config or arguments.file
    return arguments


def _refuse_misplaced(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Exit if an option is used with a command that does not support it."""
    for option, value, command in (
        ("--verbose", arguments.verbose, "--version"),
        ("--no-secrets", arguments.no_secrets and arguments.command not in READING, "check-config and config"),
        ("--calm", arguments.calm and arguments.command != "demo", "demo"),
        ("--config -", arguments.config == "-" and arguments.command not in READING, "check-config and config"),
    ):
        if value:
            parser.error(f"{option} can only be used with {command}")


def _take_foreign(words: list[str]) -> tuple[list[str], Mapping[str, str], Callable[..., LoadedConfig]]:
    """Take the flags of redis_exporter out of the words. Return the rest, what the flags set, and how it is read."""
    parser = _parser()
    own = parser._option_string_actions  # noqa: SLF001
    names = [word.partition("=")[0] for word in words if word.startswith("-")]
    if words[:1] in (["demo"], ["migrate-flags"]) or all(name in own for name in names):
        return words, {}, lambda read, *arguments, **options: read(*arguments, **options)
    from redis_pulse import migrate

    try:
        taken = migrate.take_flags(words, own)
    except migrate.FlagError as error:
        parser.error(str(error))
    return taken.words, taken.variables, taken.read


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


def _sets() -> Mapping[str, Sequence[str]]:
    """Return the sets of collectors that a configuration may name."""
    from redis_pulse.collectors.support.sets import CollectorSets

    return CollectorSets(_collectors)


def _inherit(variables: Mapping[str, str]) -> InheritedSettings:
    """Return what variables of redis_exporter set. Import their table only if there are any."""
    from redis_pulse import migrate

    return migrate.inherit(variables)


def _check_config(read: "partial[LoadedConfig]", *, with_secrets: bool) -> int:
    loaded = read()
    counts = []
    warnings = list(loaded.warnings)
    if with_secrets and (file := loaded.settings.web.config_file) is not None:
        from redis_pulse.web import load_web_access

        warnings += [f"web configuration: {warning}" for warning in load_web_access(file, str(file)).warnings]
    if loaded.targets or not (loaded.sources or loaded.adopt):
        counts.append(_count("target", [target.name for target in loaded.targets]))
    if loaded.sources:
        counts.append(_count("source", [source.title for source in loaded.sources]))
    if loaded.adopt is not None:
        counts.append(f"up to {loaded.adopt.options.max} that scrapes name")
    sys.stdout.write(f"ok: {', '.join(counts)}\n")
    sys.stdout.writelines(f"warning: {warning}\n" for warning in warnings)
    return 0


def _print_config(loaded: LoadedConfig) -> int:
    try:
        sys.stdout.writelines(effective_text(loaded.effective))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough, as head does
        forget_stdout()
    return 0


def _web_config(words: Sequence[str]) -> int:
    from redis_pulse.web import web_config_cli

    try:
        return web_config_cli.run(words)
    except KeyboardInterrupt:
        return 130


def _read_for(arguments: argparse.Namespace, environ: Mapping[str, str], with_secrets: bool) -> LoadedConfig:
    """Read the configuration for a command that has arguments of its own."""
    return load(
        arguments,
        environ,
        _directory(),
        check_collectors=_check_collector,
        sets=_sets(),
        inherit=_inherit,
        with_secrets=with_secrets,
    )


def _doctor(words: Sequence[str]) -> int:
    from redis_pulse import doctor

    return doctor.run(words, _read_for, os.environ, _collectors())


def _keyspace(words: Sequence[str]) -> int:
    from redis_pulse import keyspace_terminal

    return keyspace_terminal.run(words, _read_for, os.environ)


def _calibrate(words: Sequence[str]) -> int:
    from redis_pulse import calibrate

    return calibrate.run(words)


def _assets(words: Sequence[str]) -> int:
    from redis_pulse import asset_files

    return asset_files.run(words)


def _completion(words: Sequence[str]) -> int:
    from redis_pulse import asset_files, calibrate, completion, doctor, keyspace_terminal

    own = {"doctor": doctor, "keyspace": keyspace_terminal, "calibrate": calibrate, "assets": asset_files}
    parsers = {"": _parser()} | {name: package.parser() for name, package in own.items()}
    return completion.run(words, COMMANDS, DESCRIPTION, parsers, __version__)


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


def _demo(read: "partial[LoadedConfig]", *, calm: bool) -> int:
    from redis_pulse.daemon import lifecycle
    from redis_pulse.demo import Demo, DemoError

    def show(port: int) -> None:
        sys.stdout.write(demo.banner(port))
        sys.stdout.flush()

    startup_signals.unwind_on_signals()  # otherwise a signal would leave the embedded servers running
    try:
        with Demo(calm=calm) as demo:
            read = partial(read, extra_targets=demo.targets)
            return lifecycle.run(read(), reload=read, alongside=demo.run, started=show, port_fallback=True)
    except DemoError as error:
        sys.stderr.write(f"redis-pulse: {error}\n")
        return 1


def _report(error: ConfigError) -> int:
    lines = "".join(f"  {line}\n" for line in str(error).splitlines())
    sys.stderr.write(f"redis-pulse: this configuration cannot be used:\n{lines}")
    return 2 if all(problem.location.startswith("--") for problem in error.problems) else 1
