"""Signals before the daemon listens to them: importing takes half a second, in which SIGTERM would be exit code 143.

A supervisor that starts us and stops us at once asks for an orderly end, and there is nothing yet to put in order. So
for the commands that serve, SIGTERM and SIGINT end the process at once with exit code 0, until the event loop takes
over. What Python does before our first line is beyond us. Nothing is imported here but what Python has loaded anyway.
"""

import os
import signal
import sys
from types import FrameType

#: Commands that run until a signal ends them; without a command it is ``serve``.
_SERVING = ("serve", "demo")
#: How ``sys.argv[0]`` ends where the process is ours: the command, and ``python -m redis_pulse``.
_PROGRAMS = ("redis-pulse", "redis_pulse/__main__.py")
#: The signals that ask us to end.
NUMBERS = (signal.SIGINT, signal.SIGTERM)
_is_ours = False


def stop_on_signals() -> None:
    """Let signals end the process with exit code 0, if it is the daemon."""
    if sys.argv[0].endswith(_PROGRAMS):
        words = sys.argv[1:2]
        if not words or words[0] in _SERVING or words[0].startswith("-"):
            global _is_ours  # noqa: PLW0603  # there is one process
            _is_ours = True
            for number in NUMBERS:
                signal.signal(number, _end)


def unwind_on_signals() -> None:
    """Let signals raise SystemExit with 0 from now on, for there is something to put in order by now."""
    for number in NUMBERS:
        if signal.getsignal(number) is _end:
            signal.signal(number, _unwind)


def ignore_signals() -> None:
    """Ignore signals from now on, where they were ours: all that is left to do is to end."""
    if _is_ours:
        for number in NUMBERS:
            signal.signal(number, signal.SIG_IGN)


def _end(_number: int, _frame: FrameType | None) -> None:
    os._exit(0)


def _unwind(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)
