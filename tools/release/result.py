"""What the checks of a release share: the result of a check, and how a program is run."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

ROOT = Path(__file__).parents[2]
#: Seconds. Builds and installations are slow on a busy machine.
TIMEOUT = 900


class Result(NamedTuple):
    """The outcome of one check. ``text`` is one line, or has the errors."""

    state: Literal["ok", "failed", "skipped"]
    text: str


def of_errors(errors: Sequence[str], good: str) -> Result:
    """Return a failure with these errors, or a success if the list is empty."""
    return Result("failed", "\n".join(errors)) if errors else Result("ok", good)


@dataclass
class Release:
    """What earlier checks leave for later ones. ``scratch`` is a temporary folder outside of the checkout."""

    scratch: Path
    #: the tag of the release, such as v0.2.0, or empty
    tag: str = ""
    root: Path = ROOT
    #: wheel and sdist, once they are built
    files: list[Path] = field(default_factory=list)
    #: Python of the environment with the wheel, once that is installed
    python: Path | None = None

    @property
    def wheel(self) -> Path | None:
        """Return the wheel, or None before it is built."""
        return next((file for file in self.files if file.suffix == ".whl"), None)


class ProgramError(Exception):
    """A program ended with another exit code than 0. The text has its command and the end of its output."""


def run(words: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a program, and return what it printed. Raise ProgramError if it fails."""
    command = [str(word) for word in words]
    done = subprocess.run(  # noqa: S603
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if done.returncode != 0:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise ProgramError(f"{' '.join(command)}: exit code {done.returncode}\n{output}")
    return done.stdout
