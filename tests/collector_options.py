"""Options with which every collector has something to do, on the servers of ``tests/replies/record_session.py``.

Tests that are true of every collector (golden pages, broken replies, least privilege) use these; a collector that is
not named here is busy by default.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from redis_pulse import collectors
from redis_pulse.collectors import Collector
from redis_pulse.config import Options

OPTIONS: dict[str, dict[str, Any]] = {
    # So few that the rest goes into the overflow.
    "commandstats": {"max_commands": 20},
    "latency_histogram": {"max_commands": 4},
    "latencystats": {"max_commands": 8},
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
    "scripts": {"files": [str(Path(__file__).with_name("busy.lua"))]},
    "streams": {"patterns": ["stream:*"], "streams": ["stream:orders"], "per_consumer": True},
}


def options(collector: Collector, who: str = "primary") -> Options:
    """Return the options with which a collector is busy; a node of a cluster has one database only."""
    chosen = OPTIONS.get(collector.name, {})
    if who == "cluster" and "patterns" in chosen:
        chosen = {**chosen, "patterns": [pattern for pattern in chosen["patterns"] if not pattern.startswith("db")]}
    return collector.options(**chosen)


def everything(who: str = "primary") -> Iterator[tuple[Collector, Options]]:
    """Yield every collector with the options that make it busy."""
    for collector in collectors.load().values():
        yield collector, options(collector, who)
