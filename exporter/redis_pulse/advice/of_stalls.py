"""Advice about stalls: one row for each cause of ``stalls.CAUSES``, and two for a stall that lasts."""

from redis_pulse.advice.model import Advice

_ALERTS = ("RedisStalls",)

STALLS: tuple[Advice, ...] = (
    Advice(
        "RP520", "stalled.server", "error", "The server hangs now",
        "The kernel of its host has taken our bytes, and the process does not answer. The network is fine.",
        "On its host, look at the process. R at 100 % is a long command, D is the disk, T means stopped.",
        "ps -o stat,pcpu,wchan -C {process}", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP521", "stalled.network", "error", "Our bytes are not acknowledged",
        "The network, or the whole host, does not answer.",
        "Do other targets on that host or network answer? Look at the path.",
        "ping -c 5 {host}", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP522", "stall.command", "warning", "A slow command held all clients",
        "One command took {ms} ms. Redis runs one command at a time, so every client waited.",
        "Replace the command by one that works in small batches (SCAN, UNLINK, smaller ranges, ASYNC).",
        "redis-cli {cli} SLOWLOG GET 5", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP523", "stall.script", "warning", "A script held all clients",
        "A script ran for {ms} ms.",
        "Make the script shorter, or split its work over several calls.",
        "redis-cli {cli} SLOWLOG GET 5", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP524", "stall.fork", "warning", "A fork held all clients",
        "A fork for a snapshot or a rewrite held the server for {ms} ms.",
        "Switch transparent huge pages off, or let a replica write the snapshots.",
        "echo never | sudo tee /sys/kernel/mm/transparent_hugepage/enabled", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP525", "stall.disk", "warning", "The disk held all clients",
        "A write to the append-only file waited {ms} ms for the disk.",
        "Use appendfsync everysec, and find out who else uses the disk.",
        "redis-cli {admin_cli} CONFIG SET appendfsync everysec", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP526", "stall.expire", "warning", "Expired keys held all clients",
        "The server removed {n} expired keys at once.",
        "Spread the times to live, and set lazyfree-lazy-expire yes.",
        "redis-cli {admin_cli} CONFIG SET lazyfree-lazy-expire yes", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP527", "stall.eviction", "warning", "Eviction held all clients",
        "The server evicted {n} keys at once to free memory.",
        "Raise maxmemory, set lazyfree-lazy-eviction yes, or store less.",
        "redis-cli {admin_cli} CONFIG SET lazyfree-lazy-eviction yes", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP528", "stall.paused", "warning", "CLIENT PAUSE held all clients",
        "CLIENT PAUSE or a failover held all clients.",
        "Nothing, if it was intended. Else find out who sent CLIENT PAUSE.",
        "redis-cli {admin_cli} CLIENT UNPAUSE", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP529", "stall.saturated", "warning", "The main thread is saturated",
        "The main thread was busy {pct} % of the time. No single command is the cause.",
        "Spread the load over more shards, or send fewer commands.",
        "redis-cli {cli} INFO commandstats", (*_ALERTS, "RedisMainThreadSaturated", "RedisSlotHot"), "stalls.md",
    ),
    Advice(
        "RP530", "stall.not_running", "warning", "The process did not run",
        "The process took our bytes, used no CPU and logged nothing.",
        "On its host, look for swapping, a paused machine, a CPU limit, or SIGSTOP.",
        "vmstat 1 5; dmesg -T | tail", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP531", "stall.network", "warning", "The network held our pings",
        "Our bytes were not acknowledged for {s} s, and the server itself continued.",
        "Look at the path between this host and {host}. Redis is not the cause.",
        "ping -c 5 {host}", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP532", "stall.loading", "warning", "The server was loading its data",
        "The server loaded its data, and answered nothing else.",
        "Find out why it restarted or resynchronized.",
        "redis-cli {cli} INFO persistence", _ALERTS, "stalls.md",
    ),
    Advice(
        "RP533", "stall.restart", "warning", "The server restarted",
        "The server restarted at {time}.",
        "Find out why: the end of its log, or the kernel ended it for its memory.",
        "dmesg -T | tail", (*_ALERTS, "RedisRestarted"), "stalls.md",
    ),
    Advice(
        "RP534", "stall.exporter", "note", "The exporter itself was late",
        "The event loop of the exporter was late. The server was not slow.",
        "Remove the CPU limit of the exporter.", "", (), "stalls.md",
    ),
    Advice(
        "RP535", "stall.unknown", "warning", "The cause of a stall is unknown",
        "The cause is unknown: {problem}.",
        "Grant INFO, LATENCY LATEST and SLOWLOG to the user, and keep stalls.enquire on.",
        "redis-cli {admin_cli} ACL SETUSER {user} +info '+latency|latest' '+slowlog|get'", _ALERTS, "stalls.md",
    ),
)  # fmt: skip
