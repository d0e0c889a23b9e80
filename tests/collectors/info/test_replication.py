"""Masters of a replica and lag of replicas, in the unusual forms of INFO."""

from redis_pulse.collectors.info.replication import read_masters, read_replicas
from redis_pulse.metric import Sample

Values = dict[tuple[str, ...], float]


def masters(text: str) -> tuple[Values, int]:
    """Return the values by name and labels, and the number of unreadable parts."""
    items = list(read_masters(dict(line.split(":", 1) for line in text.split())))
    samples = [one for one in items if isinstance(one, Sample)]
    return {(one.metric.name, *one.labels): one.value for one in samples}, len(items) - len(samples)


def lags(*lines: str, primary_offset: str = "1000") -> tuple[Values, int]:
    """Return the lag of each replica, and the number of unreadable parts."""
    items = list(read_replicas({f"slave{number}": line for number, line in enumerate(lines)}, primary_offset))
    samples = [one for one in items if isinstance(one, Sample)]
    values = {(one.metric.name, *one.labels): one.value for one in samples if one.metric.name.startswith("replica_")}
    return values, len(items) - len(samples)


def test_each_of_several_masters_has_its_own_series() -> None:
    """KeyDB writes the offset without a number after each master, so it belongs to the last one."""
    values, bad = masters(
        "role:active-replica master_host:10.0.0.1 master_port:6379 master_link_status:up master_last_io_seconds_ago:3 "
        "master_sync_in_progress:0 slave_read_only:0 master_1_host:fe80::2 master_1_port:6380 "
        "master_1_link_status:down master_1_last_io_seconds_ago:-1 master_1_sync_in_progress:1 slave_repl_offset:77"
    )
    first, second = ("10.0.0.1", "6379"), ("fe80::2", "6380")
    assert values == {
        ("slave_info", *first, "0"): 1,
        ("master_link_up", *first): 1,
        ("master_last_io_seconds_ago", *first): 3,
        ("master_sync_in_progress", *first): 0,
        ("slave_info", *second, "0"): 1,
        ("master_link_up", *second): 0,
        ("master_last_io_seconds_ago", *second): -1,
        ("master_sync_in_progress", *second): 1,
        ("slave_repl_offset", *second): 77,
    }
    assert not bad


def test_full_resynchronisation_has_a_progress() -> None:
    """The size is not known while the master sends the dataset without a file. Then the rest is negative."""
    values, bad = masters(
        "master_host:a master_port:1 master_link_status:down master_last_io_seconds_ago:-1 master_sync_in_progress:1 "
        "slave_read_repl_offset:0 slave_repl_offset:0 master_sync_total_bytes:0 master_sync_read_bytes:4096 "
        "master_sync_left_bytes:-4096 master_sync_perc:12.50 master_sync_last_io_seconds_ago:3 "
        "master_current_sync_attempts:2 master_total_sync_attempts:5 total_disconnect_time_sec:9"
    )
    progress = {name: value for (name, *_), value in values.items() if "sync_" in name or "disconnected" in name}
    assert progress == {
        "master_sync_in_progress": 1,
        "master_sync_total_bytes": 0,
        "master_sync_read_bytes": 4096,
        "master_sync_left_bytes": -4096,
        "master_sync_percentage": 12.5,
        "master_sync_last_io_seconds_ago": 3,
        "master_current_sync_attempts": 2,
        "master_sync_attempts_total": 5,
        "master_disconnected_seconds_total": 9,
    }
    assert not bad


def test_numbered_offset_belongs_to_its_master() -> None:
    values, _ = masters("master_host:a master_port:1 slave_repl_offset:5 master_1_host:b slave_1_repl_offset:6")
    assert values["slave_repl_offset", "b", ""] == 6
    assert ("slave_repl_offset", "a", "1") not in values


def test_duplicate_master_makes_one_series() -> None:
    values, bad = masters("master_host:a master_port:1 master_1_host:a master_1_port:1 master_2_link_status:up")
    assert values == {("slave_info", "a", "1", ""): 1}
    assert bad == 1


def test_primary_has_no_master() -> None:
    assert masters("role:master connected_slaves:0 master_repl_offset:5 master_failover_state:no-failover") == ({}, 0)


def test_lag_is_the_difference_of_offset_and_acknowledged_offset() -> None:
    values, bad = lags(
        "ip=10.0.0.7,port=6379,state=online,offset=900,lag=1", "ip=10.0.0.8,port=6379,state=online,offset=1000,lag=0"
    )
    assert values == {
        ("replica_lag_bytes", "10.0.0.7", "6379"): 100,
        ("replica_lag_seconds", "10.0.0.7", "6379"): 1,
        ("replica_lag_bytes", "10.0.0.8", "6379"): 0,
        ("replica_lag_seconds", "10.0.0.8", "6379"): 0,
    }
    assert not bad


def test_replica_ahead_of_its_primary_has_no_lag() -> None:
    """The server may write the line of a replica after its own offset."""
    assert lags("ip=h,port=1,state=online,offset=1001")[0] == {("replica_lag_bytes", "h", "1"): 0}


def test_replica_that_receives_the_dataset_has_no_lag() -> None:
    """Its offset is 0 meanwhile, so its lag would be the whole history."""
    assert lags("ip=h,port=1,state=wait_bgsave,offset=0,lag=0", "ip=h,port=2,state=send_bulk,offset=0,lag=0")[0] == {}


def test_unreadable_offsets_give_no_lag() -> None:
    assert lags("ip=h,port=1,state=online,offset=x,lag=1") == ({("replica_lag_seconds", "h", "1"): 1}, 1)
    assert lags("ip=h,port=1,state=online,offset=5", primary_offset="x")[0] == {}
    assert lags("ip=h,port=1,state=online,offset=5", primary_offset="")[0] == {}
    assert lags("ip=h,port=1,state=online,lag=-1")[0] == {}
