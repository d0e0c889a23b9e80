"""redis-pulse beside redis_exporter, on the same servers in the same moment: is it a drop-in? See bench/README.md.

python bench/compare_exporters.py [--exporter PATH] [--server PATH] [--all]

What `redis_exporter` is told is what `redis-pulse migrate-flags` is told. Exit code 1 when a family is missing or
differs and docs/compatibility.md does not name it.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import compare
from compare import Finding, Page
from process import Program
from servers import Server, states

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from redis_pulse.migrate import migrate  # noqa: E402
from tools.compat import DIFFERENCES, established  # noqa: E402

#: Both are told to read all that a server without modules has.
FLAGS = (
    *("-include-system-metrics", "-include-config-metrics", "-export-client-list", "-export-client-port"),
    *("-include-modules-metrics", "-include-rdb-file-size-metric", "-include-sentinel-peer-info", "-ping-on-connect"),
    *("-check-keys=user:*,db3=session:*", "-check-single-keys=visits,greeting,nobody,db3=cart", "-count-keys=user:*"),
    *("-check-streams=order*", "-check-single-streams=mail", r"-check-key-groups=^(%a+):(%d),^(%a+)"),
)
ESTABLISHED = established()
POLL = 1.0
PATIENCE = 20.0
#: What a scan says while it has not been through once.
_UNDER_WAY = re.compile(r"^redis_\w+_scan_progress_ratio\{[^}]*\} 0(\.\d+)?$", re.MULTILINE)
_FAILED = re.compile(r"^redis_collector_success\{([^}]*)\} 0$", re.MULTILINE)


def main() -> int:
    """Compare on every server and print; the exit code."""
    options = arguments()
    told = help_of(options.exporter)
    unknown: list[Finding] = []
    print(f"- redis_exporter {version(options.exporter)}, {options.exporter}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-compare-")))
        script = folder / "stock.lua"
        script.write_text('return {"apples", "12", "pears", "3.5"}\n')
        flags = [flag for flag in (*FLAGS, f"-script={script}") if f"  {flag.partition('=')[0]} " in told]
        servers = states(stack, folder, options.server)
        print(f"- redis-server {servers[0].version}, {options.server}")
        print(f"- flags: `{' '.join(flag for flag in flags if 'script' not in flag)} -script=…`\n")
        pairs = [Pair(stack, folder, server, options.exporter, flags) for server in servers]
        for pair in pairs:
            settle(pair.ours)
        for side in ("theirs", "ours", "ours", "theirs"):
            for pair in pairs:
                pair.scrape(side)
            time.sleep(2 * POLL)
        for pair in pairs:
            unknown += report(pair.server, pair.differences(), everything=options.all)
    if unknown:
        print(f"{len(unknown)} differences that docs/compatibility.md does not name.")
    return int(bool(unknown))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found = shutil.which("prometheus-redis-exporter") or shutil.which("redis_exporter")
    parser.add_argument("--exporter", default=found, help="redis_exporter's binary (default: the one on PATH)")
    parser.add_argument("--server", default=shutil.which("redis-server"), help="the server binary (default: on PATH)")
    parser.add_argument("--all", action="store_true", help="name the families that only redis-pulse has, too")
    options = parser.parse_args()
    for name, package in (("exporter", "prometheus-redis-exporter"), ("server", "redis-server")):
        if getattr(options, name) is None:
            parser.error(f"--{name} is needed: apt-get install {package}")
    return options


def help_of(exporter: str) -> str:
    """Return its help, in which every flag stands as ``  -flag ``: older versions know fewer."""
    told = subprocess.run([exporter, "--help"], capture_output=True, text=True, check=False)
    return re.sub(r"^(  -\S+)$", r"\1 ", told.stdout + told.stderr, flags=re.MULTILINE)


def version(exporter: str) -> str:
    """Return its version."""
    told = subprocess.run([exporter, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"Exporter\s+v?(\S+)", told.stdout + told.stderr)
    return found[1] if found else "(version unknown)"


class Pair:
    """Both exporters on one server, and the pages of each."""

    def __init__(self, stack: ExitStack, folder: Path, server: Server, exporter: str, flags: Sequence[str]) -> None:
        self.server = server
        words = [f"-redis.addr={server.url}"]
        words += [flag for flag in flags if not server.is_sentinel or not re.search("check|count|script", flag)]
        # As many histograms as there are, so that all can be compared.
        told = migrate(words, {}).text.replace("latency_histogram: {}", "latency_histogram: {max_commands: 500}")
        file = folder / f"{server.name}.yaml"
        file.write_text(f"{told}poll: {{interval: {POLL}, timeout: {POLL}, max_age: 5}}\n")
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env["PYTHONPATH"] = str(ROOT)

        def start(name: str, *command: str) -> Program:
            return stack.enter_context(Program(name, list(command), env, folder / f"{server.name}-{name}.log"))

        listen = "127.0.0.1:{port}"
        self.ours = start("redis-pulse", sys.executable, "-m", "redis_pulse", "--config", str(file), "--listen", listen)
        self.theirs = start("redis_exporter", exporter, *words, "-web.listen-address", listen)
        self._pages: dict[str, list[Page]] = {"theirs": [], "ours": []}

    def scrape(self, side: str) -> None:
        """Read the page of ``ours`` or ``theirs``."""
        self._pages[side].append(compare.read(page_of(self.ours if side == "ours" else self.theirs)))

    def differences(self) -> list[Finding]:
        """Compare the two pages of each."""
        (theirs, later), (ours, newest) = self._pages["theirs"], self._pages["ours"]
        return list(compare.differences((theirs, later), (ours, newest)))


def page_of(one: Program) -> str:
    """Fetch its page."""
    with urllib.request.urlopen(f"http://127.0.0.1:{one.port}/metrics", timeout=PATIENCE) as answer:
        return str(answer.read().decode())


def settle(ours: Program) -> None:
    """Wait until every scan has been through once, and then for the polls that follow."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        page = page_of(ours)
        if not _UNDER_WAY.search(page):
            break
        time.sleep(0.2)
    for failed in _FAILED.findall(page_of(ours)):
        print(f"redis-pulse: {failed} failed")
    time.sleep(2 * POLL)


def excuse(finding: Finding) -> str:
    """Return why a finding is no fault: it is documented, or this redis_exporter is older than the list of names."""
    if any(finding.family in one.names and finding.kind in one.kinds for one in DIFFERENCES):
        return "yes"
    row = ESTABLISHED.get(finding.family)
    if row is None:
        return "no name of 1.86" if finding.kind == "missing" else ""
    if finding.kind == "type" and finding.ours == row.kind:
        return "as in 1.86"
    if finding.kind == "labels" and finding.theirs == "none" and set(finding.ours.split(", ")) <= row.labels:
        return "as in 1.86"
    return ""


def report(server: Server, found: Sequence[Finding], *, everything: bool) -> list[Finding]:
    """Print Markdown; return what the documentation does not name."""
    print(f"## {server.name}\n")
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in found:
        if finding.kind != "more":
            alike.setdefault((finding.kind, finding.family, excuse(finding)), []).append(finding)
    if alike:
        print("| what | family | how often | redis_exporter | redis-pulse | documented |\n|---|---|---|---|---|---|")
    for (kind, family, documented), findings in alike.items():
        first = findings[0]
        row = [kind, f"`{family}`", str(len(findings)), first.theirs, first.ours, documented or "**no**"]
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    unknown = [finding for (_, _, documented), findings in alike.items() if not documented for finding in findings]
    more = [finding for finding in found if finding.kind == "more"]
    print(
        f"\n{len(alike)} differences, {len(unknown)} not documented; {len(more)} families that only redis-pulse has.\n"
    )
    if everything:
        print("".join(f"- `{finding.ours}`\n" for finding in more))
    return unknown


if __name__ == "__main__":
    sys.exit(main())
