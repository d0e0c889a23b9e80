"""The commands port that the sampler hands to collectors: asks nothing twice that it knows already.

Within one poll a command that several collectors need (INFO) is sent once. And a command that this server lacks or
denies is sent once for as long as the server is the same: the error is remembered and raised again without asking,
so a server's ``total_error_replies`` does not grow because of us.
"""

from collections.abc import Sequence
from typing import Any

from exporter.collectors.base import UNSUPPORTED, Commands
from exporter.errors import KeyDeniedError, TargetError, UnknownCommandError

Args = tuple[str | int | bytes, ...]
#: The replies of one poll, by database and command.
Replies = dict[tuple[int | None, Args], Any]
#: What a server refused: command → (the server's identity at that time, the error).
Refusals = dict[str, tuple[tuple[str, ...], TargetError]]
#: Commands whose second word is a command of its own.
_CONTAINERS = frozenset(
    {"ACL", "CLIENT", "CLUSTER", "COMMAND", "COMMANDLOG", "CONFIG", "FUNCTION", "LATENCY", "MEMORY", "MODULE", "OBJECT"}
    | {"SCRIPT", "SENTINEL", "SLOWLOG", "XINFO"}
)
#: By INFO we learn what the server is: it is asked every time, also when it was denied before.
_ALWAYS = "INFO"


class Asking:
    """Asks ``commands`` what is not known yet."""

    def __init__(self, commands: Commands, replies: Replies, refusals: Refusals, identity: tuple[str, ...]) -> None:
        self._commands = commands
        self._replies = replies
        self._refusals = refusals
        self._identity = identity
        #: how many commands went to the server
        self.sent = 0

    async def execute(self, *args: str | int | bytes, db: int | None = None) -> Any:
        """Send one command, unless its reply or its refusal is known. Raises TargetError."""
        key = (db, args)
        if key not in self._replies:
            if (refusal := self._refused(args)) is not None:
                raise type(refusal)(str(refusal))
            self.sent += 1
            try:
                self._replies[key] = await self._commands.execute(*args, db=db)
            except UNSUPPORTED as error:
                self._remember(args, error)
                self._keep_failure(key, error)
                raise
            except TargetError as error:
                self._keep_failure(key, error)
                raise
        reply = self._replies[key]
        if isinstance(reply, TargetError):
            raise type(reply)(str(reply))
        return reply

    def _keep_failure(self, key: tuple[int | None, Args], error: TargetError) -> None:
        """Keep a server's refusal of one form of INFO until the poll ends: six collectors try the same forms."""
        if _command(key[1]) == _ALWAYS and type(error) in (TargetError, UnknownCommandError):
            self._replies[key] = error

    async def pipeline(self, commands: Sequence[Args], *, db: int | None = None) -> list[Any]:
        """Send the commands whose refusal is not known; the others have it in their place. Raises TargetError."""
        known = {place: error for place, args in enumerate(commands) if (error := self._refused(args)) is not None}
        asked = [args for place, args in enumerate(commands) if place not in known]
        if (refusal := self._refused_database(db)) is not None:
            raise type(refusal)(str(refusal))
        self.sent += len(asked)
        try:
            answers = iter(await self._commands.pipeline(asked, db=db))
        except UNSUPPORTED as error:  # it may not even SELECT the database
            self._refusals[_database(db)] = (self._identity, error)
            raise
        replies = [known[place] if place in known else next(answers) for place in range(len(commands))]
        for args, reply in zip(commands, replies, strict=True):
            if isinstance(reply, UNSUPPORTED):
                self._remember(args, reply)
        return replies

    def _refused_database(self, db: int | None) -> TargetError | None:
        refusal = self._refusals.get(_database(db))
        return refusal[1] if refusal is not None and refusal[0] == self._identity else None

    def _refused(self, args: Args) -> TargetError | None:
        refusal = self._refusals.get(_command(args))
        return refusal[1] if refusal is not None and refusal[0] == self._identity else None

    def _remember(self, args: Args, error: TargetError) -> None:
        if not isinstance(error, KeyDeniedError) and _command(args) != _ALWAYS:
            self._refusals[_command(args)] = (self._identity, error)


def _database(db: int | None) -> str:
    return f"SELECT {db}"


def _command(args: Args) -> str:
    words = [str(word).upper() for word in args[:2]]
    return " ".join(words) if words[0] in _CONTAINERS else words[0]
