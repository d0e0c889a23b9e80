"""The fields of INFO that get no metric, and why. ``docs/metrics.md`` shows this table.

``tests/collectors/info/test_unknown_fields.py`` compares it with real replies: each field of each server has a metric
or is in this table. A key is the name of a field, or a name and a pair (``slaveN:ip``). N stands for a number, and
``*`` for any text.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Final

_HUMAN = "the same value, written for people"
_BUILD = "how the server was built; it never changes while it runs"
_DERIVED = "follows from two fields that have metrics"
_REPLICA = "a label of the metrics of this replica"

LEFT_OUT: Final[Mapping[str, str]] = {
    "*_human": _HUMAN,
    "uptime_in_days": "the same as `uptime_in_seconds`",
    "redis_git_sha1": _BUILD,
    "redis_git_dirty": _BUILD,
    "arch_bits": _BUILD,
    "atomicvar_api": _BUILD,
    "gcc_version": _BUILD,
    "mem_allocator": _BUILD,
    "monotonic_clock": _BUILD,
    "multiplexing_api": _BUILD,
    "process_supervised": "how the server was started; it never changes while it runs",
    "config_file": "a path of the server's machine",
    "executable": "a path of the server's machine",
    "listenerN": "addresses of the server; a target has its address in `redis_target_info`",
    "server_name": "the label `software` of `redis_server_info`",
    "server_mode": "the label `redis_mode` of `redis_instance_info`",
    "lru_clock": "a counter that wraps around; it only has a meaning for the server itself",
    "used_memory_peak_perc": _DERIVED,
    "used_memory_dataset_perc": _DERIVED,
    "loading_loaded_perc": _DERIVED,
    "commands_per_parse_batch_avg": _DERIVED,
    "avg_pipeline_length*": "another name of `commands_per_parse_batch` on servers that are not Redis",
    "master_replid2": "the previous replication id; `redis_second_repl_offset` shows whether there is one",
    "slaveN:ip": _REPLICA,
    "slaveN:port": _REPLICA,
    "slaveN:state": _REPLICA,
    "slaveN:type": "shows which of two connections of one replica this is, during a full resynchronisation",
    "masterN:name": "a label of the metrics of this master",
    "masterN:address": "a label of the metrics of this master",
    "cmdstat_X:usec_per_call": _DERIVED,
    "engine_N:module": "a label of the metrics of this engine",
    "engine_N:abi_version": "a label of the metrics of this engine",
}


def reason(field: str) -> str:
    """Return why a field has no metric, or nothing if it is not in the table."""
    return next((text for pattern, text in LEFT_OUT.items() if fnmatchcase(field, pattern)), "")
