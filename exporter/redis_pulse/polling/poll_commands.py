"""The commands of one poll: they pass to the server only what is not known yet.

- Replies: a command that several collectors need, such as INFO, is sent once in each poll.
- Refusals: a command that the server lacks or denies is not sent again in later polls. The error is remembered and
  raised again instead. So the exporter does not increase the server's ``total_error_replies`` with every poll.

A command that the server lacks is remembered for as long as the server is the same. A command that it denies is sent
again after ``DENIED_FOR`` seconds, because an operator may grant it.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from redis_pulse.commands import CONTAINER_COMMANDS, UNSUPPORTED, Args, Commands, Word
from redis_pulse.errors import KeyDeniedError, PermissionDeniedError, TargetError

#: The replies of one poll, by database and command.
PollReplies = dict[tuple[int | None, Args], Any]
#: Refused commands: command → (identity of the server that refused it, error, time until which this is remembered).
RefusedCommands = dict[str, tuple[tuple[str, ...], TargetError, float]]
#: Seconds after which a denied command is sent again.
DENIED_FOR = 300.0
#: INFO says what the server is. It is sent in every poll, even if it was denied before.
_ALWAYS_SENT = "INFO"
#: How servers name a denied command: ``… to run the 'client|list' command``.
_DENIED_NAME = re.compile(r"'([a-z0-9_.-]+(?:\|[a-z0-9_.-]+)?)' command", re.IGNORECASE)


class CachingCommands:
    """Implements ``Commands`` and sends through ``commands`` what is not cached. ``clock`` is monotonic, in seconds."""

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
        #: How many commands were sent to the server.
        self.sent = 0
        #: Commands denied in this poll or before, by their ACL name. Denied keys are not included.
        self.denied: dict[str, PermissionDeniedError] = {}

    async def execute(self, *args: Word, db: int | None = None) -> Any:
        """Send one command, unless its reply or its refusal is known. Raises TargetError."""
        key = (db, args)
        if key not in self._replies:
            if (refusal := self._known_refusal(_command(args))) is not None:
                raise _copy(refusal)
            self.sent += 1
            try:
                self._replies[key] = await self._commands.execute(*args, db=db)
            except UNSUPPORTED as error:
                self._remember_command(args, error)
                self._replies[key] = error
                raise
            except TargetError as error:
                self._keep_failure(key, error)
                raise
        if isinstance(known := self._replies[key], TargetError):
            raise _copy(known)
        return known

    def _keep_failure(self, key: tuple[int | None, Args], error: TargetError) -> None:
        """Keep a refusal of one form of INFO until the poll ends, because six collectors try the same forms."""
        if _command(key[1]) == _ALWAYS_SENT and type(error) is TargetError:
            self._replies[key] = error

    async def pipeline(self, commands: Sequence[Args], *, db: int | None = None) -> list[Any]:
        """Send the commands without a known refusal, and return all replies in order. Raises TargetError.

        A known refusal takes the place of the reply.
        """
        known = {
            position: error
            for position, args in enumerate(commands)
            if (error := self._known_refusal(_command(args))) is not None
        }
        to_send = [args for position, args in enumerate(commands) if position not in known]
        if (refusal := self._known_refusal(_select(db))) is not None:
            raise _copy(refusal)
        self.sent += len(to_send)
        try:
            sent_replies = iter(await self._commands.pipeline(to_send, db=db))
        except UNSUPPORTED as error:  # even SELECT of the database may be refused
            self._remember(_select(db), error, "select")
            raise
        replies = [
            _copy(known[position]) if position in known else next(sent_replies) for position in range(len(commands))
        ]
        for position, (args, reply) in enumerate(zip(commands, replies, strict=True)):
            if isinstance(reply, UNSUPPORTED) and position not in known:
                self._remember_command(args, reply)
        return replies

    def _known_refusal(self, command: str) -> TargetError | None:
        """Return the remembered refusal of a command, or None if it may be sent."""
        identity, error, until = self._refusals.get(command, ((), None, 0.0))
        if error is None or identity != self._identity or self._clock() >= until:
            return None
        if isinstance(error, PermissionDeniedError):
            self.denied[error.command] = error
        return error

    def _remember_command(self, args: Args, error: TargetError) -> None:
        self._remember(_command(args), error, _command(args).lower().replace(" ", "|"))

    def _remember(self, command: str, error: TargetError, acl_name: str) -> None:
        if isinstance(error, KeyDeniedError):
            return  # other keys may be allowed
        if isinstance(error, PermissionDeniedError):
            named = _DENIED_NAME.search(str(error))
            error.command = named[1].lower() if named else acl_name
            self.denied[error.command] = error
        if command != _ALWAYS_SENT:
            until = self._clock() + DENIED_FOR if isinstance(error, PermissionDeniedError) else math.inf
            self._refusals[command] = (self._identity, _copy(error), until)


def _copy(error: TargetError) -> TargetError:
    """Return an equal error to raise again. An exception that was raised keeps its frames in memory."""
    copy = type(error)(str(error))
    if isinstance(error, PermissionDeniedError) and isinstance(copy, PermissionDeniedError):
        copy.command = error.command
    return copy


def _select(db: int | None) -> str:
    return f"SELECT {db}"


def _command(args: Args) -> str:
    words = [str(word).upper() for word in args[:2]]
    return " ".join(words) if words[0] in CONTAINER_COMMANDS else words[0]
