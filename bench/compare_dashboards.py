"""Evaluate dashboards and rules of others with redis-pulse and with redis_exporter, side by side. See bench/README.md.

python bench/compare_dashboards.py [FILE…]

A FILE is a dashboard (JSON) or a file of rules (YAML). Without one, the dashboards of the Debian package of
redis_exporter are read. Both exporters watch the same servers. Each has its own real Prometheus, with the same job and
the same instance, so every expression is evaluated unchanged. Variables of a dashboard match everything. The exit code
is 1 if an expression has data with redis_exporter only.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "exporter")]

import yaml  # noqa: E402
from compare_exporters import FLAGS, help_of, settle  # noqa: E402
from compare_exporters import Pair as Exporters  # noqa: E402
from servers import provoke_events, states  # noqa: E402

from tests.integration.prometheus import Prometheus  # noqa: E402

EXAMPLES = Path("/usr/share/doc/prometheus-redis-exporter/examples")
#: Seconds of scrapes before the evaluation. Rates look back one minute.
SECONDS = 75
#: The label of one exporter that the other one lacks on every series.
OWN_LABELS = frozenset({"target"})
#: Relative difference of two values that are read a moment apart.
TOLERANCE = 0.1
NO_DATA = "**no data with redis-pulse**"


def expressions(file: Path) -> Iterator[str]:
    """Yield the expressions of a dashboard or of rules, ready to be evaluated."""
    text = file.read_text(encoding="utf-8")
    document = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    for found in _walk(document):
        yield evaluable(found)


def _walk(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "expr" and isinstance(value, str) and value.strip():
                yield value
            else:
                yield from _walk(value)
    elif isinstance(node, list):
        for item in node:
            yield from _walk(item)


def evaluable(expression: str) -> str:
    """Return an expression whose variables match everything, and whose windows are a minute."""
    variable = r"(?:\$\{?\w+(?::\w+)?\}?|\[\[\w+\]\])"
    text = re.sub(r"\$__(?:rate_interval|interval|range)|\$\{__(?:rate_interval|interval|range)\}", "1m", expression)
    text = re.sub(rf'(=~?)\s*"{variable}"', '=~".*"', text)
    text = re.sub(rf"\[{variable}\]", "[1m]", text)
    return re.sub(rf'"([^"]*){variable}([^"]*)"', r'"\1.*\2"', text)


def verdict(theirs: Any, ours: Any) -> str:
    """Return what differs between two results, or an empty text."""
    if isinstance(theirs, str) or isinstance(ours, str):
        return "" if isinstance(theirs, str) == isinstance(ours, str) else "an error with one of them"
    if bool(theirs) != bool(ours):
        return NO_DATA if theirs else "data with redis-pulse only"
    of_theirs, of_ours = _by_labels(theirs), _by_labels(ours)
    if missing := of_theirs.keys() - of_ours.keys():
        return f"{len(missing)} of {len(of_theirs)} series are missing, such as {_shown(min(missing))}"
    if more := of_ours.keys() - of_theirs.keys():
        return f"{len(more)} more series, such as {_shown(min(more))}"
    others = [key for key, value in of_theirs.items() if not _is_near(value, of_ours[key])]
    if others:
        first = others[0]
        return f"values: {of_theirs[first]:g} and {of_ours[first]:g} of {_shown(first)}"
    return ""


def _by_labels(result: list[dict[str, Any]]) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted((name, text) for name, text in one["metric"].items() if name not in OWN_LABELS)): float(
            one["value"][1]
        )
        for one in result
    }


def _shown(labels: tuple[tuple[str, str], ...]) -> str:
    shown = ",".join(f"{name}={text}" for name, text in labels if name not in ("job", "instance"))
    return f"{{{shown[:100]}}}"


def _is_near(one: float, other: float) -> bool:
    return one == other or abs(one - other) <= TOLERANCE * max(abs(one), abs(other)) or abs(one - other) < 1


def _evaluated(prometheus: Prometheus, expression: str) -> Any:
    try:
        return prometheus.query(expression)
    except AssertionError as error:
        return str(error)


def main() -> int:
    """Evaluate all expressions, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="dashboards (JSON) and rules (YAML)")
    parser.add_argument("--exporter", default=shutil.which("prometheus-redis-exporter"), help="redis_exporter's binary")
    parser.add_argument("--server", default=shutil.which("redis-server"), help="the server binary")
    options = parser.parse_args()
    files = options.files or sorted(EXAMPLES.glob("*.json"))
    if not files or options.exporter is None or options.server is None:
        parser.error("apt-get install prometheus-redis-exporter redis-server")
    found = {expression: file.name for file in files for expression in expressions(file)}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-pulse-dashboards-")))
        known = help_of(options.exporter)
        flags = [flag for flag in FLAGS if f"  {flag.partition('=')[0]} " in known]
        primary, replica, *_ = states(stack, folder, options.server)
        pairs = [Exporters(stack, folder, server, options.exporter, flags) for server in (primary, replica)]
        sides = {}
        for side in ("theirs", "ours"):
            programs = [pair.theirs if side == "theirs" else pair.ours for pair in pairs]
            job = {
                "job_name": "redis",
                # Longer than a poll. Two scrapes of one poll have equal values, and irate() of them is 0.
                "scrape_interval": "3s",
                "scrape_timeout": "3s",
                "static_configs": [
                    {"targets": [f"127.0.0.1:{program.port}"], "labels": {"instance": pair.server.url}}
                    for program, pair in zip(programs, pairs, strict=True)
                ],
            }
            sides[side] = stack.enter_context(Prometheus(folder / side, (), jobs=[job]))
        for pair in pairs:
            settle(pair.ours)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for server in (primary, replica):
                provoke_events(server.client)
            primary.client.set("visits", 1)
            time.sleep(1)
        results = {text: [_evaluated(sides[side], text) for side in ("theirs", "ours")] for text in found}
    differences = {text: said for text, result in results.items() if (said := verdict(*result))}
    with_data = sum(bool(theirs) and not isinstance(theirs, str) for theirs, _ in results.values())
    print(f"{len(found)} expressions of {len(files)} files; {with_data} have data with redis_exporter.")
    print(f"{len(differences)} differ:\n")
    print("| file | expression | with redis-pulse |\n| --- | --- | --- |")
    for text, said in differences.items():
        print(f"| {found[text]} | `{' '.join(text.split())[:110].replace('|', '¦')}` | {said} |")
    return int(any(said == NO_DATA for said in differences.values()))


if __name__ == "__main__":
    sys.exit(main())
