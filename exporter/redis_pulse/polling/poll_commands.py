"""The commands port that the sampler hands to collectors: asks nothing twice that it knows already.

Within one poll a command that several collectors need (INFO) is sent once. And a command that this server lacks or
denies is not sent at every poll: the error is remembered and raised again without asking, so a server's
``total_error_replies`` does not grow because of us. What a server lacks is remembered for as long as the server is the
same. What it denies is asked again now and then, because an operator may grant it.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from redis_pulse.commands import CONTAINER_COMMANDS, UNSUPPORTED, Args, Commands, Word
from redis_pulse.errors import KeyDeniedError, PermissionDeniedError, TargetError

#: The replies of one poll, by database and command.
PollReplies = dict[tuple[int | None, Args], Any]
#: What a server refused: command → (the server's identity at that time, the error, until when it is believed).
RefusedCommands = dict[str, tuple[tuple[str, ...], TargetError, float]]
#: Seconds after which a command that was denied is asked again.
DENIED_FOR = 300.0
#: By INFO we learn what the server is: it is asked every time, also when it was denied before.
_ALWAYS = "INFO"
#: How servers name a command that they deny: ``… to run the 'client|list' command``.
_NAMED = re.compile(r"'([a-z0-9_.-]+(?:\|[a-z0-9_.-]+)?)' command", re.IGNORECASE)


class CachingCommands:
    """Asks ``commands`` what is not known yet. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        commands: Commands,
        replies: PollReplies,
        refusals: RefusedCommands,
        identity: tuple[str, ...],
        clock: Callable[[], float],
    ) -> None:
        self._commands = commands
        self._replies = replies
        self._refusals = refusals
        self._identity = identity
        self._clock = clock
        #: how many commands went to the server
        self.sent = 0
        #: What was denied, now or before, by its name in an ACL; a key that is denied is no such thing.
        self.denied: dict[str, PermissionDeniedError] = {}

    async def execute(self, *args: Word, db: int | None = None) -> Any:
        """Send one command, unless its reply or its refusal is known. Raises TargetError."""
        key = (db, args)
        if key not in self._replies:
            if (refusal := self._refused(_command(args))) is not None:
                raise _again(refusal)
            self.sent += 1
            try:
                self._replies[key] = await self._commands.execute(*args, db=db)
            except UNSUPPORTED as error:
                self._remember(args, error)
                self._replies[key] = error
                raise
            except TargetError as error:
                self._keep_failure(key, error)
                raise
        if isinstance(known := self._replies[key], TargetError):
            raise _again(known)
        return known

    def _keep_failure(self, key: tuple[int | None, Args], error: TargetError) -> None:
        """Keep a server's refusal of one form of INFO until the poll ends: six collectors try the same forms."""
        if _command(key[1]) == _ALWAYS and type(error) is TargetError:
            self._replies[key] = error

    async def pipeline(self, commands: Sequence[Args], *, db: int | None = None) -> list[Any]:
        """Send the commands whose refusal is not known; the others have it in their place. Raises TargetError."""
        known = {
            place: error for place, args in enumerate(commands) if (error := self._refused(_command(args))) is not None
        }
        asked = [args for place, args in enumerate(commands) if place not in known]
        if (refusal := self._refused(_database(db))) is not None:
            raise _again(refusal)
        self.sent += len(asked)
        try:
            answers = iter(await self._commands.pipeline(asked, db=db))
        except UNSUPPORTED as error:  # it may not even SELECT the database
            self._keep(_database(db), error, "select")
            raise
        replies = [_again(known[place]) if place in known else next(answers) for place in range(len(commands))]
        for place, (args, reply) in enumerate(zip(commands, replies, strict=True)):
            if isinstance(reply, UNSUPPORTED) and place not in known:
                self._remember(args, reply)
        return replies

    def _refused(self, command: str) -> TargetError | None:
        """Return the refusal of a command that is still believed."""
        identity, error, until = self._refusals.get(command, ((), None, 0.0))
        if error is None or identity != self._identity or self._clock() >= until:
            return None
        if isinstance(error, PermissionDeniedError):
            self.denied[error.command] = error
        return error

    def _remember(self, args: Args, error: TargetError) -> None:
        self._keep(_command(args), error, _command(args).lower().replace(" ", "|"))

    def _keep(self, command: str, error: TargetError, name: str) -> None:
        if isinstance(error, KeyDeniedError):
            return
        if isinstance(error, PermissionDeniedError):
            named = _NAMED.search(str(error))
            error.command = named[1].lower() if named else name
            self.denied[error.command] = error
        if command != _ALWAYS:
            until = self._clock() + DENIED_FOR if isinstance(error, PermissionDeniedError) else math.inf
            self._refusals[command] = (self._identity, _again(error), until)


def _again(error: TargetError) -> TargetError:
    """Return the same error, to be raised once more: an error that was raised holds on to where."""
    again = type(error)(str(error))
    if isinstance(error, PermissionDeniedError) and isinstance(again, PermissionDeniedError):
        again.command = error.command
    return again


def _database(db: int | None) -> str:
    return f"SELECT {db}"


def _command(args: Args) -> str:
    words = [str(word).upper() for word in args[:2]]
    return " ".join(words) if words[0] in CONTAINER_COMMANDS else words[0]
