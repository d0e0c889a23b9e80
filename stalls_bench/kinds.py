"""The table of kinds of stalls: the expected cause, what must be there before, what is done, which setting differs.

A row belongs to a lane. A lane is one server with its load. Lanes run side by side. A kind that is ``busy`` uses a
core, so only one such kind runs at a time.
"""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple

from stalls_bench import injectors as do
from stalls_bench.injectors import EXPIRING, Inject, Subject
from stalls_bench.server import SCRIPT, Server

LaneName = Literal["idle", "aof", "scripts", "data", "expiry", "net"]
LANES: tuple[LaneName, ...] = ("idle", "aof", "scripts", "data", "expiry", "net")


class Kind(NamedTuple):
    """One way to make a stall. ``cause`` is what the daemon must name."""

    cause: str
    lane: LaneName
    inject: Inject
    prepare: Callable[[Server], None]
    setting: str = ""
    busy: bool = False
    #: Seconds that it takes where that is less than a second. Then it is aimed: a ping must fall into it.
    aimed: float = 0.0
    is_pair: bool = False
    is_quick: bool = False
    #: No evidence of Redis 7.0 can tell this cause. Such kinds are listed apart from the others.
    is_gap: bool = False


def _nothing(_: Server) -> None:
    """Prepare nothing."""


def _some_keys(server: Server) -> None:
    _populate(server, 400_000)


def _many_keys(server: Server) -> None:
    _populate(server, 2_500_000)


def _populate(server: Server, keys: int) -> None:
    have = server.run("DBSIZE")
    for number in range(keys // 100_000):
        if have < 0.9 * keys:
            server.run("DEBUG", "POPULATE", 100_000, f"k{number}", 40)
            time.sleep(0.01)


def _few_keys_saved(server: Server) -> None:
    server.run("FLUSHALL", "ASYNC")
    server.run("DEBUG", "POPULATE", 25_000, "k", 40)
    server.run("SAVE")


def _in_the_foreground(server: Server) -> None:
    names = ("lazyfree_lazy_user_del", "lazyfree_lazy_expire", "lazyfree_lazy_eviction")
    server.set(hz=10, active_expire_effort=1, **dict.fromkeys(names, "no"))


def _sets(server: Server, names: list[str], members: int, database: int = 0) -> None:
    link = server.link()
    link.run("SELECT", database)
    text = "for i=ARGV[1],ARGV[1]+3999 do redis.call('SADD',KEYS[1],'member:'..i) end"
    sha = link.run("SCRIPT", "LOAD", text).decode()
    for name in names:
        for first in range(0, members, 4000):
            link.run("EVALSHA", sha, 1, name, first)
    link.close()


def _huge_set(server: Server) -> None:
    _in_the_foreground(server)
    if not server.run("EXISTS", "big"):
        _sets(server, ["big"], 2_500_000)


def _huge_set_with_ttl(server: Server) -> None:
    _huge_set(server)
    server.run("EXPIRE", "big", 30_000)


def _huge_set_apart(server: Server) -> None:
    _in_the_foreground(server)
    _sets(server, ["apart"], 2_500_000, 2)


def _many_keys_apart(server: Server) -> None:
    """Write keys that all expire later. With these settings one cycle of the expiry takes 430 ms instead of 25 ms."""
    server.set(hz=1, active_expire_effort=10)
    text = "for i=ARGV[1],ARGV[1]+3999 do redis.call('SET','m:'..i,'x') end"
    link = server.link()
    link.run("SELECT", 2)
    sha = link.run("SCRIPT", "LOAD", text).decode()
    for first in range(0, EXPIRING, 4000):
        link.run("EVALSHA", sha, 0, first)
    link.close()


def _keys_to_evict(server: Server) -> None:
    server.set(maxmemory_eviction_tenacity=100, lazyfree_lazy_eviction="no")
    _many_keys(server)


def _readable_set(server: Server) -> None:
    if not server.run("EXISTS", "sorted"):
        _sets(server, ["sorted"], 300_000)


def _always(server: Server) -> None:
    _aof(server, "always", 100)


def _always_unmonitored(server: Server) -> None:
    _aof(server, "always", 0)


def _everysec(server: Server) -> None:
    _aof(server, "everysec", 100)


def _aof(server: Server, policy: str, threshold: int) -> None:
    server.set(appendfsync=policy, latency_monitor_threshold=threshold, appendonly="yes")
    while b"aof_rewrite_in_progress:1" in server.run("INFO", "persistence"):
        time.sleep(0.05)


def _soon_busy(server: Server) -> None:
    server.set(busy_reply_threshold=400)


def _busy_late(server: Server) -> None:
    server.set(busy_reply_threshold=5000)


def _bits(server: Server) -> None:
    _busy_late(server)
    server.run("SETBIT", "bits", 8 * 1_500_000, 1)


def _script_commands(server: Server) -> None:
    _busy_late(server)


def _pair_of_keys(server: Server) -> None:
    _busy_late(server)
    _some_keys(server)


def _busy_script(subject: Subject, scale: float) -> None:
    """Run a script that is longer than the limit: pings are answered BUSY."""
    turns = round(2.5 * scale * subject.server.turns_per_second)
    subject.server.run("EVAL", SCRIPT, 0, turns)


_LAZY = "lazyfree-lazy-* no"
_MONITOR = "AOF on, latency-monitor-threshold 100"
# fmt: off
KINDS: dict[str, Kind] = {
    "sleep": Kind("command", "idle", do.sleep, _nothing, "enable-debug-command", is_quick=True),
    "pause": Kind("paused", "idle", do.pause, _nothing, is_quick=True),
    "stop": Kind("not_running", "idle", do.stop, _nothing, is_quick=True),
    "stop_in_keys": Kind("not_running", "idle", do.stop_in_keys, _some_keys, is_quick=True),
    "starve": Kind("not_running", "idle", do.starve, _nothing, is_quick=True),
    "limit": Kind("not_running", "idle", do.limit, _nothing),
    "restart": Kind("restart", "idle", do.restart, _nothing, is_quick=True),
    "fsync_always": Kind("disk", "aof", do.fsync_always, _always, _MONITOR + ", appendfsync always", is_quick=True),
    "fsync_everysec": Kind("disk", "aof", do.fsync_everysec, _everysec, _MONITOR, is_quick=True),
    "sleep_aof": Kind("command", "aof", do.sleep, _always, _MONITOR),
    "stop_aof": Kind("not_running", "aof", do.stop, _always, _MONITOR, is_quick=True),
    "pause_aof": Kind("paused", "aof", do.pause, _always, _MONITOR),
    "script_aof": Kind("script", "aof", do.script(), _always, _MONITOR, busy=True),
    "fsync_unmonitored": Kind("disk", "aof", do.fsync_always, _always_unmonitored, "AOF on, no monitor", is_gap=True),
    "stop_unmonitored": Kind("not_running", "aof", do.stop, _always_unmonitored, "AOF on, no monitor", is_gap=True),
    "script": Kind("script", "scripts", do.script(), _script_commands, busy=True, is_quick=True),
    "function": Kind("script", "scripts", do.script(as_function=True), _script_commands, busy=True),
    "busy_script": Kind("script", "scripts", _busy_script, _soon_busy, "busy-reply-threshold 400", busy=True),
    "flood": Kind("saturated", "scripts", do.flood, _bits, busy=True, is_quick=True),
    "fork": Kind("fork", "scripts", do.fork, _pair_of_keys, "a slow fork", busy=True, is_quick=True),
    "loading": Kind("loading", "scripts", do.load_data, _few_keys_saved, "key-load-delay 30", is_quick=True),
    "keys": Kind("command", "data", do.commands(*[("KEYS", "*zzz")] * 5), _many_keys, busy=True, is_quick=True),
    "smembers": Kind("command", "data", do.commands(*[("SMEMBERS", "sorted")] * 25), _readable_set, busy=True),
    "sort": Kind("command", "data", do.commands(*[("SORT", "sorted", "ALPHA", "LIMIT", 0, 1)] * 6), _readable_set,
                 busy=True),
    "flushall": Kind("command", "data", do.flushall, _many_keys, busy=True, aimed=0.2),
    "evict_many": Kind("eviction", "data", do.evict(0.5, "allkeys-random"), _keys_to_evict,
                       "maxmemory-eviction-tenacity 100, " + _LAZY, busy=True, aimed=0.2, is_quick=True),
    "del": Kind("command", "expiry", do.commands(("DEL", "big")), _huge_set, _LAZY, busy=True, aimed=0.2),
    "expire_read": Kind("expire", "expiry", do.lazy_expire, _huge_set, _LAZY, busy=True, aimed=0.2, is_quick=True),
    "expire_huge": Kind("expire", "expiry", do.expire_now, _huge_set_apart, _LAZY, busy=True, aimed=0.2),
    "expire_many": Kind("expire", "expiry", do.expire_many, _many_keys_apart, "hz 1, active-expire-effort 10",
                        busy=True),
    "evict_huge": Kind("eviction", "expiry", do.evict(0, "volatile-ttl"), _huge_set_with_ttl, _LAZY, busy=True,
                       aimed=0.2),
    "cut": Kind("network", "net", do.disturb(1.5, loss=100), _nothing, is_quick=True),
    "far_link": Kind("network", "net", do.unplug("far"), _nothing),
    "own_link": Kind("network", "net", do.unplug("own"), _nothing, is_quick=True),
    "delay": Kind("network", "net", do.disturb(2.2, delay=150), _nothing, is_quick=True),
    "loss": Kind("network", "net", do.disturb(4.0, loss=40), _nothing),
    "stop+script": Kind("not_running", "idle", do.stop_then_script, _nothing, is_pair=True, is_quick=True),
    "script+pause": Kind("paused", "idle", do.script_then_pause, _nothing, is_pair=True),
    "script+fsync": Kind("disk", "aof", do.script_then_fsync, _always, _MONITOR, is_pair=True),
    "fork+script": Kind("script", "scripts", do.fork_then_script, _pair_of_keys, "a slow fork", busy=True,
                        is_pair=True),
    "keys+script": Kind("script", "scripts", do.keys_then_script, _pair_of_keys, busy=True, is_pair=True),
}
# fmt: on
#: Kinds that need the library for slow calls.
SLOW_CALLS = frozenset(name for name in KINDS if name.startswith(("fsync_", "fork")) or name.endswith("+fsync"))
#: Kinds that stop the daemon, not a server. They run alone, when all lanes have ended.
OWN: tuple[str, ...] = ("own_stop", "own_starve")
EXPORTER = "exporter"
