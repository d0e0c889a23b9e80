"""Install the wheel as users do, outside of the checkout, and run its commands."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis_pulse import __version__
from tools.release.result import ProgramError, Release, Result, of_errors, run

#: Seconds that a daemon may take until its page has data, or until it has ended.
START, STOP = 120.0, 60.0
#: Licences that a dependency may have. Each allows use and distribution with a program under Apache-2.0.
ALLOWED = (
    "MIT", "MIT-0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "Apache-2.0", "PSF-2.0", "Python-2.0",
    "MPL-2.0", "Unlicense", "Zlib",
)  # fmt: skip
#: What older metadata writes instead of an identifier.
SYNONYMS = {
    "mit license": "MIT",
    "the mit license (mit)": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd license": "BSD",
    "bsd": "BSD",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "python software foundation license": "PSF-2.0",
    "psf": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
_LICENCES = """\
import importlib.metadata as metadata, json
print(json.dumps([
    [one.metadata["Name"], one.metadata.get("License-Expression") or "", one.metadata.get("License") or "",
     [row.rpartition(" :: ")[2] for row in one.metadata.get_all("Classifier", []) if row.startswith("License :: ")]]
    for one in metadata.distributions()
]))
"""


def install(release: Release) -> Result:
    """Install the locked libraries and the wheel into a new environment outside of the checkout."""
    if release.wheel is None:
        return Result("skipped", "needs the build")
    folder = release.scratch / "environment"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python]
    lock = release.root / "requirements" / "run.lock"
    run([*pip, "install", "--no-deps", "--require-hashes", "--requirement", lock], cwd=release.scratch)
    run([*pip, "install", "--no-deps", "--no-index", release.wheel], cwd=release.scratch)
    run([*pip, "check"], cwd=release.scratch)
    code = "import redis_pulse; print(redis_pulse.__file__)"
    found = Path(run([python, "-c", code], cwd=release.scratch, env=environment()).strip())
    if not found.is_relative_to(folder):
        return Result("failed", f"Python imports {found}, which is not the installed wheel")
    release.python = python
    version = run([folder / "bin" / "redis-pulse", "--version"], cwd=release.scratch, env=environment()).strip()
    if version != f"redis-pulse {__version__}":
        return Result("failed", f"the installed command prints {version}, and the checkout has {__version__}")
    return Result("ok", f"{version} with the libraries of run.lock, on Python {sys.version.split()[0]}")


def environment() -> dict[str, str]:
    """Return an environment without settings of the daemon and without the checkout."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


def assets(release: Release) -> Result:
    """Write the assets with the installed command, twice."""
    if release.python is None:
        return Result("skipped", "needs the installation")
    program = release.python.with_name("redis-pulse")
    folder = release.scratch / "assets"
    run([program, "assets", folder], cwd=release.scratch, env=environment())
    again = run([program, "assets", folder], cwd=release.scratch, env=environment())
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    needed = {
        "deploy/compose.yaml",
        "deploy/prometheus/alerts.yaml",
        "grafana/dashboards/redis-pulse-overview.json",
        "mixin/mixin.libsonnet",
    }
    errors = [f"{name} was not written" for name in sorted(needed - names)]
    if not again.startswith("0 files written"):
        errors.append(f"the second run was not silent: {again.splitlines()[0]}")
    return of_errors(errors, f"{len(names) - 1} files written; a second run changes nothing")


def commands(release: Release) -> Result:
    """Run ``demo``, and ``doctor`` and ``serve`` against the server of the demo. Stop both daemons by SIGTERM."""
    if release.python is None:
        return Result("skipped", "needs the installation")
    program = str(release.python.with_name("redis-pulse"))
    lines = []
    with started([program, "demo", "--calm", "--listen", f"127.0.0.1:{free_port()}"], release.scratch) as demo:
        page = demo.wait_for("redis_up{", " 1")
        lines.append(f"demo: {sum(not line.startswith('#') for line in page.splitlines())} samples")
        url = f"redis://{json.loads(demo.get('/sd'))[0]['targets'][0]}"
        lines.append(f"doctor: {examine(program, url, release.scratch)}")
        words = [program, "serve", "--redis-url", f"it={url}", "--listen", f"127.0.0.1:{free_port()}"]
        with started(words, release.scratch) as daemon:
            page = daemon.wait_for('redis_up{target="it"}', " 1")
            lines.append(f"serve: {sum(not line.startswith('#') for line in page.splitlines())} samples")
        lines.append("stopped by SIGTERM")
    return Result("ok", "; ".join(lines))


def examine(program: str, url: str, folder: Path) -> str:
    """Return what ``doctor`` finds out about a server. Its exit code is 1 for warnings, and 2 for errors."""
    words = [program, "doctor", "--json", url]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in (0, 1):
        raise ProgramError(f"doctor: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    counts = json.loads(done.stdout)["counts"]
    return ", ".join(f"{count} {severity}s" for severity, count in counts.items())


class Started:
    """A daemon that runs, and the address of its pages."""

    def __init__(self, process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
        self._process, self._address, self._log = process, address, log

    def get(self, path: str) -> str:
        """Return a page."""
        with urllib.request.urlopen(f"http://{self._address}{path}", timeout=10) as response:
            return str(response.read().decode())

    def wait_for(self, start: str, end: str) -> str:
        """Return ``/metrics`` as soon as a line begins and ends so. Raise ProgramError if that takes too long."""
        deadline = time.monotonic() + START
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                page = self.get("/metrics")
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                page = ""
            if any(line.startswith(start) and line.endswith(end) for line in page.splitlines()):
                return page
            time.sleep(0.2)
        raise ProgramError(f"no line {start}…{end} in /metrics; the end of the log:\n{self.tail()}")

    def tail(self) -> str:
        """Return the end of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-10:])


@contextmanager
def started(words: list[str], folder: Path) -> Iterator[Started]:
    """Run a daemon, and stop it as a supervisor does. Raise ProgramError if it does not end with exit code 0."""
    log = folder / f"{words[1]}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(words, cwd=folder, env=environment(), stdout=file, stderr=file)  # noqa: S603
    daemon = Started(process, words[-1], log)
    try:
        yield daemon
        process.send_signal(signal.SIGTERM)
        if (code := process.wait(STOP)) != 0:
            raise ProgramError(f"{words[1]} ended with exit code {code}; the end of the log:\n{daemon.tail()}")
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{words[1]} did not stop within {STOP:.0f} s") from error
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def licences(release: Release) -> Result:
    """Compare the licences of all installed libraries, by their metadata, with those that are allowed."""
    if release.python is None:
        return Result("skipped", "needs the installation")
    rows = json.loads(run([release.python, "-c", _LICENCES], cwd=release.scratch, env=environment()))
    return judge_licences(rows)


def judge_licences(rows: list[tuple[str, str, str, list[str]]]) -> Result:
    """Return the result for rows of name, expression, text and classifiers of each library."""
    errors, found = [], set()
    for name, expression, text, classifiers in rows:
        names = licence_names(expression, text, classifiers)
        if not names:
            errors.append(f"{name}: its metadata names no licence: {text[:60] or 'empty'}")
        for licence in names:
            found.add(licence)
            if licence not in ALLOWED:
                errors.append(f"{name}: {licence} is not in ALLOWED of tools/release/installed.py")
    return of_errors(errors, f"{len(rows)} libraries: {', '.join(sorted(found))}")


def licence_names(expression: str, text: str, classifiers: list[str]) -> list[str]:
    """Return the identifiers of the licences of a library. Of ``A OR B``, the first allowed one is enough."""
    source = expression or text.strip().partition("\n")[0] or (classifiers[0] if classifiers else "")
    if source.lower() not in SYNONYMS and not expression and classifiers and source not in ALLOWED:
        source = classifiers[0]
    source = SYNONYMS.get(source.lower(), source)
    if " AND " not in source:
        options = [option.strip("() ") for option in source.split(" OR ")]
        source = next((option for option in options if option in ALLOWED), options[0])
    return [SYNONYMS.get(one.strip("() ").lower(), one.strip("() ")) for one in source.split(" AND ") if one.strip()]
