"""A drop-in: every established name is here, with its type and its labels, and what differs is written down."""

import pytest

from redis_pulse import collectors
from redis_pulse.telemetry import exporter_metrics
from tools.compat import DIFFERENCES, Established, established

ESTABLISHED = established()


def provided() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of every metric of ours, without ``target``, which all of a target bear."""
    rows = [row for collector in collectors.load().values() for row in collector.metrics]
    found: dict[str, tuple[str, frozenset[str]]] = {row.full_name: (row.kind, frozenset(row.labels)) for row in rows}
    families = exporter_metrics.describe_all()
    return found | {family.name: (family.kind, frozenset(family.labels) - {"target"}) for family in families}


PROVIDED = provided()


def test_the_list_is_whole() -> None:
    assert len(ESTABLISHED) == 431


@pytest.mark.parametrize("row", ESTABLISHED.values(), ids=lambda row: row.name)
def test_an_established_metric_is_here_with_its_type_and_labels(row: Established) -> None:
    assert PROVIDED.get(row.name) == (row.kind, row.labels)


def test_every_difference_is_one_of_an_established_name_and_has_one_reason() -> None:
    named = [name for difference in DIFFERENCES for name in difference.names]
    assert len(named) == len(set(named))
    assert set(named) <= ESTABLISHED.keys()
    assert all(difference.reason.endswith(".") and "\n" not in difference.reason for difference in DIFFERENCES)


def test_the_differences_are_few() -> None:
    assert len([name for difference in DIFFERENCES for name in difference.names]) < len(ESTABLISHED) // 10
