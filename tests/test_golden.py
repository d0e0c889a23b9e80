"""The page of real servers, whole: what every collector makes of recorded sessions is compared with what is committed.

A difference is a change that users see in names, types, HELP, labels or values. When it is meant:

    GOLDEN_WRITE=1 make test ARGS="tests/test_golden.py --no-cov"

then look at the difference as a reader of a dashboard would, and commit it.
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


async def page(server: str) -> str:
    """Render the page of a recorded server: its primary, replica, Sentinel and cluster node are targets of these names.

    Comments at its head say which collectors a target does not support.
    """
    lines: dict[MetricSpec, bytes] = {}
    remarks = []
    for who, replies in replay.recorded(server).items():
        for run in await replay.replay(replies, who):
            if run.error is not None:
                remarks.append(f"# {who}: {run.collector.name} is not supported: {type(run.error).__name__}\n")
            samples = (item for item in run.found or () if isinstance(item, Sample))
            for metric, series in render(who, samples).items():
                lines[metric] = lines.get(metric, b"") + series
    rows = (row for collector in collectors.load().values() for row in collector.metrics)
    families = (headers[False] + lines.pop(row) for row, headers in with_headers(rows) if row in lines)
    # Scripts are labelled with their path.
    return "".join(remarks) + b"".join(families).decode().replace(f"{HERE}/", "/etc/redis-pulse/")


@pytest.mark.parametrize("server", SERVERS)
async def test_the_page_is_the_golden_one(server: str) -> None:
    golden, now = GOLDEN / f"{server}.prom", await page(server)
    if os.environ.get("GOLDEN_WRITE"):
        golden.write_text(now, encoding="utf-8")
    before = golden.read_text(encoding="utf-8") if golden.exists() else ""
    if before != now:
        lines = difflib.unified_diff(before.splitlines(), now.splitlines(), "committed", "now", lineterm="", n=0)
        changed = [line for line in lines if not line.startswith("@@")]
        shown = "\n".join([*changed[:60], *([f"… and {len(changed) - 60} more"] if len(changed) > 60 else [])])
        how = 'GOLDEN_WRITE=1 make test ARGS="tests/test_golden.py --no-cov"'
        pytest.fail(
            f"users will see a difference:\n{shown}\nif it is meant: {how}, and commit tests/golden/", pytrace=False
        )


def test_every_golden_page_is_that_of_a_recorded_server() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.prom")) == SERVERS


@pytest.mark.parametrize("server", SERVERS)
async def test_every_reply_of_a_real_server_is_read_without_a_rest(server: str) -> None:
    for who, replies in replay.recorded(server).items():
        for run in await replay.replay(replies, who):
            unreadable = [item.location for item in run.found or () if isinstance(item, UnreadableField)]
            assert not unreadable, f"{who} {run.collector.name}"
            assert run.error is None or isinstance(run.error, collectors.UNSUPPORTED), (
                f"{who} {run.collector.name}: {run.error!r}"
            )


@pytest.mark.parametrize("server", SERVERS)
def test_a_golden_page_is_well_formed_and_holds_no_secret(server: str) -> None:
    text = (GOLDEN / f"{server}.prom").read_text(encoding="utf-8")
    families = [family.name for family in text_string_to_metric_families(text)]
    series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(set(families)) == len(families)
    assert len(set(series)) == len(series)
    assert all('target="' in one for one in series)
    assert SECRET not in text


def test_the_pages_together_fill_every_collector() -> None:
    """A collector of which nothing is on any golden page is not watched over by them."""
    seen = {
        name
        for server in SERVERS
        for name in re.findall(r"^# TYPE (\w+)", (GOLDEN / f"{server}.prom").read_text(encoding="utf-8"), re.MULTILINE)
    }
    for name, collector in collectors.load().items():
        if name != "tile38":  # no package brings one
            assert seen & {row.full_name for row in collector.metrics}, name


@pytest.mark.parametrize("server", SERVERS)
def test_promtool_complains_of_established_names_only(server: str) -> None:
    """Those are a contract, however they are spelled; our own are spelled as Prometheus would."""
    promtool = need("promtool", "prometheus")
    text = (GOLDEN / f"{server}.prom").read_bytes()
    found = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False, timeout=60)
    said = found.stderr.decode() + found.stdout.decode()
    assert found.returncode in (0, 3), said
    complaints = [line for line in said.splitlines() if line.split(" ")[0] not in ESTABLISHED]
    assert not complaints, "\n".join(complaints)
