"""What will go wrong soon, as the newest INFO says. The limits are those of the alerts.

``tests/status/test_risks.py`` compares them with ``grafana/rules/settings.py``.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from redis_pulse.sample_store import RenderedSamples

#: Share of maxmemory and of maxclients, bytes and seconds that a replica lags behind, days of a certificate.
MEMORY, CONNECTIONS, LAG_BYTES, LAG_SECONDS, CERTIFICATE_DAYS = 0.9, 0.85, 64 * 1024 * 1024, 10.0, 14
#: What saves data, the metric that is 0 after a failure, and its name for people.
_SAVES = (
    ("redis_rdb_last_bgsave_status", "BGSAVE"),
    ("redis_aof_last_write_status", "write to the append-only file"),
    ("redis_aof_last_bgrewrite_status", "rewrite of the append-only file"),
)
_POLICY = re.compile(rb'maxmemory_policy="([^"]*)"')
_MASTER = re.compile(rb'master_host="([^"]*)",master_port="([^"]*)"')
_REPLICA = re.compile(rb'slave_ip="([^"]*)",slave_port="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Risk:
    """One risk. ``key`` is the key of its advice, ``values`` fill its texts."""

    key: str
    values: dict[str, str]


def find_risks(samples: RenderedSamples | None, now: float, certificate_ends: float | None) -> tuple[Risk, ...]:
    """Return the risks that the newest INFO shows, the most urgent first.

    ``certificate_ends`` is when the certificate of the server ends, or None without TLS. Times are Unix time.
    """
    found: list[Risk] = []
    if samples is not None:
        found += [*_memory(samples), *_replication(samples), *_persistence(samples), *_connections(samples)]
    if certificate_ends is not None and certificate_ends - now < CERTIFICATE_DAYS * 86400:
        days = max(0.0, certificate_ends - now) / 86400
        until = datetime.fromtimestamp(certificate_ends, UTC).strftime("%Y-%m-%d %H:%M UTC")
        found.append(Risk("certificate", {"days": f"{days:.0f}", "until": until}))
    return tuple(found)


def format_size(count: float) -> str:
    """Return bytes with a unit that is easy to read: ``7.7 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def memory_share(samples: RenderedSamples) -> float | None:
    """Return the share of maxmemory that is used, or None without a limit."""
    used, most = samples.value("redis_memory_used_bytes"), samples.value("redis_memory_max_bytes")
    return used / most if used is not None and most else None


def eviction_policy(samples: RenderedSamples) -> str:
    """Return the policy for a full memory, or an empty text."""
    match = _POLICY.search(samples.text("redis_instance_info"))
    return "" if match is None else match[1].decode(errors="replace")


def _memory(samples: RenderedSamples) -> Iterator[Risk]:
    """Yield a risk if nothing is evicted. A cache that evicts is full by design."""
    share = memory_share(samples)
    if share is None or share <= MEMORY or (policy := eviction_policy(samples)) != "noeviction":
        return
    used, most = samples.value("redis_memory_used_bytes") or 0, samples.value("redis_memory_max_bytes") or 0
    values = {"percent": f"{100 * share:.0f}", "used": format_size(used), "max": format_size(most), "policy": policy}
    yield Risk("oom" if share >= 1 else "memory", values)


def _replication(samples: RenderedSamples) -> Iterator[Risk]:
    links, syncing = samples.numbers("redis_master_link_up"), samples.numbers("redis_master_sync_in_progress")
    if 0 in links and 1 not in syncing:
        match = _MASTER.search(samples.text("redis_master_link_up"))
        master = "" if match is None else b":".join(match.groups()).decode(errors="replace")
        down = max(samples.numbers("redis_master_link_down_since_seconds"), default=-1)
        yield Risk("replication", {"master": master, "seconds": f"{down:.0f}" if down >= 0 else "an unknown number of"})
    lag_bytes = max(samples.numbers("redis_replica_lag_bytes"), default=0)
    lag_seconds = max(samples.numbers("redis_replica_lag_seconds"), default=0)
    if lag_bytes > LAG_BYTES or lag_seconds > LAG_SECONDS:
        match = _REPLICA.search(samples.text("redis_replica_lag_bytes"))
        replica = "" if match is None else b":".join(match.groups()).decode(errors="replace")
        yield Risk("replication.lag", {"replica": replica, "bytes": f"{lag_bytes:.0f}"})


def _persistence(samples: RenderedSamples) -> Iterator[Risk]:
    for name, what in _SAVES:
        if samples.value(name) == 0:
            yield Risk("persistence", {"what": what})
            return


def _connections(samples: RenderedSamples) -> Iterator[Risk]:
    clients, most = samples.value("redis_connected_clients"), samples.value("redis_max_clients")
    if clients is not None and most and clients / most > CONNECTIONS:
        yield Risk("maxclients.near", {"clients": f"{clients:.0f}", "limit": f"{most:.0f}"})
