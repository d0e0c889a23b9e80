"""The command line: ``redis-pulse [serve | demo | check-config | migrate-flags] [options]``.

Exit codes: 0, 1 for a configuration that cannot be used or a port that is taken, 2 for arguments that mean nothing.
"""

import argparse
import gc
import os
import re
import sys
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NoReturn

from exporter import versions

gc.disable()  # what is imported stays: the garbage collector would look through it again and again, and find nothing
from exporter.config import ConfigError, Loaded, check_options, load, nearest  # noqa: E402
from exporter.config.keys import own_metrics  # noqa: E402

gc.enable()

COMMANDS = ("serve", "demo", "check-config", "migrate-flags")
DESCRIPTION = """\
Prometheus exporter daemon for Redis and Valkey: what the server says, and what a client feels.

commands:
  serve               the daemon (this is what happens without a command)
  demo                the daemon on an embedded Valkey with a made-up workload
  check-config [FILE] say whether the configuration is good, and if not, where and why
  migrate-flags -- …  print the configuration that does what redis_exporter did with these flags and variables
"""
EPILOG = """\
Every setting can also come from the environment (REDIS_URL, REDIS_PULSE_PROBE_INTERVAL, ...), from .env, from a file
(--config), or from a folder of secrets; the command line is the strongest. See docs/configuration.md.
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
    read = partial(load, arguments, os.environ, _directory(), check_collectors=_check_collector)
    try:
        match arguments.command:
            case "check-config":
                return _check_config(read)
            case "demo":
                return _demo(read)
            case _:
                gc.disable()
                from exporter import app

                _collectors()
                gc.enable()
                return app.run(read(), reload=read)
    except ConfigError as error:
        return _refuse(error)
    except KeyboardInterrupt:
        return 130


def _parser(version: str = "") -> argparse.ArgumentParser:
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
    add("--version", action="version", version=version, help="say the version, Python's, and that of the libraries")
    add("--config", metavar="FILE", help="configuration file, YAML or TOML (REDIS_PULSE_CONFIG)")
    add("--redis-url", metavar="[NAME=]URL", action="append", help="a server to watch; repeatable (REDIS_URL)")
    add("--username", metavar="NAME", help="ACL user for the servers of --redis-url (REDIS_USER)")
    add("--password-file", metavar="FILE", help="password for the servers of --redis-url (REDIS_PASSWORD_FILE)")
    add("--listen", metavar="ADDR:PORT", help="address of the pages (default :9121)")
    add("--telemetry-path", metavar="PATH", help="path of the metrics (default /metrics)")
    add("--probe-interval", metavar="TIME", help="time between two PINGs (default 1s)")
    add("--probe-timeout", metavar="TIME", help="a slower PING is a failure (default 1s)")
    add("--poll-interval", metavar="TIME", help="time between two readings of INFO (default 15s)")
    add("--poll-timeout", metavar="TIME", help="deadline of a command of a poll (default 5s)")
    add("--collectors", metavar="NAMES", help="collectors to run, separated by commas")
    add("--probe-log", metavar="FILE", help="write one CSV line for every PING")
    add("--shard", metavar="I/N", help="take the I-th of N parts of the targets (0/3, auto/3)")
    add("--log-level", metavar="LEVEL", help="debug, info, warning, error or critical (LOG_LEVEL)")
    add("--log-format", metavar="FORMAT", help="logfmt or json")
    add("--debug", action="store_true", default=None, help="log at level debug (DEBUG)")
    return parser


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; exits with 2 when they mean nothing."""
    parser = _parser(versions.text() if argv and "--version" in argv else "")
    arguments, unknown = parser.parse_known_args(argv)
    if arguments.command == "migrate-flags":
        parser.error(
            "migrate-flags takes the flags of redis_exporter after --: redis-pulse migrate-flags -- -redis.addr=…"
        )
    for argument in unknown:
        name = argument.partition("=")[0]
        if not re.fullmatch(r"--?[a-z][a-z-]*", name):
            continue
        guess = nearest(name, parser._option_string_actions)  # noqa: SLF001
        parser.error(f"there is no option {name}" + (f": did you mean {guess}?" if guess else ""))
    if arguments.command not in COMMANDS:
        guess = nearest(arguments.command, COMMANDS)
        hint = f"did you mean {guess}?" if guess else f"there are {', '.join(COMMANDS)}; servers go to --redis-url"
        parser.error(f"there is no such command: {hint}")
    if unknown or (arguments.file and (arguments.command != "check-config" or arguments.config)):
        parser.error("there are more arguments than are known; servers go to --redis-url, a file to --config")
    arguments.config = arguments.config or arguments.file
    return arguments


def _directory() -> Path:
    try:
        return Path.cwd()
    except OSError:  # it was removed under our feet
        return Path("/")


@cache
def _collectors() -> Any:
    from exporter.collectors import load as load_collectors

    return load_collectors()


def _check_collector(name: str, options: dict[str, Any]) -> list[str]:
    """Return what is wrong with the name or the options of a collector."""
    known = _collectors()
    if name not in known:
        guess = nearest(name, known)
        return ["is no collector " + (f"(did you mean {guess}?)" if guess else f"(there are {', '.join(known)})")]
    return check_options(known[name].options, options) or _clashes(options)


def _clashes(options: dict[str, Any]) -> list[str]:
    """Return which metrics of scripts have the name of a metric that there is."""
    if not (own := own_metrics(options)):
        return []
    from exporter.exposition.names import taken

    names = taken(_collectors().values())
    return [f"gives a metric the name {one.metric}, which is taken" for one in own if one.metric in names]


def _check_config(read: "partial[Loaded]") -> int:
    loaded = read()
    names = ", ".join(target.name for target in loaded.targets[:10]) + (", …" if len(loaded.targets) > 10 else "")
    count = len(loaded.targets)
    sys.stdout.write(f"ok: {count} target{'' if count == 1 else 's'} ({names})\n")
    sys.stdout.writelines(f"warning: {warning}\n" for warning in loaded.warnings)
    return 0


def _migrate(words: Sequence[str]) -> int:
    from exporter.migrate import migrate

    sys.stdout.write(migrate(words, os.environ))
    return 0


def _demo(read: "partial[Loaded]") -> int:
    from exporter import app
    from exporter.demo import Demo, DemoError

    def show(port: int) -> None:
        sys.stdout.write(demo.banner(port))
        sys.stdout.flush()

    try:
        with Demo() as demo:
            read = partial(read, extra_targets=demo.targets)
            return app.run(read(), reload=read, alongside=demo.run, started=show, port_fallback=True)
    except DemoError as error:
        sys.stderr.write(f"redis-pulse: {error}\n")
        return 1


def _refuse(error: ConfigError) -> int:
    lines = "".join(f"  {line}\n" for line in str(error).splitlines())
    sys.stderr.write(f"redis-pulse: this configuration cannot be used:\n{lines}")
    return 2 if all(problem.place.startswith("--") for problem in error.problems) else 1


if __name__ == "__main__":
    sys.exit(main())
