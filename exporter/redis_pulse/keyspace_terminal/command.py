"""The command ``redis-pulse keyspace``: its arguments, its run with a progress bar, and its exit codes."""

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TextIO

from redis_pulse import log
from redis_pulse.advice import for_error, printable
from redis_pulse.config import TargetSettings
from redis_pulse.doctor import ReadConfig, TlsFiles, WrongArgumentsError, add_target_options, loader, make_plan
from redis_pulse.errors import TargetError
from redis_pulse.keyspace import KeyspaceReport
from redis_pulse.keyspace_sampling import examine_keyspace
from redis_pulse.keyspace_terminal.text import as_text
from redis_pulse.terminal import QuietParser, forget_stdout, write
from redis_pulse.web.pages import keyspace_json

FAILED, WRONG_ARGUMENTS, INTERRUPTED = 1, 2, 130
DEFAULT_SECONDS, MAX_SECONDS = 8.0, 3600.0
DESCRIPTION = """\
Looks at some keys of one server, and prints what fills it: patterns of keys, each with its memory and its error.
TARGET is a URL, or the name of a target of --config. Without one: the only target of the daemon.
It only reads, it changes no LRU or LFU state, and it uses at most a tenth of the server's main thread.
"""
EPILOG = """\
exit codes: 0 done, 1 the server cannot be examined, 2 wrong arguments, 130 Ctrl-C (the report so far is printed)
"""
_BAR = 24

#: Yields reports about the keys of a target for some seconds, with the names of keys or without.
Examine = Callable[..., AsyncIterator[KeyspaceReport]]


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    made = QuietParser(
        prog="redis-pulse keyspace",
        usage="redis-pulse keyspace [TARGET] [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add_target_options(made)
    add("--seconds", metavar="N", type=float, default=DEFAULT_SECONDS, help="how long to look (default: 8)")
    add("--hide-keys", action="store_true", help="print patterns only, no name of a key")
    add("--json", action="store_true", help="print JSON and nothing else, as /keyspace has it")
    return made


def run(words: Sequence[str], read: ReadConfig, environ: Mapping[str, str], examine: Examine = examine_keyspace) -> int:
    """Run the command and return its exit code."""
    arguments = parser().parse_args(words)
    try:
        target = _target(arguments, read, environ)
        log.setup("critical", stream=sys.stderr)  # what the daemon would log is in the message below
        progress = ProgressBar(None if arguments.json or not sys.stderr.isatty() else sys.stderr, arguments.seconds)
        watched = Watched(target, progress)
        code = watched.run(examine(target, seconds=arguments.seconds, show_keys=not arguments.hide_keys))
        if watched.report is not None:
            _print(arguments, target, watched.report)
    except WrongArgumentsError as error:
        sys.stderr.write(f"redis-pulse keyspace: {error}\nTry redis-pulse keyspace --help.\n")
        return WRONG_ARGUMENTS
    except BrokenPipeError:
        forget_stdout()
        return FAILED
    return code


class ProgressBar:
    """A progress bar on a terminal, in one line. Without a stream it shows nothing."""

    def __init__(self, stream: TextIO | None, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds

    def show(self, report: KeyspaceReport, elapsed: float) -> None:
        """Show how far the work is."""
        if self._stream is None:
            return
        share = min(1.0, max(elapsed / self._seconds, report.walk.ratio if report.walk.passes == 0 else 1.0))
        done = round(share * _BAR)
        bar = "#" * done + "-" * (_BAR - done)
        self._stream.write(f"\r\x1b[K[{bar}] {report.draws} draws, {report.walk.ratio:.0%} of all keys visited")
        self._stream.flush()

    def clear(self) -> None:
        """Remove the bar."""
        if self._stream is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


class Watched:
    """One run: it keeps the newest report, so that Ctrl-C and a lost connection still leave one."""

    def __init__(self, target: TargetSettings, progress: ProgressBar) -> None:
        self._target = target
        self._progress = progress
        self.report: KeyspaceReport | None = None

    def run(self, reports: AsyncIterator[KeyspaceReport]) -> int:
        """Consume the reports. Return the exit code."""
        try:
            asyncio.run(self._consume(reports))
        except KeyboardInterrupt:
            self._progress.clear()
            sys.stderr.write("redis-pulse keyspace: interrupted; the report is that of the time until now\n")
            return INTERRUPTED
        except TargetError as error:
            self._progress.clear()
            filled = for_error(error.reason, str(error))
            where = printable(self._target.address)
            sys.stderr.write(
                f"redis-pulse keyspace: {where}: {error.reason}: {printable(str(error))}\n"
                f"See docs/{filled.link}, or run redis-pulse doctor with the same arguments.\n"
            )
            return FAILED
        self._progress.clear()
        return 0

    async def _consume(self, reports: AsyncIterator[KeyspaceReport]) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        async for self.report in reports:
            self._progress.show(self.report, clock() - began)


def _target(arguments: argparse.Namespace, read: ReadConfig, environ: Mapping[str, str]) -> TargetSettings:
    """Return the one target of the arguments. Raises WrongArgumentsError for none or several."""
    if not 0.5 <= arguments.seconds <= MAX_SECONDS:
        raise WrongArgumentsError(f"--seconds must be 0.5 to {MAX_SECONDS:.0f}")
    if len(arguments.targets) > 1:
        raise WrongArgumentsError("name one TARGET")
    file = arguments.config or environ.get("REDIS_PULSE_CONFIG") or ""
    tls = TlsFiles(arguments.tls_ca_file, arguments.tls_cert_file, arguments.tls_key_file)
    plan = make_plan(arguments.targets, file, loader(arguments, read, environ), tls)
    if plan.sources and arguments.targets:
        raise WrongArgumentsError("TARGET is a source of several targets: name one server")
    if len(plan.targets) > 1:
        names = ", ".join(target.name for target in plan.targets[:10])
        raise WrongArgumentsError(f"there are {len(plan.targets)} targets: name one of {names}")
    if not plan.targets:
        problems = [
            f"{found.advice.why} {found.advice.do}" for found in plan.findings if found.advice.severity == "error"
        ]
        raise WrongArgumentsError(problems[0] if problems else "name a TARGET, such as redis://localhost:6379")
    return plan.targets[0]


def _print(arguments: argparse.Namespace, target: TargetSettings, report: KeyspaceReport) -> None:
    if arguments.json:
        write(json.dumps(keyspace_json(target.name, report), indent=2, allow_nan=False) + "\n")
        return
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    write(as_text(target.name, report, columns))
