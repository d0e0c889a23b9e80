"""Options that give each collector data to read on the servers of ``tests/replies/record_session.py``.

Tests of all collectors use them: golden pages, broken replies, least privilege.
A collector that is missing here reads enough by default.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis_pulse import collectors
from redis_pulse.collectors import Collector
from redis_pulse.config import Options

OPTIONS: dict[str, dict[str, Any]] = {
    # Few enough that some commands are summed as overflow.
    "commandstats": {"max_commands": 20},
    "latency_histogram": {"max_commands": 4},
    "latencystats": {"max_commands": 8},
    "cluster": {"migration_status": True},
    "clients": {"per_client": True, "include_port": True},
    "config": {"include_config_metrics": True},
    "key_counts": {"patterns": ["kind:*", "db3=user:*"]},
    "key_groups": {"groups": ["^(\\w+):", "(h)ash"]},
    "keys": {
        "patterns": ["kind:*", "db3=user:*"],
        "keys": ["kind:list", "nowhere"],
        "values": True,
        "text_values": True,
        "pfcount": True,
    },
    "sentinel": {"include_config_metrics": True, "include_peer_info": True},
    "slot_stats": {"top": 2},
    "scripts": {"files": [str(Path(__file__).with_name("busy.lua"))]},
    "streams": {"patterns": ["stream:*"], "streams": ["stream:orders"], "per_consumer": True},
}


def options(collector: Collector, role: str = "primary") -> Options:
    """Return the options of a collector; for a cluster node without other databases, because it has only one."""
    chosen = OPTIONS.get(collector.name, {})
    if role == "cluster" and "patterns" in chosen:
        chosen = {**chosen, "patterns": [pattern for pattern in chosen["patterns"] if not pattern.startswith("db")]}
    return collector.options(**chosen)


def all_collectors(role: str = "primary") -> Iterator[tuple[Collector, Options]]:
    """Yield all collectors with their options."""
    for collector in collectors.load().values():
        yield collector, options(collector, role)
