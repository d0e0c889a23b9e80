"""The search of the site has an entry for each metric, and the entry leads to its row."""

import json
from pathlib import Path

from redis_pulse import collectors
from redis_pulse.telemetry import exporter_metrics
from tools import docs_search

PAGE = """# Metrics

| question | expression |
| --- | --- |
| Is it up? | `redis_up` |

| metric | type | labels | meaning |
| --- | --- | --- | --- |
| `redis_uptime_in_seconds` | gauge |  | Time since the start. |
| `redis_up` | gauge | `target` | 1 while p < q, `PING` & others. |

| field | why it is left out |
| --- | --- |
| `redis_git_dirty` | A part of the version. |
"""


def test_short_names_come_first_because_long_ones_may_begin_with_them() -> None:
    found = docs_search.entries(PAGE)
    assert [entry["title"] for entry in found] == ["redis_up", "redis_uptime_in_seconds"]
    assert found[0]["location"] == "metrics/#redis_up"
    expected = "<code>redis_up</code> gauge <code>target</code> 1 while p &lt; q, <code>PING</code> &amp; others."
    assert found[0]["text"] == f"<p>{expected}</p>"


def test_only_the_row_of_a_metric_gets_an_anchor() -> None:
    changed = docs_search.with_anchors(PAGE)
    assert "| Is it up? | `redis_up` |\n" in changed
    assert '| <a id="redis_up"></a>`redis_up` | gauge | `target` | 1 while' in changed
    assert changed.replace('<a id="redis_up"></a>', "").replace('<a id="redis_uptime_in_seconds"></a>', "") == PAGE


def test_entries_are_added_to_those_of_the_generator(tmp_path: Path) -> None:
    index = tmp_path / "search.json"
    index.write_text('{"config": {"lang": ["en"]}, "items": [{"title": "Stalls °"}]}', encoding="utf-8")
    docs_search.add_entries(tmp_path, PAGE)
    loaded = json.loads(index.read_text(encoding="utf-8"))
    assert loaded["config"] == {"lang": ["en"]}
    assert [item["title"] for item in loaded["items"]] == ["Stalls °", "redis_up", "redis_uptime_in_seconds"]


def test_reference_has_an_entry_for_every_metric() -> None:
    text = (Path(__file__).parents[1] / "docs" / docs_search.PAGE).read_text(encoding="utf-8")
    found = [entry["title"] for entry in docs_search.entries(text)]
    server = {metric.full_name for collector in collectors.load().values() for metric in collector.metrics}
    exporter = {family.name for family in exporter_metrics.describe_all()}
    assert sorted(found) == sorted(name for name in server | exporter if name.startswith("redis_"))
