"""Doubles, on a real socket, of managed services and of servers that are in no package.

Each answers as its documentation and public captures say: forms and fields of INFO, errors, refused commands.
``docs/servers.md`` says which of it was ever tried with the real service. The replies to all other commands are the
recorded ones of a real server.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis_pulse.errors import TargetError, UnknownCommandError
from tests import recordings, replay
from tests.fakes import Command, FakeServer, Reply, Response, error

#: Stands for the INFO of a double in ``forms``.
INFO = "the INFO of this server"
#: The errors for a command that a server does not have. ``{rest}`` are the words after its name.
BACKTICKS = "ERR unknown command `{name}`, with args beginning with: {backticks}"
QUOTES = "ERR unknown command '{name}', with args beginning with: {quotes}"
NOPERM = "NOPERM this user has no permissions to run the '{acl}' command"


@dataclass(frozen=True, kw_only=True)
class Double:
    """How one kind of server or service answers."""

    #: The INFO texts of its nodes. The nodes answer INFO in turn.
    infos: Sequence[str]
    #: Form of INFO → its reply. All other forms return ``INFO``.
    forms: Mapping[str, Any] = field(default_factory=dict)
    #: Server and role of the recorded session whose replies it sends; empty if it has no other commands.
    session: tuple[str, str] = ("", "")
    #: Command → reply, in place of the recorded one.
    replies: Mapping[str, Any] = field(default_factory=dict)
    #: Commands that it refuses, by their first word or first two words, and the error.
    refused: frozenset[str] = frozenset()
    refusal: str = QUOTES
    #: The error for all other commands without a reply.
    unknown: str = QUOTES
    #: An address of the service, as its documentation writes it.
    host: str = ""
    #: The service to which the login of the target belongs.
    login_service: str = ""
    #: What must be published.
    software: str
    service: str = ""


class DoubleServer(FakeServer):
    """A server that answers like a double, and records its error replies."""

    def __init__(self, double: Double) -> None:
        super().__init__()
        self.double = double
        #: Each command that got an error as its reply.
        self.refused: list[str] = []
        self._infos = 0
        self._session = replay.load(*double.session) if double.session[0] else {}

    def _response(self, command: Command) -> Response:
        name, sub = command[0].upper(), (command[1].upper() if len(command) > 1 else "")
        if name == "PING":
            return Reply(encode(command[1] if sub else b"PONG"))
        if name == "INFO":
            return self._info(sub.lower())
        if name in self.double.refused or f"{name} {sub}" in self.double.refused:
            return self._error(command, self.double.refusal)
        for key in (" ".join(command).upper(), f"{name} {sub}", name):
            if key in self.double.replies:
                return self._reply(command, self.double.replies[key])
        if name in ("SELECT", "AUTH") or (name, sub) in (("CLIENT", "SETNAME"), ("CLIENT", "SETINFO")):
            return Reply(b"+OK\r\n")
        recorded = self._recorded(command)
        return self._error(command, self.double.unknown) if recorded is None else self._reply(command, recorded)

    def _info(self, form: str) -> Response:
        reply = self.double.forms.get(form, INFO)
        if reply == INFO:
            # A client asks one node for all forms of INFO.
            reply = encode_info(self.double.infos[self._infos % len(self.double.infos)])
            self._infos += 1
        return self._reply(("INFO", form), reply)

    def _recorded(self, command: Command) -> Any:
        """Return the reply to the most similar recorded command, or None."""
        for words in (len(command), 2, 1):
            wanted = [word.upper() for word in command[:words]]
            for (db, args), replies in self._session.items():
                if db is None and [str(word).upper() for word in args[:words]] == wanted:
                    return replies[-1]
        return None

    def _reply(self, command: Command, reply: Any) -> Response:
        if not isinstance(reply, TargetError):
            return Reply(encode(reply))
        if isinstance(reply, UnknownCommandError):
            return self._error(command, self.double.unknown)
        return self._error(command, str(reply))

    def _error(self, command: Command, text: str) -> Response:
        name, rest = command[0], command[1:]
        self.refused.append(" ".join(command).upper())
        words = {
            "name": name,
            "sub": rest[0] if rest else "",
            "quotes": "".join(f"'{word}' " for word in rest),
            "backticks": "".join(f"`{word}`, " for word in rest),
            "acl": "|".join(word.lower() for word in command[:2]),
        }
        return error(text.format(**words))


def encode_info(text: str) -> bytes:
    """Return the text in the format of INFO: each line ended by CRLF."""
    return text.strip("\n").replace("\r\n", "\n").replace("\n", "\r\n").encode() + b"\r\n"


def encode(reply: Any) -> bytes:
    """Encode a reply as RESP2."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(encode, reply))
        case str():
            return encode(reply.encode())
        case TargetError():
            return f"-{reply}\r\n".encode()
    return b"$%d\r\n%b\r\n" % (len(reply), reply)


def managed(name: str) -> str:
    """Return the INFO of a service."""
    return (recordings.REPLIES / "managed" / f"{name}.txt").read_text(encoding="utf-8")


def compatible(name: str) -> str:
    """Return the INFO of a compatible server."""
    return (recordings.REPLIES / "compatible" / f"{name}.txt").read_text(encoding="utf-8")


def edited(text: str, fields: Mapping[str, str], without: Sequence[str] = ()) -> str:
    """Return an INFO text with other values of some fields, and without some fields."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        name, colon, _ = line.partition(":")
        if colon and name in without:
            continue
        lines.append(f"{name}:{fields[name]}" if colon and name in fields else line)
    return "\n".join(lines)


def recorded(server: str, role: str) -> str:
    """Return the INFO of a recorded session."""
    [reply] = {bytes(replies[-1]) for (_, args), replies in replay.load(server, role).items() if args[0] == "INFO"}
    return reply.decode()


VALKEY = ("valkey-8.1.8", "primary")
VALKEY_NODE = ("valkey-8.1.8", "cluster")
REDIS = ("redis-7.0.15", "primary")
#: What the services of AWS write into these fields.
_AWS_FIELDS = {
    "redis_git_sha1": "0",
    "redis_git_dirty": "0",
    "redis_build_id": "0",
    "gcc_version": "0.0.0",
    "process_id": "1",
    "executable": "-",
    "config_file": "-",
}
_WRITES = frozenset({"BGREWRITEAOF", "BGSAVE", "DEBUG", "MIGRATE", "SAVE", "SHUTDOWN", "REPLICAOF", "SLAVEOF"})
_ENTERPRISE_REFUSES = frozenset(
    {"LATENCY LATEST", "LATENCY DOCTOR", "LATENCY RESET", "MEMORY STATS", "MEMORY DOCTOR", "LASTSAVE", "ROLE"}
    | {"ACL LOG", "CLUSTER", "COMMANDLOG", "DEBUG", "READONLY", "CONFIG RESETSTAT"}
)
#: Redis Enterprise has a part of the settings, and an error for all others.
_ENTERPRISE_REPLIES = {
    "CONFIG GET MAXMEMORY": ["maxmemory", "0"],
    "CONFIG GET": TargetError("ERR Unsupported CONFIG parameter: {sub}"),
}
_KEYDB_REPLIES = {
    "CONFIG GET": ["maxmemory", "0", "maxclients", "10000"],
    "CLIENT LIST": "id=7 addr=10.0.0.9:53312 laddr=10.0.0.2:6379 fd=12 name= age=3 idle=0 flags=N db=0 sub=0 psub=0"
    " multi=-1 qbuf=26 qbuf-free=40928 argv-mem=10 obl=0 oll=0 omem=0 tot-mem=61466 events=r cmd=client"
    " user=default redir=-1\n",
    "SLOWLOG LEN": 1,
    "SLOWLOG GET": [[4, 1795379990, 12071, ["KEYS", "*"], "10.0.0.9:53312", ""]],
    "LATENCY LATEST": [["command", 1795379991, 12, 400]],
}
_DRAGONFLY_REPLIES = {
    "CONFIG GET": ["maxclients", "64000", "maxmemory", "1073741824", "dbnum", "16"],
    "CLIENT LIST": "id=3 addr=10.0.0.1:40000 laddr=10.0.0.2:6379 fd=9 name=web tid=1 irqmatch=0 pipeline=0 age=51"
    " idle=0 tot-cmds=12 phase=process db=0 lib-name=redis-py lib-ver=5.2.1\r\n",
    "SLOWLOG LEN": 0,
    "SLOWLOG GET": [],
    "ACL LOG": [],
}

SERVICES: dict[str, Double] = {
    "elasticache": Double(
        infos=[edited(recorded(*VALKEY_NODE), _AWS_FIELDS | {"os": "Amazon ElastiCache"})],
        session=VALKEY_NODE,
        refused=_WRITES | {"CONFIG", "SYNC"},
        host="clustercfg.cart.ab12cd.euw1.cache.amazonaws.com",
        software="valkey",
        service="elasticache",
    ),
    "elasticache-serverless": Double(
        infos=[
            managed("elasticache-serverless"),
            edited(
                managed("elasticache-serverless"),
                {
                    "run_id": "0000000000000000000000000000000000000002",
                    "total_commands_processed": "50",
                    "keyspace_hits": "7",
                },
            ),
        ],
        session=("redis-7.0.15", "cluster"),
        refused=_WRITES | {"CONFIG", "LATENCY", "MEMORY", "MODULE"},
        host="cart-ab12cd.serverless.euw1.cache.amazonaws.com",
        software="redis",
        service="elasticache-serverless",
    ),
    "memorydb": Double(
        infos=[
            edited(
                recorded(*VALKEY_NODE),
                _AWS_FIELDS | {"os": "Amazon MemoryDB", "valkey_version": "7.3.0", "run_id": ""},
                without=("server_mode", "valkey_release_stage"),
            )
        ],
        session=VALKEY_NODE,
        refused=_WRITES | {"CONFIG", "MODULE", "PSYNC", "SYNC", "COMMANDLOG", "ACL SETUSER"},
        host="clustercfg.cart.ab12cd.memorydb.eu-west-1.amazonaws.com",
        software="valkey",
        service="memorydb",
    ),
    "azure-cache": Double(
        infos=[managed("azure-cache")],
        session=("redis-6.2.14", "primary"),
        refused=_WRITES | {"CONFIG"},
        refusal="ERR unknown command",
        host="cart.redis.cache.windows.net",
        software="redis",
        service="azure-cache",
    ),
    "azure-managed-redis": Double(
        infos=[managed("redis-enterprise")],
        session=REDIS,
        replies=_ENTERPRISE_REPLIES,
        refused=_WRITES | _ENTERPRISE_REFUSES,
        refusal="ERR unknown command '{name}'",
        host="cart.westeurope.redis.azure.net",
        software="redis-enterprise",
        service="azure-managed-redis",
    ),
    "redis-cloud": Double(
        infos=[managed("redis-enterprise")],
        session=REDIS,
        replies=_ENTERPRISE_REPLIES,
        refused=_WRITES | _ENTERPRISE_REFUSES,
        refusal="ERR unknown command '{name}'",
        host="redis-12000.c1.eu-west-1-1.ec2.redns.redis-cloud.com",
        software="redis-enterprise",
        service="redis-cloud",
    ),
    "redis-enterprise": Double(
        infos=[managed("redis-enterprise")],
        session=REDIS,
        replies=_ENTERPRISE_REPLIES,
        refused=_WRITES | _ENTERPRISE_REFUSES,
        refusal="ERR unknown command '{name}'",
        software="redis-enterprise",
    ),
    "memorystore": Double(
        infos=[managed("memorystore")],
        session=REDIS,
        refused=_WRITES | {"ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "LASTSAVE", "MONITOR", "OBJECT"},
        refusal=BACKTICKS,
        software="redis",
    ),
    "memorystore-cluster": Double(
        infos=[edited(recorded(*VALKEY_NODE), {"valkey_version": "8.0.1", "executable": "", "config_file": ""})],
        session=VALKEY_NODE,
        refused=_WRITES | {"ACL", "CONFIG", "LATENCY", "MEMORY", "MODULE", "MONITOR", "SLOWLOG", "COMMANDLOG"},
        refusal=NOPERM,
        login_service="memorystore",
        software="valkey",
        service="memorystore",
    ),
    "aiven": Double(
        infos=[edited(recorded(*VALKEY), {"executable": "", "config_file": ""})],
        session=VALKEY,
        refused=_WRITES | {"CLUSTER", "COMMAND", "FAILOVER", "ACL", "CONFIG", "LASTSAVE", "MONITOR", "ROLE"},
        refusal=NOPERM,
        host="cart-shop.a.aivencloud.com",
        software="valkey",
        service="aiven",
    ),
    "digitalocean": Double(
        infos=[recorded(*VALKEY)],
        session=VALKEY,
        host="db-valkey-ams3-1-do-user-1-0.b.db.ondigitalocean.com",
        software="valkey",
        service="digitalocean",
    ),
    "upstash": Double(
        infos=[compatible("upstash")],
        forms={"everything": b"# everything\r\n"},
        replies={"DBSIZE": 15, "SCAN": [b"0", []], "CONFIG GET": [], "ACL LOG": []},
        unknown="ERR Command is not available: '{name}'. See https://upstash.com/docs/redis/overall/rediscompatibility",
        host="eu1-cart-1.upstash.io",
        software="upstash",
        service="upstash",
    ),
}

SERVERS: dict[str, Double] = {
    "dragonfly": Double(
        infos=[compatible("dragonfly")],
        forms={"everything": b""},
        replies=_DRAGONFLY_REPLIES,
        refused=frozenset({"LATENCY"}),
        refusal="Unknown subcommand or wrong number of arguments for '{sub}'. Try LATENCY HELP.",
        unknown="ERR unknown command `{name}`",
        software="dragonfly",
    ),
    "garnet": Double(
        infos=[compatible("garnet")],
        forms={"everything": TargetError("ERR Invalid section everything. Try INFO HELP")},
        replies={"SLOWLOG LEN": 0, "SLOWLOG GET": [], "CONFIG GET": [], "LATENCY HISTOGRAM": []},
        unknown="ERR unknown command",
        software="garnet",
    ),
    "keydb": Double(
        infos=[compatible("keydb")],
        replies=_KEYDB_REPLIES,
        refused=frozenset({"LATENCY HISTOGRAM"}),
        refusal="ERR Unknown subcommand or wrong number of arguments for '{sub}'. Try LATENCY HELP.",
        unknown=BACKTICKS,
        software="keydb",
    ),
    "kvrocks": Double(
        infos=[compatible("kvrocks")],
        forms={"everything": b""},
        replies={"SLOWLOG LEN": 0, "SLOWLOG GET": [], "CONFIG GET": ["maxclients", "10000"]},
        unknown=BACKTICKS,
        software="kvrocks",
    ),
    "pika": Double(
        infos=[compatible("pika")],
        forms={"everything": TargetError("ERR syntax error")},
        replies={"SLOWLOG LEN": 0, "SLOWLOG GET": []},
        unknown='ERR unknown command "{name}"',
        software="pika",
    ),
    "redict": Double(
        infos=[compatible("redict")],
        session=REDIS,
        software="redict",
    ),
    "tile38": Double(
        infos=[compatible("tile38")],
        forms={"everything": b"", "all": b""},
        replies={"SERVER EXT": ["tile38_num_objects", "1833", "tile38_heap_size", "5308416"]},
        unknown="ERR unknown command '{name}'",
        software="tile38",
    ),
}

DOUBLES: dict[str, Double] = SERVICES | SERVERS
