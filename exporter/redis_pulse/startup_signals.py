"""Signals during startup: importing takes half a second, in which SIGTERM would cause exit code 143.

A supervisor that starts and stops the daemon at once expects an orderly end. There is nothing to clean up yet. So for
the commands that serve, SIGTERM and SIGINT end the process at once with exit code 0. Later the event loop handles them.
This module cannot handle signals before Python runs its first line.

This module imports only modules that Python has loaded already.
"""

import os
import signal
import sys
from types import FrameType

#: Commands that run until a signal ends them. The default command is ``serve``.
_SERVING_COMMANDS = ("serve", "demo")
#: The ends of ``sys.argv[0]`` in a process of the exporter: the command, and ``python -m redis_pulse``.
_PROGRAMS = ("redis-pulse", "redis_pulse/__main__.py")
#: The signals that request the end of the process.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_is_daemon = False


def stop_on_signals() -> None:
    """Let signals end the process with exit code 0, if it is the daemon."""
    if sys.argv[0].endswith(_PROGRAMS):
        arguments = sys.argv[1:2]
        if not arguments or arguments[0] in _SERVING_COMMANDS or arguments[0].startswith("-"):
            global _is_daemon  # noqa: PLW0603  # there is one process
            _is_daemon = True
            for number in STOP_SIGNALS:
                signal.signal(number, _exit_at_once)


def unwind_on_signals() -> None:
    """Let signals raise SystemExit with code 0 from now on, because now there is something to clean up."""
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is _exit_at_once:
            signal.signal(number, _raise_system_exit)


def ignore_signals() -> None:
    """Ignore signals from now on, if the process is the daemon: it is about to end."""
    if _is_daemon:
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _exit_at_once(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


def _raise_system_exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
