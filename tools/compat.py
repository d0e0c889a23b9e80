"""What differs from redis_exporter on purpose: docs/compatibility.md and bench/compare_exporters.py read it here."""
# ruff: noqa: E501 - a row is one line

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
#: Name, type and label keys of every metric of redis_exporter 1.86, one a line, with tabs between.
LIST = ROOT / "tests" / "collectors" / "established.tsv"


class Established(NamedTuple):
    """One metric of redis_exporter."""

    name: str
    kind: str
    labels: frozenset[str]


class Difference(NamedTuple):
    """Established names of which something differs.

    ``kinds``, in the words of ``bench/compare.py``: ``missing`` (a whole family, in a state of the server that the
    reason names), ``labels``, ``series`` (which there are), ``value``. They are what the comparison may find; with none of
    them it must find nothing, since the difference shows elsewhere. A type never differs.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    reason: str


def established() -> dict[str, Established]:
    """Read the list."""
    rows = (line.split("\t") for line in LIST.read_text(encoding="utf-8").splitlines())
    return {name: Established(name, kind, frozenset(filter(None, keys.split(",")))) for name, kind, keys in rows}


# fmt: off
DIFFERENCES: tuple[Difference, ...] = (
    Difference(("redis_up",), (), "1 while the newest PING was answered in time, and not while a whole scrape worked: it turns 0 within a second, also while a server hangs, and stays 1 where only INFO is denied; redis_collector_success says which part works."),
    Difference(("redis_start_time_seconds",), ("value",), "Computed from the server's own clock and kept until it restarts, so that changes() counts restarts; there it wobbles by a second."),
    Difference(("redis_instance_info",), ("labels",), "The role of a Sentinel is sentinel; there it is empty. valkey_version and valkey_release_stage are filled where the server says them."),
    Difference(("redis_db_keys", "redis_db_keys_expiring"), ("missing",), "A Sentinel has no databases and so no series. Elsewhere the first 16 databases are shown also while they are empty (option empty_databases of info); how many a server has is not asked for."),
    Difference(("redis_db_keys_cached",), (), "Read by name (cached_keys of KeyDB); there it is whatever stands fourth in the line, such as subexpiry of Redis 7.4."),
    Difference(("redis_config_key_value", "redis_config_value", "redis_sentinel_config_key_value", "redis_sentinel_config_value"), ("series",), "Whatever sounds or looks like a secret has the value `***` (there four names are left out, and nothing of a Sentinel's); an empty secret is shown as empty, since it says that there is none."),
    Difference(("redis_commands_latencies_usec",), (), "The sum is right also for commands with -, _ or . in their name, where it is 0 there. The 50 most called commands have series (max_commands of latency_histogram), the rest is put together as overflow."),
    Difference(("redis_latency_percentiles_usec",), (), "At most 500 commands have series (max_commands of latencystats)."),
    Difference(("redis_connected_client_info",), (), "Beyond max_clients clients (500) the list is not asked for; a client whose name holds = is there, and not dropped."),
    Difference(("redis_key_size",), ("series",), "A single key that is missing has size 0 on the nodes of a cluster too. A HyperLogLog has the size of its text, unless pfcount is on: PFCOUNT writes."),
    Difference(("redis_key_value", "redis_key_value_as_string"), (), "Values of keys are exported on request only: values and text_values of keys."),
    Difference(("redis_key_group_count", "redis_key_group_memory_usage_bytes"), (), "With more than max_distinct groups, those have series that were the largest when places were given away, and they keep them; there the largest change places from scrape to scrape."),
    Difference(("redis_number_of_distinct_key_groups",), ("series",), "A database without keys has no series; there it has one that says 0."),
    Difference(("redis_last_key_groups_scrape_duration_milliseconds",), ("missing", "value"), "There only where the collector key_groups is on; there it says 0 where nobody asked. It is the time of the newest complete pass, which may span several polls."),
    Difference(("redis_stream_group_entries_read", "redis_stream_group_lag"), ("missing",), "No sample where the server says that it does not know (nil); there it says 0, which reads as no lag at all."),
    Difference(("redis_sentinel_master_ckquorum_status",), ("series",), "The label message is one of a closed set (OK, NOQUORUM and what is missing), since the sentence that the server says counts Sentinels and makes a new series with each."),
    Difference(("redis_exporter_build_info",), ("labels",), "commit_sha, build_date and golang_version are empty: the version says it all, and there is no Go in it. python_info has the version of Python."),
    Difference(("redis_exporter_scrapes_total", "redis_exporter_scrape_duration_seconds", "redis_exporter_last_scrape_duration_seconds"), ("value",), "A poll of a target is what a scrape is there: every poll.interval, whoever scrapes and however often. Counted by target."),
    Difference(("redis_exporter_last_scrape_error",), ("value", "labels", "series"), "err is one of the closed list of reasons (timeout, refused, auth, ...), that of the first collector that failed in the newest poll, and no text of an error with ports and addresses in it. 0 with an empty err when all worked."),
    Difference(("redis_exporter_last_scrape_connect_time_seconds", "redis_exporter_last_scrape_ping_time_seconds"), ("value",), "Of the newest connection made and the newest PING sent, which is no scrape's: connections stay open, and PINGs leave every second. Better: redis_operation_duration_seconds, a histogram."),
    Difference(("redis_target_scrape_request_errors_total",), ("value",), "Requests for one target that could not be served; a request cannot name a host to connect to, so most errors counted there cannot happen."),
)
# fmt: on
