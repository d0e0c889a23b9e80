"""List the deliberate differences from redis_exporter, for docs/compatibility.md and bench/compare_exporters.py."""
# ruff: noqa: E501 - a row is one line

from pathlib import Path
from typing import NamedTuple

from redis_pulse.collectors.clients import ClientsOptions
from redis_pulse.collectors.latency_histogram import SLOW_SHARE, LatencyHistogramOptions
from redis_pulse.collectors.latencystats import LatencyStatsOptions

ROOT = Path(__file__).parents[1]
#: Name, type and label keys of every metric of redis_exporter 1.86. Each line is one metric, with tabs between the fields.
ESTABLISHED_LIST = ROOT / "tests" / "collectors" / "established.tsv"


class Established(NamedTuple):
    """One metric of redis_exporter."""

    name: str
    kind: str
    labels: frozenset[str]


class Difference(NamedTuple):
    """Metric names with one deliberate difference.

    ``kinds`` lists the differences that ``bench/compare.py`` may find, with its words:

    - ``missing``: the whole family is missing, in a state of the server that the reason names,
    - ``labels``: the label keys differ,
    - ``series``: one page has series that the other page lacks,
    - ``value``: the values differ.

    Without ``kinds`` it must find no difference, because the difference is visible elsewhere. A type never differs.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    reason: str


def read_established() -> dict[str, Established]:
    """Return every metric of redis_exporter, by name."""
    rows = (line.split("\t") for line in ESTABLISHED_LIST.read_text(encoding="utf-8").splitlines())
    return {name: Established(name, kind, frozenset(filter(None, keys.split(",")))) for name, kind, keys in rows}


# fmt: off
DIFFERENCES: tuple[Difference, ...] = (
    Difference(("redis_up",), (), "1 while the newest PING was answered in time. It turns 0 within a second, also while a server hangs, and stays 1 where only INFO is denied. There it is 1 while a whole scrape works. redis_collector_success shows which part works."),
    Difference(("redis_start_time_seconds",), ("value",), "Computed from the server's clock and kept until it restarts, so that changes() counts restarts. There it varies by a second."),
    Difference(("redis_instance_info",), ("labels",), "The role of a Sentinel is sentinel; there it is empty. valkey_version and valkey_release_stage are filled where the server reports them. availability_zone is one label more."),
    Difference(("redis_db_keys", "redis_db_keys_expiring"), ("missing",), "A Sentinel has no databases, so no series. Elsewhere the first 16 databases are shown even while they are empty (option empty_databases of info). The number of databases is not requested."),
    Difference(("redis_db_keys_cached",), (), "Read by name (cached_keys of KeyDB). There it is the fourth field of the line, such as subexpiry of Redis 7.4."),
    Difference(("redis_config_key_value", "redis_config_value", "redis_sentinel_config_key_value", "redis_sentinel_config_value"), ("series",), "Everything that looks like a secret has the value `***`. There four names are left out, and no name of a Sentinel. An empty secret is shown as empty, because this shows that no secret is set."),
    Difference(("redis_commands_latencies_usec",), (), f"The sum is also right for commands with -, _ or . in their name, where it is 0 there. The {LatencyHistogramOptions().max_commands} most called commands have series (max_commands of latency_histogram). So has each command with {SLOW_SHARE:.0%} of the time of all commands. The others are combined as overflow, and redis_exporter_overflowed_values_total counts them."),
    Difference(("redis_latency_percentiles_usec",), (), f"At most {LatencyStatsOptions().max_commands} commands have series (max_commands of latencystats)."),
    Difference(("redis_connected_client_info",), (), f"With more than max_clients clients ({ClientsOptions().max_clients}) the list is not requested. A client with = in its name is included; there it is dropped."),
    Difference(("redis_key_size",), ("series",), "A single key that is missing has size 0 on the nodes of a cluster too. A HyperLogLog has the size of its text unless pfcount is on, because PFCOUNT writes."),
    Difference(("redis_key_value", "redis_key_value_as_string"), (), "Key values are exported on request only (values and text_values of keys)."),
    Difference(("redis_key_group_count", "redis_key_group_memory_usage_bytes"), (), "With more than max_distinct groups, the largest groups get the free series and then keep them. There the largest groups change from scrape to scrape."),
    Difference(("redis_number_of_distinct_key_groups",), ("series",), "A database without keys has no series. There it has a series with 0."),
    Difference(("redis_last_key_groups_scrape_duration_milliseconds",), ("missing", "value"), "It exists only where the collector key_groups is on. There it is 0 without key groups. It is the time of the newest complete pass, which may span several polls."),
    Difference(("redis_stream_group_entries_read", "redis_stream_group_lag"), ("missing",), "No sample where the server does not know the value (nil). There it is 0, which reads as no lag at all."),
    Difference(("redis_sentinel_master_ckquorum_status",), ("series",), "The label message is one of a closed set (OK, NOQUORUM and what is missing). The reply of the server contains numbers of Sentinels, and each number would be a new series."),
    Difference(("redis_exporter_build_info",), ("labels",), "commit_sha, build_date and golang_version are empty: the version is enough, and redis-pulse contains no Go. python_info has the version of Python."),
    Difference(("redis_exporter_scrapes_total", "redis_exporter_scrape_duration_seconds", "redis_exporter_last_scrape_duration_seconds"), ("value",), "A poll of a target counts as a scrape. Polls come just before the scrapes of Prometheus, or every poll.interval. Counted by target."),
    Difference(("redis_exporter_last_scrape_error",), ("value", "labels", "series"), "err is one of the closed list of reasons (timeout, refused, auth, ...), without ports and addresses. It is the reason of the first collector that failed in the newest poll. 0 with an empty err when all worked."),
    Difference(("redis_exporter_last_scrape_connect_time_seconds", "redis_exporter_last_scrape_ping_time_seconds"), ("value",), "Measured for the newest connection and the newest PING, not for a scrape. Connections stay open, and PINGs leave every second. Better: redis_operation_duration_seconds, a histogram."),
    Difference(("redis_target_scrape_request_errors_total",), ("value",), "Requests for one target that could not be served. A request cannot name a host to connect to, so most errors counted there cannot happen."),
)
# fmt: on
