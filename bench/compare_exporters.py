"""Compare redis-pulse with redis_exporter on the same servers at the same time. See bench/README.md.

python bench/compare_exporters.py [--exporter PATH] [--server PATH] [--all]

`redis_exporter` gets the flags that `redis-pulse migrate-flags` converts for redis-pulse. The exit code is 1 if a
family is missing or differs, and docs/compatibility.md does not list it.
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
sys.path[:0] = [str(ROOT), str(ROOT / "exporter")]

from redis_pulse.migrate import migrate  # noqa: E402
from tools.compat import DIFFERENCES, read_established  # noqa: E402

#: Both read everything that a server without modules has.
FLAGS = (
    *("-include-system-metrics", "-include-config-metrics", "-export-client-list", "-export-client-port"),
    *("-include-modules-metrics", "-include-rdb-file-size-metric", "-include-sentinel-peer-info", "-ping-on-connect"),
    *("-check-keys=user:*,db3=session:*", "-check-single-keys=visits,greeting,nobody,db3=cart", "-count-keys=user:*"),
    *("-check-streams=order*", "-check-single-streams=mail", r"-check-key-groups=^(%a+):(%d),^(%a+)"),
)
ESTABLISHED = read_established()
POLL = 1.0
TIMEOUT = 20.0
#: The progress of a scan before its first complete pass.
_INCOMPLETE_SCAN = re.compile(r"^redis_\w+_scan_progress_ratio\{[^}]*\} 0(\.\d+)?$", re.MULTILINE)
_FAILED = re.compile(r"^redis_collector_success\{([^}]*)\} 0$", re.MULTILINE)


def main() -> int:
    """Compare on every server, print the result, and return the exit code."""
    options = arguments()
    help_text = help_of(options.exporter)
    unknown: list[Finding] = []
    print(f"- redis_exporter {version(options.exporter)}, {options.exporter}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-compare-")))
        script = folder / "stock.lua"
        script.write_text('return {"apples", "12", "pears", "3.5"}\n')
        flags = [flag for flag in (*FLAGS, f"-script={script}") if f"  {flag.partition('=')[0]} " in help_text]
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
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    exporter = shutil.which("prometheus-redis-exporter") or shutil.which("redis_exporter")
    parser.add_argument("--exporter", default=exporter, help="redis_exporter's binary (default: the one on PATH)")
    parser.add_argument("--server", default=shutil.which("redis-server"), help="the server binary (default: on PATH)")
    parser.add_argument("--all", action="store_true", help="also list the families that only redis-pulse has")
    options = parser.parse_args()
    for name, package in (("exporter", "prometheus-redis-exporter"), ("server", "redis-server")):
        if getattr(options, name) is None:
            parser.error(f"--{name} is needed: apt-get install {package}")
    return options


def help_of(exporter: str) -> str:
    """Return the help of redis_exporter, with each flag as ``  -flag ``. Older versions have fewer flags."""
    result = subprocess.run([exporter, "--help"], capture_output=True, text=True, check=False)
    return re.sub(r"^(  -\S+)$", r"\1 ", result.stdout + result.stderr, flags=re.MULTILINE)


def version(exporter: str) -> str:
    """Return the version of redis_exporter."""
    result = subprocess.run([exporter, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"Exporter\s+v?(\S+)", result.stdout + result.stderr)
    return match[1] if match else "(version unknown)"


class Pair:
    """Both exporters on one server, with their pages."""

    def __init__(self, stack: ExitStack, folder: Path, server: Server, exporter: str, flags: Sequence[str]) -> None:
        self.server = server
        arguments = [f"-redis.addr={server.url}"]
        arguments += [flag for flag in flags if not server.is_sentinel or not re.search("check|count|script", flag)]
        # The default limit of histograms would exclude some from the comparison.
        config = migrate(arguments, {}).text.replace("latency_histogram: {}", "latency_histogram: {max_commands: 500}")
        file = folder / f"{server.name}.yaml"
        file.write_text(f"{config}poll: {{interval: {POLL}, timeout: {POLL}, max_age: 5}}\n")
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env["PYTHONPATH"] = str(ROOT / "exporter")

        def start(name: str, *command: str) -> Program:
            return stack.enter_context(Program(name, list(command), env, folder / f"{server.name}-{name}.log"))

        listen = "127.0.0.1:{port}"
        self.ours = start("redis-pulse", sys.executable, "-m", "redis_pulse", "--config", str(file), "--listen", listen)
        self.theirs = start("redis_exporter", exporter, *arguments, "-web.listen-address", listen)
        self._pages: dict[str, list[Page]] = {"theirs": [], "ours": []}

    def scrape(self, side: str) -> None:
        """Read the page of ``ours`` or ``theirs``."""
        self._pages[side].append(compare.read(page_of(self.ours if side == "ours" else self.theirs)))

    def differences(self) -> list[Finding]:
        """Return the differences between the two pages of both sides."""
        (theirs, later), (ours, newest) = self._pages["theirs"], self._pages["ours"]
        return list(compare.differences((theirs, later), (ours, newest)))


def page_of(program: Program) -> str:
    """Return the page of metrics of an exporter."""
    with urllib.request.urlopen(f"http://127.0.0.1:{program.port}/metrics", timeout=TIMEOUT) as response:
        return str(response.read().decode())


def settle(ours: Program) -> None:
    """Wait until every scan has completed one pass, and for the next two polls."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        page = page_of(ours)
        if not _INCOMPLETE_SCAN.search(page):
            break
        time.sleep(0.2)
    for failed in _FAILED.findall(page_of(ours)):
        print(f"redis-pulse: {failed} failed")
    time.sleep(2 * POLL)


def excuse(finding: Finding) -> str:
    """Return why a finding is accepted, or an empty string.

    It is documented, or this redis_exporter is older than the list of names.
    """
    if any(finding.family in difference.names and finding.kind in difference.kinds for difference in DIFFERENCES):
        return "yes"
    metric = ESTABLISHED.get(finding.family)
    if metric is None:
        return "no name of 1.86" if finding.kind == "missing" else ""
    if finding.kind == "type" and finding.ours == metric.kind:
        return "as in 1.86"
    if finding.kind == "labels" and finding.theirs == "none" and set(finding.ours.split(", ")) <= metric.labels:
        return "as in 1.86"
    return ""


def report(server: Server, all_findings: Sequence[Finding], *, everything: bool) -> list[Finding]:
    """Print Markdown, and return the findings that the documentation does not list."""
    print(f"## {server.name}\n")
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in all_findings:
        if finding.kind != "more":
            groups.setdefault((finding.kind, finding.family, excuse(finding)), []).append(finding)
    if groups:
        print("| what | family | how often | redis_exporter | redis-pulse | documented |\n|---|---|---|---|---|---|")
    for (kind, family, documented), findings in groups.items():
        first = findings[0]
        row = [kind, f"`{family}`", str(len(findings)), first.theirs, first.ours, documented or "**no**"]
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    unknown = [finding for (_, _, documented), findings in groups.items() if not documented for finding in findings]
    more = [finding for finding in all_findings if finding.kind == "more"]
    print(
        f"\n{len(groups)} differences, {len(unknown)} not documented; {len(more)} families that only redis-pulse has.\n"
    )
    if everything:
        print("".join(f"- `{finding.ours}`\n" for finding in more))
    return unknown


if __name__ == "__main__":
    sys.exit(main())
