"""What the commands of the command line share: how they read arguments, and how they write to a terminal."""

import argparse
import os
import re
import sys
from contextlib import suppress
from typing import NoReturn


class QuietParser(argparse.ArgumentParser):
    """Reports errors without repeating values: a value on the command line may be a URL with a password."""

    #: The exit code after wrong arguments.
    wrong_arguments = 2

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and exit."""
        if match := re.match(r"unrecognized arguments: (--?[a-z][a-z-]*)(?![^\s=])", message):
            message = f"unrecognized arguments: {match[1]}"  # the name of an option, without its value
        else:
            message = re.sub(r"(ignored explicit argument|unrecognized arguments:?) .*", r"\1", message)
        self.exit(self.wrong_arguments, f"{self.prog}: {message}\nTry {self.prog} --help.\n")


def write(text: str) -> None:
    """Write to stdout. A terminal that lacks a character gets a question mark."""
    encoding = sys.stdout.encoding or "ascii"
    sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))
    sys.stdout.flush()


def replace_closed_streams() -> None:
    """Let stdout and stderr go nowhere if the caller has closed them (``>&-``). Python sets them to None."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  # until the end


def forget_stdout() -> None:
    """Point stdout nowhere, so that Python does not complain at exit about a reader that is gone."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
