"""Compare the lock files with the known advisories: ``make audit``.

    exit code 0   every library was compared, and none has an advisory
    exit code 1   a library has an advisory
    exit code 2   some libraries could not be compared, because no source of advisories has replied for them

pip-audit itself ends with 0 if its source does not know a library. An index that has no advisories looks the same. So
such a library is compared with the next source. It is reported if no source knows it.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
LOCK_FILES = ("image", "run", "dev", "build", "deploy", "release", "site")
SERVICES = ("pypi", "osv")
TIMEOUT = 300

#: Runs pip-audit for one lock file and service. Returns its JSON, or None if the service does not reply.
Query = Callable[[Path, str], dict[str, Any] | None]


class Advisory(NamedTuple):
    """One library with an advisory."""

    library: str
    version: str
    identifier: str
    fixed_in: str


class Result(NamedTuple):
    """The advisories, and the libraries that no service has compared."""

    advisories: list[Advisory]
    unknown: list[str]


def audit(lock_files: Iterable[Path], query: Query, services: Sequence[str] = SERVICES) -> Result:
    """Return the result for some lock files. Each service is queried until every library is compared."""
    advisories: dict[tuple[str, str], Advisory] = {}
    unknown: set[str] = set()
    for lock_file in lock_files:
        missing: set[str] | None = None
        for service in services:
            if (report := query(lock_file, service)) is None:
                continue
            skipped = {one["name"] for one in report["dependencies"] if "skip_reason" in one}
            missing = skipped if missing is None else missing & skipped
            for one in report["dependencies"]:
                for found in one.get("vulns", ()):
                    fixed = ", ".join(found.get("fix_versions") or ()) or "no version yet"
                    advisories[one["name"], found["id"]] = Advisory(one["name"], one["version"], found["id"], fixed)
            if not missing:
                break
        unknown |= {f"all of {lock_file.name}"} if missing is None else missing
    return Result(sorted(advisories.values()), sorted(unknown))


def run_pip_audit(lock_file: Path, service: str) -> dict[str, Any] | None:
    """Return the report of pip-audit, or None if it cannot reach the service."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock_file), "--vulnerability-service", service]
    command += ["--disable-pip", "--no-deps", "--require-hashes", "--progress-spinner=off", "--format=json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)  # noqa: S603
        report: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return report


def report(result: Result) -> tuple[str, int]:
    """Return what to print, and the exit code."""
    lines = [f"{one.library} {one.version}: {one.identifier}, fixed in {one.fixed_in}" for one in result.advisories]
    if result.unknown:
        lines.append(
            f"not compared, because no source of advisories ({', '.join(SERVICES)}) has replied for them: "
            f"{', '.join(result.unknown)}"
        )
        lines.append("so nothing is known about these libraries: run make audit where PyPI or OSV can be reached")
    if not lines:
        lines.append("no library in the lock files has a known advisory")
    return "\n".join(lines), 1 if result.advisories else 2 if result.unknown else 0


if __name__ == "__main__":
    text, code = report(audit([ROOT / "requirements" / f"{name}.lock" for name in LOCK_FILES], run_pip_audit))
    print(text)
    sys.exit(code)
