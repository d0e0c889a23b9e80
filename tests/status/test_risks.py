"""What will go wrong soon: each risk on samples that the collector of INFO has made."""

from typing import Any

import pytest

from grafana.rules.settings import Settings
from redis_pulse.advice import for_key
from redis_pulse.exposition import render_steps
from redis_pulse.metric import MetricSpec, Sample, gauge
from redis_pulse.sample_store import SampleStore
from redis_pulse.status import find_risks, format_size, risks
from tests.harness import put

NOW = 1_800_000_000.0


def samples(**values: Any) -> Any:
    """Return stored samples. A value is a number, or a pair of labels and a number."""
    found = []
    for name, value in values.items():
        labels, number = value if isinstance(value, tuple) else ({}, value)
        spec: MetricSpec = gauge("X", "x", name, "Text.", labels=tuple(labels))
        found.append(Sample(spec, tuple(labels.values()), number))
    store = SampleStore(render_steps, lambda: 0.0)
    put(store, "t", "info", found, 10)
    return store.fresh("t", "info")


def policy(name: str) -> tuple[dict[str, str], float]:
    return {"maxmemory_policy": name}, 1.0


def keys(**values: Any) -> list[str]:
    return [risk.key for risk in find_risks(samples(**values), NOW, None)]


def test_limits_are_those_of_the_alerts() -> None:
    settings = Settings()
    limits = (risks.MEMORY, risks.CONNECTIONS, risks.LAG_BYTES, risks.LAG_SECONDS)
    assert limits == (settings.memory, settings.connections, settings.lag_bytes, settings.lag_seconds)


def test_healthy_server_has_no_risk() -> None:
    assert keys(memory_used_bytes=1e9, memory_max_bytes=0.0, connected_clients=3, max_clients=10000) == []
    assert find_risks(None, NOW, None) == ()


@pytest.mark.parametrize(
    ("used", "name", "expected"),
    [
        (89.0, "noeviction", []),
        (96.0, "noeviction", ["memory"]),
        (101.0, "noeviction", ["oom"]),
        (96.0, "allkeys-lru", []),
    ],
)
def test_memory_is_a_risk_if_nothing_is_evicted(used: float, name: str, expected: list[str]) -> None:
    assert keys(memory_used_bytes=used, memory_max_bytes=100.0, instance_info=policy(name)) == expected


def test_link_that_is_down_is_a_risk_unless_the_dataset_is_received() -> None:
    master = {"master_host": "10.0.0.1", "master_port": "6379"}
    down = {"master_link_up": (master, 0.0), "master_link_down_since_seconds": (master, 40.0)}
    (risk,) = find_risks(samples(**down), NOW, None)
    assert (risk.key, risk.values) == ("replication", {"master": "10.0.0.1:6379", "seconds": "40"})
    assert keys(**down, master_sync_in_progress=(master, 1.0)) == []


def test_replica_that_lags_is_a_risk_of_its_primary() -> None:
    replica = {"slave_ip": "10.0.0.2", "slave_port": "6379"}
    assert keys(replica_lag_bytes=(replica, 1e8), replica_lag_seconds=(replica, 1.0)) == ["replication.lag"]
    assert keys(replica_lag_bytes=(replica, 1e3), replica_lag_seconds=(replica, 1.0)) == []


def test_failed_save_and_few_connections_are_risks() -> None:
    assert keys(rdb_last_bgsave_status=0.0, connected_clients=9000, max_clients=10000) == [
        "persistence",
        "maxclients.near",
    ]


def test_certificate_that_ends_within_two_weeks_is_a_risk() -> None:
    (risk,) = find_risks(None, NOW, NOW + 3 * 86400)
    assert (risk.key, risk.values["days"]) == ("certificate", "3")
    assert find_risks(None, NOW, NOW + 15 * 86400) == ()


def test_texts_of_each_risk_have_all_their_values() -> None:
    """A placeholder without a value would be shown as its name in capitals."""
    replica, master = {"slave_ip": "a", "slave_port": "1"}, {"master_host": "a", "master_port": "1"}
    found = find_risks(
        samples(
            memory_used_bytes=96.0,
            memory_max_bytes=100.0,
            instance_info=policy("noeviction"),
            master_link_up=(master, 0.0),
            replica_lag_bytes=(replica, 1e9),
            aof_last_write_status=0.0,
            connected_clients=9999,
            max_clients=10000,
        ),
        NOW,
        NOW + 1,
    )
    assert len(found) == 6
    for risk in found:
        why = for_key(risk.key).fill(risk.values).why
        assert not {word for word in why.split() if word.isupper() and len(word) > 2} - {"TLS", "UTC."}, why


@pytest.mark.parametrize(
    ("count", "text"), [(12, "12 B"), (2048, "2.0 KiB"), (8.0 * 2**30, "8.0 GiB"), (2**41, "2.0 TiB")]
)
def test_sizes_have_readable_units(count: float, text: str) -> None:
    assert format_size(count) == text
