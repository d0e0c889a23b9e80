"""Build the ``ACL SETUSER`` lines with the least permissions that a set of collectors needs.

All functions are pure. They use the declared commands of the collectors. ``docs/acl.md`` is rendered from them, and
``tests/integration/test_acl.py`` proves the lines on real servers.

A server rejects a whole line if it does not know one of its commands. So each command belongs to a server group: a text
that names the servers with this command. Commands of all servers are in one line. Each other group has an addition.
"""

import math
import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from redis_pulse.collectors import Collector
from redis_pulse.discovery.cluster import source
from redis_pulse.discovery.sentinel.sentinel_client import CHANNELS, COMMANDS
from redis_pulse.server_info import COMMANDLOG, Server, version_numbers

USER: Final = "exporter"
PASSWORD: Final = "PASSWORD"  # noqa: S105  # a placeholder
PATTERN: Final = "PATTERN"

#: Each target needs these: the probe sends PING, INFO identifies the server, and CLIENT SETNAME names our connection.
ALWAYS: Final = ("ping", "info", "client|setname")
#: The group of servers where SET_LIBRARY_NAME exists. The page mentions it once, not for each collector.
LIBRARY_NAME: Final = "Redis 7.2 or later, and Valkey"
SET_LIBRARY_NAME: Final = "client|setinfo"
#: Commands that read keys by name. Their user needs a key pattern too.
READ_COMMANDS: Final = frozenset(
    {"arcount", "getrange", "hlen", "llen", "pttl", "scard", "strlen", "type", "xlen", "zcard"}
    | {"memory|usage", "object|freq", "object|idletime", "xinfo|consumers", "xinfo|groups", "xinfo|stream"}
)
#: Commands that write keys by name, or may write them from the view of a server.
WRITE_COMMANDS: Final = frozenset({"eval", "evalsha", "pfcount"})
#: Script commands can name keys, but ours name none. The author of a script must grant what the script itself uses.
SCRIPT_COMMANDS: Final = frozenset({"eval", "evalsha", "eval_ro", "evalsha_ro"})
SENTINEL: Final = "a Sentinel"
WRITING_SCRIPTS: Final = "servers where scripts may write"
#: Command, or prefix that ends in ``|`` or ``.`` → server group. These commands exist on some servers only, or are
#: sent only when an option is set.
GROUP_BY_COMMAND: Final[Mapping[str, str]] = {
    "arcount": "servers with the type array",
    "client|no-touch": LIBRARY_NAME,
    "cluster|getslotmigrations": "Valkey 9.0 or later",
    "cluster|migration": "nodes of Redis 8.4 or later whose migrations are listed; it also allows to move slots",
    "cluster|slot-stats": "cluster nodes with Valkey 8.0, Redis 8.2 or later",
    "commandlog|": "Valkey 8.1 or later",
    "eval": WRITING_SCRIPTS,
    "evalsha": WRITING_SCRIPTS,
    "hotkeys|get": "Redis 8.6 or later",
    "hotkeys|start": "Redis 8.6 or later where the exporter starts sessions of HOTKEYS (`start: true`)",
    "ft.": "servers with the search module",
    "pfcount": "servers where HyperLogLogs are counted",
    "sentinel|config": "Sentinels where the configuration is published",
    "sentinel|": SENTINEL,
}
#: Kind of discovery source → the servers that it queries, and the commands that it sends to them.
SOURCES: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "cluster": ("every node of a discovered cluster (`cluster: true`)", source.COMMANDS),
}
#: The group of all other commands. Redis 7, Valkey and all later versions know them.
ALL_SERVERS: Final = ""


def server_group(command: str) -> str:
    """Return the group of servers that know a command, or ``ALL_SERVERS``."""
    if command in GROUP_BY_COMMAND:
        return GROUP_BY_COMMAND[command]
    prefixes = (prefix for prefix in GROUP_BY_COMMAND if prefix[-1] in "|." and command.startswith(prefix))
    return GROUP_BY_COMMAND.get(next(prefixes, ""), ALL_SERVERS)


def commands_by_group(collectors: Iterable[Collector]) -> dict[str, tuple[str, ...]]:
    """Return the commands that a set of collectors needs, by server group."""
    commands = dict.fromkeys([*ALWAYS, *(command for collector in collectors for command in _commands_of(collector))])
    groups = dict.fromkeys([ALL_SERVERS, *map(server_group, commands)])
    return {group: tuple(command for command in commands if server_group(command) == group) for group in groups}


def _commands_of(collector: Collector) -> tuple[str, ...]:
    """Return the commands that a collector sends. A collector that scans keys must also select each database."""
    return (*collector.commands, "select") if "scan" in collector.commands else collector.commands


def key_rule(commands: Iterable[str], pattern: str = PATTERN, *, redis_6: bool = False) -> tuple[str, ...]:
    """Return the key rule that the commands need, or nothing if they name no keys.

    Redis 7 and later, and Valkey, can allow reads only (``%R~``). Redis 6 knows only ``~``.
    """
    names = set(commands)
    if names & WRITE_COMMANDS - SCRIPT_COMMANDS:
        return (f"~{pattern}",)
    return ((f"~{pattern}" if redis_6 else f"%R~{pattern}"),) if names & READ_COMMANDS else ()


def line(
    collectors: Iterable[Collector],
    *,
    groups: Iterable[str] = (),
    password: str = PASSWORD,
    pattern: str = PATTERN,
    redis_6: bool = False,
) -> str:
    """Return the complete line for a set of collectors, including the commands of these server groups."""
    by_group = commands_by_group(collectors)
    all_groups = (ALL_SERVERS, *((WRITING_SCRIPTS,) if redis_6 else ()), *groups)
    commands = [command for group in all_groups for command in by_group.get(group, ())]
    commands += [SET_LIBRARY_NAME] * (LIBRARY_NAME in groups)
    if redis_6:
        commands = [command for command in commands if not command.endswith("_ro")]
    return _setuser(commands, password, key_rule(commands, pattern, redis_6=redis_6))


def line_for(server: Server, collectors: Iterable[Collector], db: int = 0) -> str:
    """Return the complete line that this server accepts. Of an unknown server, only what all servers accept.

    Each connection selects the database ``db`` first, unless it is 0.
    """
    chosen = tuple(collectors)
    version = version_numbers(server.version)
    groups = []
    if server.software == "valkey" or (server.software == "redis" and version >= (7, 2)):
        groups.append(LIBRARY_NAME)
    if server.has(COMMANDLOG):
        groups.append(GROUP_BY_COMMAND["commandlog|"])
    if server.software == "valkey" and version >= (9, 0):
        groups.append(GROUP_BY_COMMAND["cluster|getslotmigrations"])
    if version >= {"valkey": (8, 0), "redis": (8, 2)}.get(server.software, (math.inf, 0)):
        groups.append(GROUP_BY_COMMAND["cluster|slot-stats"])
    if server.software == "redis" and version >= (8, 6):
        groups.append(GROUP_BY_COMMAND["hotkeys|get"])
    if server.mode == "sentinel":
        return sentinel_line(chosen, groups=[group for group in groups if group == LIBRARY_NAME])
    is_redis_6 = server.software == "redis" and (0, 0) < version < (7, 0)
    made = line(chosen, groups=groups, redis_6=is_redis_6)
    return f"{made} +select" if db and "+select" not in made.split() else made


def addition(collectors: Iterable[Collector], group: str, *, pattern: str = PATTERN) -> str:
    """Return the line that grants the commands of one server group to a user that has the rest already."""
    commands = commands_by_group(collectors)[group]
    keys = key_rule(set(commands) & WRITE_COMMANDS, pattern)
    return " ".join(["ACL SETUSER", USER, *keys, *(f"+{command}" for command in commands)])


def source_addition(kind: str) -> str:
    """Return the line that grants the commands of a discovery source to a user that has the rest already."""
    return " ".join(["ACL SETUSER", USER, *(f"+{command}" for command in SOURCES[kind][1])])


def _setuser(commands: Iterable[str], password: str, keys: Iterable[str] = ()) -> str:
    words = ["ACL SETUSER", USER, "reset", "on", f">{password}", *keys, *(f"+{command}" for command in commands)]
    return " ".join(words)


def declared_command(args: tuple[str | int | bytes, ...], declared: Iterable[str]) -> str | None:
    """Return the declared command that was sent, in the spelling of an ACL, or None if it was not declared."""
    words = [str(word).lower() for word in args[:2]]
    return next((name for name in ("|".join(words), words[0]) if name in set(declared)), None)


def sentinel_line(collectors: Iterable[Collector], *, groups: Iterable[str] = (), password: str = PASSWORD) -> str:
    """Return the complete line for a Sentinel. A Sentinel knows few commands of other servers."""
    by_group = commands_by_group(sentinel_collectors(collectors))
    commands = [command for group in (ALL_SERVERS, SENTINEL, *groups) for command in by_group.get(group, ())]
    return _setuser([*commands, *[SET_LIBRARY_NAME] * (LIBRARY_NAME in groups)], password)


def discovery_line(password: str = PASSWORD) -> str:
    """Return the complete line for Sentinels that discovery queries and subscribes to."""
    return _setuser(COMMANDS, password, [f"&{channel}" for channel in CHANNELS])


def sentinel_collectors(collectors: Iterable[Collector]) -> list[Collector]:
    """Return the collectors that read Sentinels."""
    return [collector for collector in collectors if collector.applies(Server(mode="sentinel", role="sentinel"))]


def shell_command(text: str) -> str:
    """Return a line as a shell command, with quotes: ``>``, ``|``, ``~`` and ``&`` have a meaning in shells."""
    return f"redis-cli {shlex.join(text.split())}"
