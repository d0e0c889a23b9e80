"""Facts about commands, and the port through which collectors send them."""

from collections.abc import Sequence
from typing import Any, Protocol

from redis_pulse.errors import PermissionDeniedError, UnknownCommandError

#: A word of a command. Names that users choose are bytes, because they may not be valid UTF-8.
Word = str | int | bytes
#: The words of one command.
Args = tuple[Word, ...]
#: ``except UNSUPPORTED`` catches what ``execute`` raises for a command that the server lacks or denies.
#: The command is sent once. Later calls raise the same error without a request to the server.
UNSUPPORTED = (UnknownCommandError, PermissionDeniedError)
#: Commands with a subcommand as their second word.
CONTAINER_COMMANDS = frozenset(
    {
        "ACL",
        "CLIENT",
        "CLUSTER",
        "COMMAND",
        "COMMANDLOG",
        "CONFIG",
        "FUNCTION",
        "HOTKEYS",
        "LATENCY",
        "MEMORY",
        "MODULE",
        "OBJECT",
    }
    | {"SCRIPT", "SENTINEL", "SLOWLOG", "XINFO"}
)
#: Commands that only read, so that they may be sent a second time. Listed by their first word or first two words.
READ_ONLY = frozenset(
    {"INFO", "PING", "TYPE", "GET", "STRLEN", "LLEN", "SCARD", "ZCARD", "HLEN", "XLEN", "PFCOUNT", "SCAN", "DBSIZE"}
    | {"RANDOMKEY", "PTTL", "OBJECT IDLETIME", "OBJECT FREQ"}
    | {"GETRANGE", "ARCOUNT", "EVAL_RO", "EVALSHA_RO"}
    | {"SLOWLOG GET", "SLOWLOG LEN", "COMMANDLOG GET", "COMMANDLOG LEN", "LATENCY LATEST", "LATENCY HISTOGRAM"}
    | {
        "CONFIG GET",
        "CLUSTER INFO",
        "CLUSTER NODES",
        "CLUSTER SHARDS",
        "CLUSTER SLOT-STATS",
        "CLUSTER GETSLOTMIGRATIONS",
        "CLIENT LIST",
        "MEMORY USAGE",
    }
    | {"XINFO STREAM", "XINFO GROUPS", "XINFO CONSUMERS"}
    | {"SENTINEL MASTERS", "SENTINEL SENTINELS", "SENTINEL SLAVES", "SENTINEL CKQUORUM", "SENTINEL CONFIG"}
    | {"SENTINEL MYID", "SENTINEL GET-MASTER-ADDR-BY-NAME"}
    | {"HOTKEYS GET", "FT._LIST", "FT.INFO", "MODULE LIST"}
)


def is_read(args: Args) -> bool:
    """Return whether a command only reads."""
    words = [str(arg).upper() for arg in args[:2]]
    return words[0] in READ_ONLY or " ".join(words) in READ_ONLY


class Commands(Protocol):
    """Sends commands to one server. In tests it returns recorded replies.

    Replies have the types of RESP2: ``bytes``, ``int``, ``None`` or nested lists of these.
    Errors are ``redis_pulse.errors.TargetError``. Within one poll the same command is sent only once.
    """

    async def execute(self, *args: Word, db: int | None = None) -> Any:
        """Send one command and return its reply. It runs in the database of the target, or in database ``db``."""
        ...

    async def pipeline(self, commands: Sequence[Args], *, db: int | None = None) -> list[Any]:
        """Send several commands at once and return their replies, in the order of the commands.

        The reply to a command that failed is a ``TargetError``. Raises TargetError when the connection fails.
        """
        ...
