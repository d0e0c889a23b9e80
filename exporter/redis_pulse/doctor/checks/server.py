"""What the server reports about itself: version, memory, clients, persistence, replication, logs, clock."""

import re
import time
from collections.abc import Mapping

from redis_pulse.doctor.examination import Examination
from redis_pulse.parse.reply import as_list, as_map, as_text
from redis_pulse.parse.slow_log import parse_entry
from redis_pulse.server_info import version_numbers

#: Software → the first version that gets fixes, and the first version that is not a warning.
#: Old versions that are still widespread are notes.
MAINTAINED: Mapping[str, tuple[tuple[int, int], tuple[int, int]]] = {
    "redis": ((7, 2), (6, 2)),
    "valkey": ((7, 2), (7, 2)),
}
#: Share of maxmemory, of maxclients, and of the host's memory from which doctor warns. The alerts have the same.
MEMORY_SHARE, CLIENTS_SHARE, HOST_SHARE = 0.9, 0.9, 0.7
#: Bytes that a replica may lag behind.
LAG_BYTES = 10_000_000
#: Seconds by which two clocks may differ.
CLOCK_SECONDS = 5.0
#: Milliseconds of an event of the append-only file from which the disk is slow.
_DISK_MS = 100
#: Seconds since such an event, after which it is past.
_RECENT = 3600
_DISK_EVENTS = ("aof-fsync-always", "aof-write", "aof-write-pending-fsync", "aof-write-active-child", "aof-write-alone")


async def check(examination: Examination) -> bool:
    """Report the state of the server."""
    if not examination.is_polled:
        return False
    settings = await _settings(examination)
    if examination.server.mode != "sentinel":
        _memory(examination, settings)
        _persistence(examination)
        await _disk(examination)
        _replication(examination)
    _version(examination, settings)
    _clients(examination, settings)
    _logs(examination, settings)
    await _slow_log(examination)
    await _clock(examination)
    return True


async def _settings(examination: Examination) -> dict[str, str]:
    """Return a few settings of the server, or nothing if CONFIG GET is denied."""
    found: dict[str, str] = {}
    names = (
        *("maxmemory", "maxclients", "latency-monitor-threshold", "slowlog-log-slower-than", "slowlog-max-len"),
        *("save", "appendonly"),
    )
    for name in names:
        reply = as_map(await examination.query("CONFIG", "GET", name))
        if reply is None:
            break
        found |= {key: as_text(value) or "" for key, value in reply.items()}
    return found


def number(fields: Mapping[str, str], name: str) -> int | None:
    """Return a field as a number, or None if it is missing or is no number."""
    text = fields.get(name, "")
    return int(text) if re.fullmatch(r"-?\d{1,19}", text) else None


def human_bytes(count: float) -> str:
    """Return a number of bytes with a unit."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _version(examination: Examination, settings: Mapping[str, str]) -> None:
    server, fields = examination.server, examination.fields
    limits = MAINTAINED.get(server.software)
    if limits is not None and (version := version_numbers(server.version)) > (0, 0):
        maintained, warned = limits
        if version < warned:
            examination.findings.add("version.old", software=server.software, version=server.version)
        elif version < maintained:
            examination.findings.add("version.ended", software=server.software, version=server.version)
    persistence = [
        *(["AOF"] if fields.get("aof_enabled") == "1" else []),
        # The time is that of the start if there was no snapshot, also where ``save`` is off.
        *(["snapshots"] if number(fields, "rdb_last_save_time") and settings.get("save") != "" else []),
    ]
    examination.findings.add(
        "server.facts",
        software=server.software or "unknown",
        version=server.version or "?",
        mode=server.mode or "standalone",
        role=server.role or "?",
        persistence=" and ".join(persistence) or "no",
        clients=fields.get("connected_clients", "?"),
        limit=fields.get("maxclients", "?"),
    )


def _memory(examination: Examination, settings: Mapping[str, str]) -> None:
    fields, findings = examination.fields, examination.findings
    used, limit = number(fields, "used_memory"), number(fields, "maxmemory")
    limit = number(settings, "maxmemory") if limit is None else limit
    host = number(fields, "total_system_memory") or 0
    if used is None or limit is None:
        return
    advised = host * 3 // 4 or "BYTES"
    if limit == 0:
        if host and used > HOST_SHARE * host:
            findings.add("memory.host", used=human_bytes(used), host_memory=human_bytes(host), advised=advised)
        else:
            findings.add("memory.unlimited", advised=advised)
        return
    policy = fields.get("maxmemory_policy", "unknown")
    if used >= limit and policy == "noeviction":
        findings.add("oom", used=human_bytes(used), max=human_bytes(limit))
    elif used > MEMORY_SHARE * limit and policy == "noeviction":
        findings.add(
            "memory", used=human_bytes(used), max=human_bytes(limit), percent=round(100 * used / limit), policy=policy
        )
    if evicted := number(fields, "evicted_keys"):
        findings.add("evicting", count=evicted)


def _clients(examination: Examination, settings: Mapping[str, str]) -> None:
    clients = number(examination.fields, "connected_clients")
    limit = number(examination.fields, "maxclients") or number(settings, "maxclients")
    if clients is not None and limit and clients > CLIENTS_SHARE * limit:
        examination.findings.add("maxclients.near", clients=clients, limit=limit)


def _persistence(examination: Examination) -> None:
    fields = examination.fields
    if fields.get("loading") == "1":
        examination.findings.add(
            "loading",
            percent=fields.get("loading_loaded_perc", "?"),
            eta=f"{fields.get('loading_eta_seconds', '?')} s",
        )
    failed = {
        "rdb_last_bgsave_status": "snapshot (BGSAVE)",
        "aof_last_bgrewrite_status": "rewrite of the append-only file",
        "aof_last_write_status": "write to the append-only file",
    }
    for name, what in failed.items():
        if fields.get(name, "ok") not in ("ok", ""):
            examination.findings.add("persistence", what=what)


async def _disk(examination: Examination) -> None:
    """Report slow writes of the append-only file, by LATENCY LATEST and by the delayed fsyncs."""
    problems = []
    if delayed := number(examination.fields, "aof_delayed_fsync"):
        problems.append(f"{delayed} delayed fsyncs")
    for event in as_list(await examination.query("LATENCY", "LATEST")) or ():
        parts = as_list(event) or []
        if len(parts) < 4 or as_text(parts[0]) not in _DISK_EVENTS:
            continue
        at, _newest, worst = parts[1:4]
        if isinstance(worst, int) and worst >= _DISK_MS and isinstance(at, int) and time.time() - at < _RECENT:
            problems.append(f"{as_text(parts[0])} took up to {worst} ms")
    if problems:
        examination.findings.add("disk.slow", problem=", ".join(problems))


def _replication(examination: Examination) -> None:
    fields = examination.fields
    if fields.get("master_link_status") == "down":
        master = f"{fields.get('master_host', '?')}:{fields.get('master_port', '?')}"
        seconds = fields.get("master_link_down_since_seconds", "?")
        examination.findings.add(
            "replication", master=master, seconds="an unknown number of" if seconds == "-1" else seconds
        )
    offset = number(fields, "master_repl_offset")
    for name, text in fields.items():
        if not re.fullmatch(r"slave\d{1,4}", name) or offset is None:
            continue
        pairs = dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)
        position = number(pairs, "offset")
        if pairs.get("state") == "online" and position is not None and offset - position > LAG_BYTES:
            replica = f"{pairs.get('ip', '?')}:{pairs.get('port', '?')}"
            examination.findings.add("replication.lag", replica=replica, bytes=offset - position)


def _logs(examination: Examination, settings: Mapping[str, str]) -> None:
    if settings.get("latency-monitor-threshold") == "0":
        examination.findings.add("latency.monitor")
    threshold = number(settings, "slowlog-log-slower-than")
    length = number(settings, "slowlog-max-len")
    if (threshold is not None and threshold < 0) or length == 0:
        examination.findings.add("slowlog.off")


async def _slow_log(examination: Examination) -> None:
    """Report how many entries the slow log has, and the name of the newest. Arguments are never shown."""
    count = await examination.query("SLOWLOG", "LEN")
    if not isinstance(count, int) or count <= 0:
        return
    newest = as_list(await examination.query("SLOWLOG", "GET", 1)) or []
    entry = parse_entry(newest[0]) if newest else None
    if entry is not None:
        examination.findings.add(
            "slowlog.entries", count=count, command=entry.command or "?", ms=round((entry.seconds or 0.0) * 1000, 1)
        )


async def _clock(examination: Examination) -> None:
    """Report two clocks that differ by more than the query took."""
    before = time.time()
    reply = as_list(await examination.query("TIME")) or []
    after = time.time()
    text = as_text(reply[0]) if reply else None
    if text is None or not text.isdecimal() or len(text) > 12:
        return
    seconds = float(text)
    difference = before - seconds - 1 if seconds < before else seconds - after
    if difference > CLOCK_SECONDS:
        examination.findings.add("clock.server", seconds=round(abs(seconds - after), 1))
