"""Drop-in replacement: each metric of redis_exporter exists with its type and labels; differences are documented."""

import pytest

from redis_pulse import collectors
from redis_pulse.telemetry import exporter_metrics
from tools.compat import DIFFERENCES, Established, read_established

ESTABLISHED = read_established()


def provided() -> dict[str, tuple[str, frozenset[str]]]:
    """Return type and labels of all our metrics, without the label ``target``."""
    metrics = [metric for collector in collectors.load().values() for metric in collector.metrics]
    kinds_and_labels: dict[str, tuple[str, frozenset[str]]] = {
        metric.full_name: (metric.kind, frozenset(metric.labels)) for metric in metrics
    }
    families = exporter_metrics.describe_all()
    return kinds_and_labels | {family.name: (family.kind, frozenset(family.labels) - {"target"}) for family in families}


PROVIDED = provided()
#: Labels that redis_exporter does not have; ``tools/compat.py`` lists them.
ADDED_LABELS = {"redis_instance_info": frozenset({"availability_zone", "software", "version", "managed_service"})}


def test_list_is_complete() -> None:
    assert len(ESTABLISHED) == 431


@pytest.mark.parametrize("metric", ESTABLISHED.values(), ids=lambda metric: metric.name)
def test_metric_of_redis_exporter_exists_with_its_type_and_labels(metric: Established) -> None:
    kind, labels = PROVIDED[metric.name]
    assert (kind, labels - ADDED_LABELS.get(metric.name, frozenset())) == (metric.kind, metric.labels)


def test_each_difference_is_of_a_redis_exporter_metric_with_one_reason() -> None:
    names = [name for difference in DIFFERENCES for name in difference.names]
    assert len(names) == len(set(names))
    assert set(names) <= ESTABLISHED.keys()
    assert all(difference.reason.endswith(".") and "\n" not in difference.reason for difference in DIFFERENCES)


def test_differences_are_few() -> None:
    assert len([name for difference in DIFFERENCES for name in difference.names]) < len(ESTABLISHED) // 10
