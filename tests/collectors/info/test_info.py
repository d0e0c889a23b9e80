from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from redis_pulse.collectors import commandstats, errorstats, latencystats, modules, tile38
from redis_pulse.collectors.info import COLLECTOR, INFO_METRICS, INSTANCE, InfoCollector, InfoOptions
from redis_pulse.errors import EmptyReplyError
from redis_pulse.metric import MetricSpec, Sample, UnreadableField
from redis_pulse.parse.info import SECTIONS, parse_info
from redis_pulse.server_info import Server
from tests import recordings
from tests.fakes import FakeCommands, ManualClock, every_info

HERE = Path(__file__).parents[1]
#: Name → kind and labels of each metric of redis_exporter, which existing dashboards use.
ESTABLISHED = {
    name: (kind, labels)
    for name, kind, labels in (line.split("\t") for line in (HERE / "established.tsv").read_text().splitlines())
}
#: Labels that redis_exporter does not have.
ADDED_LABELS = {"redis_instance_info": ("availability_zone", "software", "version", "managed_service")}
#: INFO field, name and kind of those that are one field. The fields of a Tile38 come from SERVER EXT.
ESTABLISHED_FIELDS = [tuple(line.split("\t")) for line in (HERE / "established-info.tsv").read_text().splitlines()]
#: Those that are computed from several fields, or have labels.
ESTABLISHED_OTHERS = [
    "instance_info",
    "start_time_seconds",
    "hz",
    "configured_hz",
    "total_system_memory_bytes",
    "db_keys",
    "db_keys_expiring",
    "db_avg_ttl_seconds",
    "db_keys_cached",
    "slave_info",
    "master_link_up",
    "master_last_io_seconds_ago",
    "master_sync_in_progress",
    "slave_repl_offset",
    "connected_slave_offset_bytes",
    "connected_slave_lag_seconds",
    "cluster_enabled",
    "cluster_connections",
    "active_time_io_thread_seconds_total",
    "commands_total",
    "commands_duration_seconds_total",
    "commands_rejected_calls_total",
    "commands_failed_calls_total",
    "errors_total",
    "latency_percentiles_usec",
    "module_info",
]
#: All metrics from INFO.
METRICS: list[MetricSpec] = [
    metric
    for collector in (
        COLLECTOR,
        *(each.COLLECTOR for each in (commandstats, errorstats, latencystats, modules, tile38)),
    )
    for metric in collector.metrics
]

Values = dict[tuple[str, ...], float]


async def read(
    reply: Any, server: Server | None = None, collector: InfoCollector = COLLECTOR, **options: Any
) -> tuple[Values, list[str]]:
    """Return the values by name (without prefix) and labels, and the locations of unreadable fields.

    The server sends the same reply to each form of INFO. For a reply without any field return the location ``INFO``.
    """
    chosen = InfoOptions(**({"empty_databases": 1} | options))
    try:
        items = list(await collector.collect(server or Server(), FakeCommands(every_info(reply)), chosen))
    except EmptyReplyError:
        return {}, ["INFO"]
    samples = [sample for sample in items if isinstance(sample, Sample)]
    values = {(sample.metric.name, *sample.labels): sample.value for sample in samples}
    assert len(values) == len(samples), "duplicate series"
    return values, [part.location for part in items if isinstance(part, UnreadableField)]


# INFO_METRICS compared with redis_exporter


@pytest.mark.parametrize(
    "metric", [metric for metric in METRICS if metric.full_name in ESTABLISHED], ids=lambda metric: metric.name
)
def test_metric_of_redis_exporter_has_its_type_and_labels(metric: MetricSpec) -> None:
    labels = [label for label in metric.labels if label not in ADDED_LABELS.get(metric.full_name, ())]
    assert (metric.kind, ",".join(labels)) == ESTABLISHED[metric.full_name]


@pytest.mark.parametrize(("field", "name", "kind"), ESTABLISHED_FIELDS)
def test_each_field_of_redis_exporter_has_its_metric(field: str, name: str, kind: str) -> None:
    assert [metric.kind for metric in METRICS if metric.field == field and metric.full_name == name] == [kind]


def test_each_metric_of_redis_exporter_from_several_fields_exists() -> None:
    assert set(ESTABLISHED_OTHERS) <= {metric.name for metric in METRICS}


def test_metrics_of_one_field_have_the_same_section() -> None:
    """So the search in other sections never finds another field of the same name."""
    sections: dict[str, str] = {}
    for metric in INFO_METRICS:
        assert sections.setdefault(metric.field, metric.section) == metric.section, metric.field


@pytest.mark.parametrize("server", recordings.SERVERS)
@pytest.mark.parametrize("role", recordings.ROLES)
def test_metric_has_the_section_in_which_real_servers_write_its_field(server: str, role: str) -> None:
    info = parse_info(recordings.info(server, role).decode())
    for metric in INFO_METRICS:
        assert {section for section, fields in info.items() if metric.field in fields} <= {metric.section}, metric.name


# Real servers


@pytest.mark.parametrize("server", recordings.SERVERS)
@pytest.mark.parametrize("role", recordings.ROLES)
async def test_real_replies_are_read_completely(server: str, role: str) -> None:
    values, unreadable = await read(recordings.info(server, role))
    assert unreadable == []
    assert len(values) > {"info": 130, "info-replica": 130, "info-sentinel": 60}[role]
    assert values["start_time_seconds",] > 1.7e9
    if role != "info-sentinel":
        assert (values["db_keys", "db0"], values["db_keys", "db3"]) == (53 if server.endswith("-modules") else 50, 1)
        assert values["cluster_enabled",] == 0


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_primary_reports_its_replica(server: str) -> None:
    values, _ = await read(recordings.info(server))
    assert values["role", "master"] == 1
    assert values["role", "slave"] == values["role", "sentinel"] == 0
    [offset] = [value for (name, *_), value in values.items() if name == "connected_slave_offset_bytes"]
    assert 0 < offset <= values["master_repl_offset",]
    [(address, lag)] = [(labels, value) for (name, *labels), value in values.items() if name == "replica_lag_bytes"]
    assert lag == values["master_repl_offset",] - offset
    assert values["replica_lag_seconds", *address] in (0, 1)
    assert values["memory_maxmemory_ratio",] == values["memory_used_bytes",] / 2**30
    [(ip, port, state)] = [labels for name, *labels in values if name == "connected_slave_lag_seconds"]
    assert (ip, state) == ("127.0.0.1", "online")
    assert port.isdigit()
    assert values["db_keys_expiring", "db0"] == 10
    assert 3000 < values["db_avg_ttl_seconds", "db0"] <= 3600
    assert not any(name.startswith(("slave_info", "master_link")) for name, *_ in values)


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_replica_reports_its_master(server: str) -> None:
    values, _ = await read(recordings.info(server, "info-replica"))
    [(host, port, read_only)] = [labels for name, *labels in values if name == "slave_info"]
    assert (host, read_only) == ("127.0.0.1", "1")
    assert values["role", "slave"] == 1
    assert values["master_link_up", host, port] == 1
    assert values["master_last_io_seconds_ago", host, port] >= 0
    assert values["master_sync_in_progress", host, port] == 0
    assert values["slave_repl_offset", host, port] > 0


@pytest.mark.parametrize("server", recordings.SERVERS)
async def test_sentinel_has_a_role_although_its_info_has_none(server: str) -> None:
    server_info = Server()
    values, _ = await read(recordings.info(server, "info-sentinel"), server_info)
    assert values["role", "sentinel"] == 1
    assert (server_info.role, server_info.mode) == ("sentinel", "sentinel")


async def test_valkey_is_identified_by_its_own_version() -> None:
    values, _ = await read(recordings.info("valkey-9.1.2"), server := Server())
    [labels] = [labels for name, *labels in values if name == "instance_info"]
    identity = dict(zip(INSTANCE.labels, labels, strict=True))
    assert (identity["redis_version"], identity["valkey_version"]) == ("7.2.4", "9.1.2")
    assert (identity["redis_mode"], identity["role"], identity["valkey_release_stage"]) == (
        "standalone",
        "master",
        "ga",
    )
    assert (server.software, server.version) == ("valkey", "9.1.2")


async def test_labels_that_only_valkey_reports_are_empty_for_redis() -> None:
    values, _ = await read(recordings.info("redis-7.0.15"))
    [labels] = [labels for name, *labels in values if name == "instance_info"]
    identity = dict(zip(INSTANCE.labels, labels, strict=True))
    assert identity["redis_version"] == "7.0.15"
    for label in ("valkey_version", "valkey_release_stage", "availability_zone"):
        assert identity[label] == ""


@pytest.mark.parametrize(("server", "keys"), [("redis-8.2.3", 1), ("valkey-9.1.2", 1)])
async def test_keys_with_expiring_fields_are_not_mistaken_for_cached_ones(server: str, keys: int) -> None:
    """Redis and Valkey add a fourth pair with different names. The fourth pair of KeyDB has another meaning."""
    values, _ = await read(recordings.info(server))
    assert values["db_keys_with_expiring_items", "db3"] == keys
    assert not any(name == "db_keys_cached" for name, *_ in values)


async def test_each_io_thread_has_its_own_series() -> None:
    values, _ = await read("# CPU\r\nused_active_time_io_thread_1:0.5\r\nused_active_time_io_thread_12:1.25\r\n")
    assert values["active_time_io_thread_seconds_total", "1"] == 0.5
    assert values["active_time_io_thread_seconds_total", "12"] == 1.25


# Units, words, sections


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("# Stats\r\nlatest_fork_usec:670", "latest_fork_seconds", 0.00067),
        ("# Stats\r\nexpire_cycle_cpu_milliseconds:1500", "expire_cycle_cpu_time_ms_total", 1500),
        ("# Stats\r\nexpire_cycle_cpu_milliseconds:1500", "expire_cycle_cpu_seconds_total", 1.5),
        ("# Persistence\r\nrdb_last_bgsave_status:ok", "rdb_last_bgsave_status", 1),
        ("# Persistence\r\nrdb_last_bgsave_status:err", "rdb_last_bgsave_status", 0),
        ("# Persistence\r\nrdb_last_bgsave_time_sec:-1", "rdb_last_bgsave_duration_sec", -1),
        ("# Memory\r\nmem_fragmentation_bytes:-5120", "mem_fragmentation_bytes", -5120),
        ("# Stats\r\nexpired_stale_perc:0.25", "expired_stale_percentage", 0.25),
        ("# Clients\nmaxclients:10000", "max_clients", 10000),
    ],
)
async def test_field_is_published_in_the_unit_of_its_name(line: str, name: str, value: float) -> None:
    values, unreadable = await read(line)
    assert values[name,] == pytest.approx(value)
    assert not unreadable


async def test_field_in_another_section_is_read() -> None:
    """Redis Enterprise, Dragonfly and others group fields differently, or not at all."""
    assert (await read("# Clients\nused_memory:7\n"))[0]["memory_used_bytes",] == 7
    assert (await read("used_memory:7\n"))[0]["memory_used_bytes",] == 7
    assert (await read("# MEMORY\nused_memory:7\n"))[0]["memory_used_bytes",] == 7


async def test_section_of_the_definition_comes_first() -> None:
    values, _ = await read("# Server\nused_memory:1\n# Memory\nused_memory:2\n# Stats\nused_memory:3\n")
    assert values["memory_used_bytes",] == 2


@pytest.mark.parametrize("section", ["Commandstats", "Modules", "used_version", "Errorstats", "Keyspace", "Keysizes"])
async def test_sections_with_names_chosen_by_users_are_not_searched(section: str) -> None:
    values, _ = await read(
        f"# Server\nhz:10\n# {section}\nused_memory:7\nslave0:ip=h,port=1,state=online,offset=1,lag=0\n"
    )
    assert not {"memory_used_bytes", "connected_slave_offset_bytes"} & {name for name, *_ in values}


async def test_missing_or_empty_field_gives_no_sample() -> None:
    values, unreadable = await read("# Memory\r\nused_memory:\r\nmaxmemory:0\r\n")
    assert values == {("memory_max_bytes",): 0}
    assert not unreadable


async def test_memory_ratio_exists_only_with_a_limit() -> None:
    """Most servers have the limit 0, and a division by 0 would give infinity."""
    assert (await read("# Memory\nused_memory:25\nmaxmemory:100\n"))[0]["memory_maxmemory_ratio",] == 0.25
    for limit in ("0", "", "-5", "none"):
        assert ("memory_maxmemory_ratio",) not in (await read(f"# Memory\nused_memory:25\nmaxmemory:{limit}\n"))[0]
    assert ("memory_maxmemory_ratio",) not in (await read("# Memory\nmaxmemory:100\n"))[0]


async def test_active_replica_has_both_roles() -> None:
    """An active replica of KeyDB accepts writes like a master, and follows a master."""
    values, _ = await read("# Replication\nrole:active-replica\n")
    assert [values["role", role] for role in ("master", "slave", "sentinel")] == [1, 1, 0]


@pytest.mark.parametrize("section", ["KeyDB", "Stats", "CPU"])
async def test_fields_of_keydb_are_read_in_any_section(section: str) -> None:
    fields = "server_threads:2\nlong_lock_waits:7\ncurrent_client_thread:1\nstorage_provider_read_hits:5\n"
    values, unreadable = await read(f"# {section}\n{fields}")
    assert values == {
        ("server_threads_total",): 2,
        ("long_lock_waits_total",): 7,
        ("lock_waits_long_total",): 7,
        ("current_client_thread",): 1,
        ("storage_provider_read_hits",): 5,
    }
    assert not unreadable


async def test_labels_that_change_at_a_restart_can_be_empty() -> None:
    server = "# Server\nredis_version:7.0.15\nrun_id:abc\nprocess_id:5\n"
    values, _ = await read(server, instance_labels=("redis_version",))
    [labels] = [labels for name, *labels in values if name == "instance_info"]
    assert dict(zip(INSTANCE.labels, labels, strict=True)) == {
        label: "7.0.15" if label == "redis_version" else "" for label in INSTANCE.labels
    }
    with pytest.raises(ValidationError):
        InfoOptions.model_validate({"instance_labels": ["hostname"]})


# Replicas, master, databases


async def test_replicas_are_labelled_with_address_and_state() -> None:
    values, unreadable = await read(
        "# Replication\r\nrole:master\r\n"
        "slave0:ip=10.0.0.7,port=6379,state=online,offset=2228,lag=0\r\n"
        "slave1:ip=fe80::1,port=6379,state=wait_bgsave,offset=0,lag=-1,type=replica\r\n"
        "slave2:ip=10.0.0.8,port=6379,state=online,offset=9\r\n"
        "slave_priority:100\r\n"
    )
    assert not unreadable
    assert {key: value for key, value in values.items() if key[0].startswith("connected_slave_")} == {
        ("connected_slave_offset_bytes", "10.0.0.7", "6379", "online"): 2228,
        ("connected_slave_lag_seconds", "10.0.0.7", "6379", "online"): 0,
        ("connected_slave_offset_bytes", "fe80::1", "6379", "wait_bgsave"): 0,
        ("connected_slave_offset_bytes", "10.0.0.8", "6379", "online"): 9,
    }


async def test_replicas_with_the_same_address_make_one_series() -> None:
    line = "ip=10.0.0.7,port=6379,state=online,offset={},lag=0"
    values, unreadable = await read(f"# Replication\nslave0:{line.format(5)}\nslave1:{line.format(6)}\n")
    assert values["connected_slave_offset_bytes", "10.0.0.7", "6379", "online"] == 5
    assert unreadable == ["Replication/slaveN"]


async def test_replica_reports_that_its_link_is_down() -> None:
    values, _ = await read(
        "# Replication\nrole:slave\nmaster_host:::1\nmaster_port:6379\nmaster_link_status:down\n"
        "master_last_io_seconds_ago:-1\nmaster_link_down_since_seconds:33\nslave_repl_offset:1\n"
    )
    assert values["master_link_up", "::1", "6379"] == 0
    assert values["master_last_io_seconds_ago", "::1", "6379"] == -1
    assert values["master_link_down_since_seconds", "::1", "6379"] == 33


async def test_pairs_of_a_database_are_read_by_name_in_any_order() -> None:
    values, _ = await read("# Keyspace\ndb7:avg_ttl=1500,new=5,cached_keys=2,keys=4,expires=3\n")
    assert {key: value for key, value in values.items() if key[-1] == "db7"} == {
        ("db_keys", "db7"): 4,
        ("db_keys_expiring", "db7"): 3,
        ("db_avg_ttl_seconds", "db7"): 1.5,
        ("db_keys_cached", "db7"): 2,
    }


async def test_unreadable_database_line_does_not_affect_others() -> None:
    values, unreadable = await read("# Keyspace\ndb0:keys=x,expires=1\ndb1:none\ndb2:keys=2\ndbx:keys=9\n")
    assert values == {("db_keys_expiring", "db0"): 1, ("db_keys", "db2"): 2}
    assert unreadable == ["Keyspace/dbN:keys"] * 2


async def test_empty_server_has_zero_keys_instead_of_no_sample() -> None:
    values, _ = await read("# Server\r\nhz:10\r\n# Keyspace\r\n")
    assert values == {("hz",): 10, ("db_keys", "db0"): 0, ("db_keys_expiring", "db0"): 0}
    assert (await read("# Server\r\nhz:10\r\n"))[0] == {("hz",): 10}


async def test_configured_number_of_empty_databases_is_published() -> None:
    values, _ = await read("# Keyspace\ndb1:keys=5,expires=1\n", empty_databases=3)
    assert {key: value for key, value in values.items() if key[0] == "db_keys"} == {
        ("db_keys", "db0"): 0,
        ("db_keys", "db1"): 5,
        ("db_keys", "db2"): 0,
    }
    assert (await read("# Server\nhz:10\n# Keyspace\n", empty_databases=0))[0] == {("hz",): 10}
    assert InfoOptions().empty_databases == 16  # the default of the server's `databases`


async def test_cluster_node_has_one_database() -> None:
    values, _ = await read("# Server\nredis_mode:cluster\n# Keyspace\n", empty_databases=16)
    assert [db for name, *labels in values if name == "db_keys" for db in labels] == ["db0"]


# Start time


def server_section(now_usec: int | None, uptime: int, run_id: str = "a") -> str:
    clock = "" if now_usec is None else f"server_time_usec:{now_usec}\n"
    return f"# Server\nrun_id:{run_id}\n{clock}uptime_in_seconds:{uptime}\n"


async def test_start_time_comes_from_the_clock_of_the_server() -> None:
    """Its whole seconds minus its uptime are exact, whatever the local clock shows."""
    for late in (0, 1, 499_999, 999_999):
        values, _ = await read(
            server_section(1_795_380_100_000_000 + late, 100), collector=InfoCollector(ManualClock(5.0))
        )
        assert values["start_time_seconds",] == 1_795_380_000


async def test_start_time_is_stable_when_computed_from_the_local_clock() -> None:
    clock, server = ManualClock(1_795_380_000.0), Server()
    seen = set()
    for tenth in range(100):
        values, _ = await read(server_section(None, tenth // 10), server, InfoCollector(clock))
        seen.add(values["start_time_seconds",])
        clock.advance(0.1)
    assert seen == {1_795_380_000.0}


async def test_restart_changes_the_start_time_immediately() -> None:
    server, collector = Server(), InfoCollector(ManualClock(1000.0))
    first, _ = await read(server_section(None, 100, "a"), server, collector)
    restarted, _ = await read(server_section(None, 99, "b"), server, collector)
    assert restarted["start_time_seconds",] == first["start_time_seconds",] + 1


async def test_unreadable_uptime_affects_only_the_start_time() -> None:
    values, unreadable = await read("# Server\nuptime_in_seconds:long\nhz:10\n")
    assert values == {("hz",): 10}
    assert unreadable == ["Server/uptime_in_seconds", "Server/server_time_usec"]


# Malformed replies


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "1_000", " 1", "0x10", "1e999", "٣", "4294967296M", "ok!", "1,5"]
)
async def test_field_without_a_number_does_not_affect_others(text: str) -> None:
    values, unreadable = await read(f"# Clients\r\nconnected_clients:{text}\r\nblocked_clients:3\r\n")
    assert values == {("blocked_clients",): 3}
    assert unreadable == ["Clients/connected_clients"]


@pytest.mark.parametrize("reply", [None, 5, [], [b"# Server"], b"", b"\x00\xff", "no field at all"])
async def test_reply_that_is_not_info_is_an_error_and_changes_nothing(reply: Any) -> None:
    server = Server(version="7.0.15", role="master", run_id="a")
    assert await read(reply, server) == ({}, ["INFO"])
    assert (server.version, server.role) == ("7.0.15", "master")


async def test_invalid_utf8_does_not_affect_other_fields() -> None:
    values, unreadable = await read(b"# Server\r\nos:\xff\xfe\r\nhz:10\r\n")
    assert values["hz",] == 10
    assert any("\ufffd\ufffd" in labels for name, *labels in values if name == "instance_info")
    assert not unreadable


_LINES = recordings.info("valkey-9.1.2").decode().split("\r\n") + recordings.info(
    "redis-8.2.3", "info-replica"
).decode().split("\r\n")
_FIELDS = sorted({line.partition(":")[0] for line in _LINES if ":" in line} | {"slave1", "slave", "db1", "db", "db٣"})
_VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["nan", "inf", "-1", "1_0", "99999999999999999999", "1e308", "9" * 400, "up", "ok", "", "0"]),
    st.lists(
        st.tuples(st.sampled_from(["keys", "expires", "avg_ttl", "ip", "port", "offset", "lag"]), st.text(max_size=4))
    ).map(lambda pairs: ",".join(f"{key}={value}" for key, value in pairs)),
)
_MALFORMED = st.lists(
    st.one_of(
        st.sampled_from(_LINES),
        st.builds("{}:{}".format, st.sampled_from(_FIELDS), _VALUES),
        st.builds("# {}".format, st.sampled_from(sorted(SECTIONS.values())) | st.text(max_size=8)),
        st.text(max_size=20),
    ),
    max_size=60,
)


@given(_MALFORMED, st.sampled_from(["\r\n", "\n"]))
async def test_any_text_is_read_without_an_exception(lines: list[str], end: str) -> None:
    values, unreadable = await read(
        end.join(lines).encode("utf-8", errors="surrogatepass"), Server(), InfoCollector(ManualClock())
    )
    assert all(isinstance(value, float) and abs(value) < float("inf") for value in values.values())
    assert all("/" in location or location == "INFO" for location in unreadable)


@given(st.binary(max_size=200) | st.none() | st.integers() | st.lists(st.none()))
async def test_any_reply_is_read_without_an_exception(reply: Any) -> None:
    values, unreadable = await read(reply)
    assert values or unreadable


@given(st.data())
async def test_malformed_line_of_a_real_reply_does_not_affect_others(data: st.DataObject) -> None:
    lines = recordings.info("redis-7.0.15").decode().split("\r\n")
    numbers = [n for n, line in enumerate(lines) if line.partition(":")[0] in {m.field for m in INFO_METRICS}]
    malformed = data.draw(st.sampled_from(numbers))
    field = lines[malformed].partition(":")[0]
    before, _ = await read("\r\n".join(lines))
    lines[malformed] = f"{field}:{data.draw(st.sampled_from(['nan', '1_0', 'x', '--1', '0b1']))}"
    values, unreadable = await read("\r\n".join(lines))
    lost = {(metric.name,) for metric in INFO_METRICS if metric.field == field} | {("start_time_seconds",)}
    if field in ("used_memory", "maxmemory"):
        lost.add(("memory_maxmemory_ratio",))
    from_several_fields = {"instance_info"} | ({"replica_lag_bytes"} if field == "master_repl_offset" else set())
    kept = {key for key in before if key not in lost and key[0] not in from_several_fields}
    assert kept <= values.keys()
    assert all(values[key] == before[key] for key in kept)
    assert f"{field}" in unreadable[0]


def test_each_server_has_info() -> None:
    assert COLLECTOR.applies(Server(mode="sentinel"))


async def test_underflow_of_an_unsigned_number_is_left_out_and_counted_once() -> None:
    """An idle Redis 8.2 reports one at each poll. A permanent alert would not help any user."""
    server, text = Server(), "# Server\nrun_id:%s\n# Memory\nused_memory_dataset:18446744073709525176\nmaxmemory:0\n"
    for run_id, unreadable in (("a", ["Memory/used_memory_dataset"]), ("a", []), ("b", ["Memory/used_memory_dataset"])):
        values, locations = await read(text % run_id, server)
        assert ("memory_used_dataset_bytes",) not in values
        assert locations == unreadable


@pytest.mark.parametrize(
    "text", ["# Server\r\n# Memory\r\n", "# Server\r\nunknown:1\r\n", "# Memory\r\nused_memory:N/A\r\n"]
)
async def test_reply_without_any_known_field_is_an_error(text: str) -> None:
    """Otherwise a target without any metric would look healthy."""
    assert await read(text) == ({}, ["INFO"])
