"""The folder is the list of collectors: what stands in it is found, and what contradicts another is refused."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from redis_pulse import collectors
from redis_pulse.metric import MetricSpec
from redis_pulse.server_info import Server

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "exporter" / "redis_pulse" / "collectors"
FILES = sorted({path.stem for path in FOLDER.glob("[a-z]*")} - {"base", "support"})

EXTRA = """
from redis_pulse.collectors.info import InfoCollector
from redis_pulse.metric import gauge

class Extra(InfoCollector):
    name = {name!r}
    metrics = (gauge("Extra", "field", {metric!r}, "Something more."),)

COLLECTOR = Extra()
"""
Put = Callable[..., None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Put one more file into the folder: ``put("extra", name="extra", metric="extra_things")``."""
    monkeypatch.setattr(collectors, "__path__", [*collectors.__path__, str(tmp_path)])
    stems = []

    def write(stem: str, name: str, metric: str) -> None:
        (tmp_path / f"{stem}.py").write_text(EXTRA.format(name=name, metric=metric))
        stems.append(stem)

    yield write
    for stem in stems:
        sys.modules.pop(f"redis_pulse.collectors.{stem}", None)
        if hasattr(collectors, stem):
            delattr(collectors, stem)


def test_every_file_in_the_folder_is_a_collector() -> None:
    assert sorted(collectors.load()) == FILES


def test_info_comes_first_and_the_others_by_name() -> None:
    first, *others = collectors.load()
    assert first == "info"
    assert others == sorted(others)


def test_a_new_file_is_a_new_collector_and_nothing_else_is_touched(put: Put) -> None:
    put("extra", name="extra", metric="extra_things")
    loaded = collectors.load()
    assert "extra" in loaded
    assert [row.full_name for row in loaded["extra"].metrics] == ["redis_extra_things"]


def test_shared_helpers_are_no_collectors() -> None:
    assert list((FOLDER / "support").glob("*.py"))
    assert not {"base", "support"} & collectors.load().keys()


def test_a_metric_name_claimed_twice_is_refused(put: Put) -> None:
    put("extra", name="extra", metric="slowlog_length")
    with pytest.raises(
        ValueError, match="redis_slowlog_length is claimed twice, by the collectors 'extra' and 'slowlog'"
    ):
        collectors.load()


def test_a_collector_name_given_twice_is_refused(put: Put) -> None:
    put("extra", name="info", metric="extra_things")
    with pytest.raises(ValueError, match="two collectors are called 'info'"):
        collectors.load()


def test_the_map_of_collectors_cannot_be_changed() -> None:
    loaded = collectors.load()
    with pytest.raises(TypeError):
        loaded["other"] = loaded["info"]  # type: ignore[index]


#: A server of every kind that some collector is for.
KINDS = (
    Server(local=True, version="7.0.15", software="redis", role="master", mode="standalone"),
    Server(version="9.1.2", software="valkey", role="master", mode="cluster", fields={"cluster_enabled": "1"}),
    Server(version="7.0.15", software="redis", role="sentinel", mode="sentinel"),
    Server(version="1.0", software="redis", role="master", fields={"tile38_version": "1.33.0"}),
)


@pytest.mark.parametrize("name", FILES)
def test_every_collector_is_whole(name: str) -> None:
    collector = collectors.load()[name]
    assert collector.name == name
    assert all(isinstance(row, MetricSpec) for row in collector.metrics)
    assert collector.default in (True, False)
    assert collector.commands or name == "tile38"  # which has no ACL
    assert all(command == command.lower() and " " not in command for command in collector.commands)
    assert any(collector.applies(server) for server in KINDS)
    collector.options()  # has defaults for everything
    with pytest.raises(ValidationError):
        collector.options.model_validate({"no_such_option": 1})


@pytest.mark.parametrize("name", FILES)
def test_every_collector_has_a_test_and_shows_two_lines_of_its_output(name: str) -> None:
    assert list((ROOT / "tests" / "collectors").glob(f"**/test_{name}.py"))
    doc = sys.modules[type(collectors.load()[name]).__module__].__doc__ or ""
    shown = [line.partition("{")[0].removesuffix("_bucket") for line in doc.splitlines() if line.startswith("redis_")]
    assert len(shown) == 2
    assert set(shown) <= {row.full_name for row in collectors.load()[name].metrics}


def test_a_counter_leaves_room_for_its_family_in_openmetrics() -> None:
    """There ``x_total`` belongs to the family ``x``, so no other metric may be called ``x``."""
    rows = [row for collector in collectors.load().values() for row in collector.metrics]
    names = {row.full_name for row in rows}
    assert not {
        row.full_name
        for row in rows
        if row.kind == "counter" and row.full_name.removesuffix("_total") in names and row.full_name.endswith("_total")
    }
