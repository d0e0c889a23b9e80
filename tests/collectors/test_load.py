"""The folder is the list of collectors: each module is loaded, and contradicting ones are rejected."""

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

EXTRA_COLLECTOR = """
from redis_pulse.collectors.info import InfoCollector
from redis_pulse.metric import gauge

class Extra(InfoCollector):
    name = {name!r}
    metrics = (gauge("Extra", "field", {metric!r}, "Something more."),)

COLLECTOR = Extra()
"""
AddModule = Callable[..., None]


@pytest.fixture
def add_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AddModule]:
    """Add a module to the folder: ``add_module("extra", name="extra", metric="extra_things")``."""
    monkeypatch.setattr(collectors, "__path__", [*collectors.__path__, str(tmp_path)])
    stems = []

    def write(stem: str, name: str, metric: str) -> None:
        (tmp_path / f"{stem}.py").write_text(EXTRA_COLLECTOR.format(name=name, metric=metric))
        stems.append(stem)

    yield write
    for stem in stems:
        sys.modules.pop(f"redis_pulse.collectors.{stem}", None)
        if hasattr(collectors, stem):
            delattr(collectors, stem)


def test_every_module_in_the_folder_is_a_collector() -> None:
    assert sorted(collectors.load()) == FILES


def test_info_comes_first_and_the_others_are_sorted_by_name() -> None:
    first, *others = collectors.load()
    assert first == "info"
    assert others == sorted(others)


def test_new_module_is_a_new_collector(add_module: AddModule) -> None:
    add_module("extra", name="extra", metric="extra_things")
    loaded = collectors.load()
    assert "extra" in loaded
    assert [metric.full_name for metric in loaded["extra"].metrics] == ["redis_extra_things"]


def test_shared_helpers_are_not_collectors() -> None:
    assert list((FOLDER / "support").glob("*.py"))
    assert not {"base", "support"} & collectors.load().keys()


def test_metric_of_two_collectors_is_rejected(add_module: AddModule) -> None:
    add_module("extra", name="extra", metric="slowlog_length")
    with pytest.raises(
        ValueError, match="redis_slowlog_length is claimed twice, by the collectors 'extra' and 'slowlog'"
    ):
        collectors.load()


def test_name_of_two_collectors_is_rejected(add_module: AddModule) -> None:
    add_module("extra", name="info", metric="extra_things")
    with pytest.raises(ValueError, match="two collectors are called 'info'"):
        collectors.load()


def test_loaded_collectors_are_read_only() -> None:
    loaded = collectors.load()
    with pytest.raises(TypeError):
        loaded["other"] = loaded["info"]  # type: ignore[index]


def updated(fields: dict[str, str]) -> Server:
    """Return a server that sent these fields of INFO."""
    server = Server()
    server.update(fields)
    return server


#: For each collector, at least one of these servers can have its data.
SERVERS = (
    Server(local=True, version="7.0.15", software="redis", role="master", mode="standalone"),
    updated({"valkey_version": "9.1.2", "role": "master", "redis_mode": "cluster", "cluster_enabled": "1"}),
    Server(version="7.0.15", software="redis", role="sentinel", mode="sentinel"),
    updated({"redis_version": "1.0", "tile38_version": "1.33.0", "role": "master"}),
    updated({"redis_version": "8.6.0", "role": "master", "redis_mode": "standalone"}),
)


@pytest.mark.parametrize("name", FILES)
def test_every_collector_is_complete(name: str) -> None:
    collector = collectors.load()[name]
    assert collector.name == name
    assert all(isinstance(metric, MetricSpec) for metric in collector.metrics)
    assert collector.default in (True, False)
    assert collector.commands or name == "tile38"  # it has no ACL
    assert all(command == command.lower() and " " not in command for command in collector.commands)
    assert any(collector.applies(server) for server in SERVERS)
    collector.options()  # all options have defaults
    with pytest.raises(ValidationError):
        collector.options.model_validate({"no_such_option": 1})


@pytest.mark.parametrize("name", FILES)
def test_every_collector_has_a_test_and_two_lines_of_example_output(name: str) -> None:
    assert list((ROOT / "tests" / "collectors").glob(f"**/test_{name}.py"))
    doc = sys.modules[type(collectors.load()[name]).__module__].__doc__ or ""
    lines = [line.partition("{")[0].removesuffix("_bucket") for line in doc.splitlines() if line.startswith("redis_")]
    assert len(lines) == 2
    assert set(lines) <= {metric.full_name for metric in collectors.load()[name].metrics}


def test_no_metric_has_the_openmetrics_family_name_of_a_counter() -> None:
    """In OpenMetrics, ``x_total`` belongs to the family ``x``, so no other metric may be called ``x``."""
    metrics = [metric for collector in collectors.load().values() for metric in collector.metrics]
    names = {metric.full_name for metric in metrics}
    totals = {metric.full_name for metric in metrics if metric.kind == "counter"}
    assert not {name for name in totals if name.endswith("_total") and name.removesuffix("_total") in names}
