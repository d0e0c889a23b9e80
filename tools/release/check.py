"""Build, install and examine what a release contains: ``make release-check``.

Each check is one function of ``CHECKS``. They run in this order, because later ones use what earlier ones have made.

    exit code 0   no check failed
    exit code 1   a check failed; with ``--tag``, also if one was skipped
    exit code 2   wrong arguments
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.release import artefacts, build, installed, texts
from tools.release.result import ProgramError, Release, Result

Check = Callable[[Release], Result]
CHECKS: Mapping[str, Check] = {
    "versions": texts.versions,
    "links": texts.links,
    "changelog": texts.changelog,
    "names": texts.public_names_kept,
    "workflows": artefacts.workflows,
    "build": build.reproducible,
    "contents": build.contents,
    "description": build.long_description,
    "install": installed.install,
    "assets": installed.assets,
    "licences": installed.licences,
    "commands": installed.commands,
    "chart": artefacts.chart,
    "image": artefacts.image,
}


def perform(check: Check, release: Release) -> Result:
    """Return the result of a check. A program that fails is a failure of the check."""
    try:
        return check(release)
    except ProgramError as error:
        return Result("failed", str(error))


def exit_code(results: Sequence[Result], *, is_release: bool) -> int:
    """Return the exit code for the results of all checks."""
    bad = ("failed", "skipped") if is_release else ("failed",)
    return int(any(result.state in bad for result in results))


def row(name: str, result: Result, seconds: float) -> str:
    """Return the lines of the table for one check."""
    first, *more = result.text.splitlines() or [""]
    return "\n".join([f"{name:<12} {result.state:<8} {seconds:5.1f} s  {first}", *(f"{'':31}{line}" for line in more)])


def main(arguments: Sequence[str] | None = None, checks: Mapping[str, Check] = CHECKS) -> int:
    """Run the checks, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.check", description="Examine a release.")
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(checks)}")
    parser.add_argument(
        "--tag", default="", help="the tag of the release, such as v0.2.0; then no check may be skipped"
    )
    options = parser.parse_args(arguments)
    names = options.only.split(",") if options.only else list(checks)
    if unknown := [name for name in names if name not in checks]:
        parser.error(f"there is no check {', '.join(unknown)}: use some of {', '.join(checks)}")
    results = []
    with tempfile.TemporaryDirectory(prefix="redis-pulse-release-") as scratch:
        release = Release(Path(scratch), options.tag)
        for name in names:
            begin = time.monotonic()
            result = perform(checks[name], release)
            results.append(result)
            print(row(name, result, time.monotonic() - begin), flush=True)
    counts = {state: sum(result.state == state for result in results) for state in ("ok", "failed", "skipped")}
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return exit_code(results, is_release=bool(options.tag))


if __name__ == "__main__":
    sys.exit(main())
