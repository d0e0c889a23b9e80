"""The command ``redis-pulse calibrate``: its arguments, its run, and its exit codes."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from redis_pulse import log
from redis_pulse.calibrate.echo import echo_process
from redis_pulse.calibrate.measure import compare, measure
from redis_pulse.calibrate.report import Report
from redis_pulse.file_descriptors import raise_limit
from redis_pulse.terminal import QuietParser, forget_stdout, write

FAILED, WRONG_ARGUMENTS, INTERRUPTED = 1, 2, 130
DEFAULT_SECONDS, MAX_SECONDS = 10.0, 600.0
DEFAULT_TARGETS, MAX_TARGETS = 10, 2000
DESCRIPTION = """\
Measures the error of a ping on this machine. It starts a server that records when each PING arrived and when its reply
left, by the kernel's clock, and pings it as the daemon pings its targets. It uses 127.0.0.1 only.
"""
EPILOG = """\
exit codes: 0 measured, 1 nothing could be measured, 2 wrong arguments, 130 Ctrl-C
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    made = QuietParser(
        prog="redis-pulse calibrate",
        usage="redis-pulse calibrate [options]",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--seconds", metavar="N", type=float, default=DEFAULT_SECONDS, help="how long to measure (default: 10)")
    add("--targets", metavar="N", type=int, default=DEFAULT_TARGETS, help="how many ports to ping (default: 10)")
    add("--json", action="store_true", help="print JSON and nothing else")
    return made


def run(words: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    made = parser()
    arguments = made.parse_args(words)
    if not 0 < arguments.seconds <= MAX_SECONDS:
        made.error(f"--seconds must be above 0 and at most {MAX_SECONDS:g}")
    if not 1 <= arguments.targets <= MAX_TARGETS:
        made.error(f"--targets must be between 1 and {MAX_TARGETS}")
    log.setup("critical", stream=sys.stderr)  # what the daemon would log is in the report
    raise_limit()
    try:
        with echo_process(arguments.targets) as echo:
            measurement = asyncio.run(measure(echo.ports, arguments.seconds))
            pings = compare(measurement, echo.record())
        if not pings:
            sys.stderr.write(f"redis-pulse calibrate: no ping of {measurement.due} was answered\n")
            return FAILED
        report = Report(measurement, pings)
        write(report.as_json() if arguments.json else report.as_text())
    except BrokenPipeError:
        forget_stdout()
        return FAILED
    except (OSError, EOFError) as error:
        sys.stderr.write(f"redis-pulse calibrate: {error or 'the server has ended'}\n")
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0
