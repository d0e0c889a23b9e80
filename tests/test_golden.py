"""Complete pages of real servers: all collectors read recorded sessions, and the result must equal the committed page.

A difference is a change of names, types, HELP, labels or values that users see. If it is intended:

    GOLDEN_WRITE=1 make test ARGS="tests/test_golden.py --no-cov"

Then review the difference from the view of a dashboard user, and commit it.
"""

import difflib
import os
import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from redis_pulse import collectors
from redis_pulse.exposition.rendering import render, with_headers
from redis_pulse.metric import MetricSpec, Sample, UnreadableField
from tests import replay
from tests.integration.requirements import need
from tests.recordings import REPLIES
from tests.replies.record_session import SECRET

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
SERVERS = sorted({path.parent.name for path in REPLIES.glob("*/session-*.json")})
ESTABLISHED = {
    line.partition("\t")[0] for line in (HERE / "collectors" / "established.tsv").read_text("utf-8").splitlines()
}
#: A name that redis_exporter got after 1.86.
NEWER_NAMES = {"redis_scripting_engines_count"}
GAUGE_BUCKETS = {
    f"{metric.full_name}_bucket"
    for collector in collectors.load().values()
    for metric in collector.metrics
    if metric.kind == "gaugehistogram"
}


async def page(server: str) -> str:
    """Render the page of a recorded server, whose primary, replica, Sentinel and cluster node are the targets.

    Comments at the top name the collectors that a target does not support.
    """
    lines: dict[MetricSpec, bytes] = {}
    comments = []
    for role, replies in replay.recorded_sessions(server).items():
        for run in await replay.replay(replies, role):
            if run.error is not None:
                comments.append(f"# {role}: {run.collector.name} is not supported: {type(run.error).__name__}\n")
            samples = (item for item in run.items or () if isinstance(item, Sample))
            for metric, series in render(role, samples).items():
                lines[metric] = lines.get(metric, b"") + series
    metrics = (metric for collector in collectors.load().values() for metric in collector.metrics)
    families = (headers[False] + lines.pop(metric) for metric, headers in with_headers(metrics) if metric in lines)
    # The labels of scripts contain their path.
    return "".join(comments) + b"".join(families).decode().replace(f"{HERE}/", "/etc/redis-pulse/")


@pytest.mark.parametrize("server", SERVERS)
async def test_page_equals_the_golden_page(server: str) -> None:
    golden, now = GOLDEN / f"{server}.prom", await page(server)
    if os.environ.get("GOLDEN_WRITE"):
        golden.write_text(now, encoding="utf-8")
    before = golden.read_text(encoding="utf-8") if golden.exists() else ""
    if before != now:
        lines = difflib.unified_diff(before.splitlines(), now.splitlines(), "committed", "now", lineterm="", n=0)
        changed = [line for line in lines if not line.startswith("@@")]
        shown = "\n".join([*changed[:60], *([f"… and {len(changed) - 60} more"] if len(changed) > 60 else [])])
        command = 'GOLDEN_WRITE=1 make test ARGS="tests/test_golden.py --no-cov"'
        pytest.fail(
            f"users will see a difference:\n{shown}\nif it is intended: {command}, and commit tests/golden/",
            pytrace=False,
        )


def test_each_golden_page_has_a_recorded_server() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.prom")) == SERVERS


@pytest.mark.parametrize("server", SERVERS)
async def test_all_replies_of_a_real_server_are_read_completely(server: str) -> None:
    for role, replies in replay.recorded_sessions(server).items():
        for run in await replay.replay(replies, role):
            unreadable = [item.location for item in run.items or () if isinstance(item, UnreadableField)]
            assert not unreadable, f"{role} {run.collector.name}"
            assert run.error is None or isinstance(run.error, collectors.UNSUPPORTED), (
                f"{role} {run.collector.name}: {run.error!r}"
            )


@pytest.mark.parametrize("server", SERVERS)
def test_golden_page_is_well_formed_and_has_no_secret(server: str) -> None:
    text = (GOLDEN / f"{server}.prom").read_text(encoding="utf-8")
    families = [family.name for family in text_string_to_metric_families(text)]
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(set(families)) == len(families)
    assert len(set(series)) == len(series)
    assert all('target="' in one for one in series)
    assert SECRET not in text


def test_golden_pages_have_a_metric_of_each_collector() -> None:
    """Without a metric on any golden page a collector would not be tested by them."""
    names = {
        name
        for server in SERVERS
        for name in re.findall(r"^# TYPE (\w+)", (GOLDEN / f"{server}.prom").read_text(encoding="utf-8"), re.MULTILINE)
    }
    for name, collector in collectors.load().items():
        if name not in ("tile38", "hotkeys"):  # Tile38 and Redis 8.6 are in no package
            own_names = {metric.full_name for metric in collector.metrics}
            assert names & (own_names | {f"{own}_bucket" for own in own_names}), name


@pytest.mark.parametrize("server", SERVERS)
def test_promtool_reports_only_names_of_redis_exporter(server: str) -> None:
    """Those names must not change. All other names follow the rules of Prometheus.

    Its text format has no gauge histograms, so promtool takes their buckets for gauges with a bad name.
    """
    promtool = need("promtool", "prometheus")
    text = (GOLDEN / f"{server}.prom").read_bytes()
    process = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    output = process.stderr.decode() + process.stdout.decode()
    assert process.returncode in (0, 3), output
    allowed = ESTABLISHED | NEWER_NAMES | GAUGE_BUCKETS
    problems = [line for line in output.splitlines() if line.split(" ")[0] not in allowed]
    assert not problems, "\n".join(problems)
