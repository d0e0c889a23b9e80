"""The commands of one poll: they pass to the server only what is not known yet.

- Replies: a command that several collectors need, such as INFO, is sent once in each poll.
- Pipelines: ``TargetPoller`` has sent the commands that collectors announced. Their replies are there.
- Refusals: a command that the server lacks or denies is not sent again in later polls. The error is remembered and
  raised again instead. So the exporter does not increase the server's ``total_error_replies`` with every poll.

A command that the server lacks is remembered for as long as the server is the same. A command that it denies is sent
again after ``DENIED_FOR`` seconds, because an operator may grant it.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from redis_pulse.commands import CONTAINER_COMMANDS, UNSUPPORTED, Args, Commands, Word
from redis_pulse.errors import KeyDeniedError, NoDatabaseError, NotOfferedError, PermissionDeniedError, TargetError
from redis_pulse.server_info import Server

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


class PipelinedReply(NamedTuple):
    """A reply that has come before its command was wanted, or the error in its place."""

    reply: Any
    #: How long it took.
    seconds: float
    #: Whether the error ended the whole pipeline.
    is_failure: bool = False


#: The replies of one poll that no collector has wanted yet, by command.
PipelinedReplies = dict[Args, PipelinedReply]


class CachingCommands:
    """Implements ``Commands`` and sends through ``commands`` what is not cached. ``clock`` is monotonic, in seconds."""

    def __init__(
        self,
        commands: Commands,
        replies: PollReplies,
        refusals: RefusedCommands,
        server: Server,
        clock: Callable[[], float],
        pipelined: PipelinedReplies | None = None,
    ) -> None:
        self._commands = commands
        self._replies = replies
        self._pipelined: PipelinedReplies = {} if pipelined is None else pipelined
        self._refusals = refusals
        self._identity = server.identity
        self._profile = server.profile
        self._clock = clock
        #: How many commands were sent to the server.
        self.sent = 0
        #: How many seconds the replies took that were there already.
        self.waited = 0.0
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
                self._replies[key] = await self._execute(args, db)
            except TargetError as error:
                if (refusal := self._refusal(args, error)) is not None:
                    self._remember_command(args, refusal)
                    self._replies[key] = _copy(refusal)
                    raise refusal from None
                self._keep_failure(key, error)
                raise
        if isinstance(known := self._replies[key], TargetError):
            raise _copy(known)
        return known

    async def _execute(self, args: Args, db: int | None) -> Any:
        """Return the reply that is there, or send the command. Raises TargetError."""
        if db is not None or (known := self._pipelined.pop(args, None)) is None:
            return await self._commands.execute(*args, db=db)
        self.waited += known.seconds
        if isinstance(known.reply, TargetError):
            raise _copy(known.reply)
        return known.reply

    async def _pipeline(self, commands: Sequence[Args], db: int | None) -> list[Any]:
        """Return the replies that are there, and those to the other commands, which are sent. Raises TargetError."""
        if db is not None or not any(args in self._pipelined for args in commands):
            return await self._commands.pipeline(commands, db=db)
        known = [self._pipelined.pop(args, None) for args in commands]
        self.waited += sum(one.seconds for one in known if one is not None)
        for one in known:
            if one is not None and one.is_failure:
                raise _copy(one.reply)
        missing = [args for args, one in zip(commands, known, strict=True) if one is None]
        sent = iter(await self._commands.pipeline(missing, db=db))
        return [next(sent) if one is None else one.reply for one in known]

    def _refusal(self, args: Args, error: TargetError) -> TargetError | None:
        """Return the refusal of a command, or None for any other error.

        A service may refuse what it does not offer as if it was denied, or with its own error.
        """
        command = _command(args)
        is_refusal = type(error) is TargetError or isinstance(error, UNSUPPORTED)
        if is_refusal and not isinstance(error, KeyDeniedError | NoDatabaseError) and not self._profile.offers(command):
            return NotOfferedError(f"{self._profile.title} does not offer {command}: {error}")
        return error if isinstance(error, UNSUPPORTED) else None

    def _keep_failure(self, key: tuple[int | None, Args], error: TargetError) -> None:
        """Keep a refusal of one form of INFO until the poll ends, because six collectors try the same forms."""
        if _command(key[1]) == _ALWAYS_SENT and type(error) is TargetError:
            self._replies[key] = _copy(error)

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
            sent_replies = iter(await self._pipeline(to_send, db))
        except UNSUPPORTED as error:  # even SELECT of the database may be refused
            self._remember(_select(db), error, "select")
            raise
        replies = [
            _copy(known[position]) if position in known else self._as_refusal(args, next(sent_replies))
            for position, args in enumerate(commands)
        ]
        for position, (args, reply) in enumerate(zip(commands, replies, strict=True)):
            if isinstance(reply, UNSUPPORTED) and position not in known:
                self._remember_command(args, reply)
        return replies

    def _as_refusal(self, args: Args, reply: Any) -> Any:
        """Return the reply to a command of a pipeline, or its refusal."""
        return (self._refusal(args, reply) or reply) if isinstance(reply, TargetError) else reply

    def may_send(self, args: Args) -> bool:
        """Return whether the command has no known refusal, and its reply is not known."""
        return (
            (None, args) not in self._replies
            and args not in self._pipelined
            and self._known_refusal(_command(args)) is None
        )

    def remember_unread_refusals(self) -> None:
        """Remember the refusals that no collector has read, because an earlier reply ended it."""
        for args, one in self._pipelined.items():
            if isinstance(one.reply, TargetError) and (refusal := self._refusal(args, one.reply)) is not None:
                self._remember_command(args, refusal)

    def _known_refusal(self, command: str) -> TargetError | None:
        """Return the remembered refusal of a command, or None if it may be sent."""
        if not self._refusals:
            return None  # nearly always
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
    copy.was_tried = error.was_tried
    if isinstance(error, PermissionDeniedError) and isinstance(copy, PermissionDeniedError):
        copy.command = error.command
    return copy


def _select(db: int | None) -> str:
    return f"SELECT {db}"


@lru_cache(maxsize=256)
def _command(args: Args) -> str:
    words = [str(word).upper() for word in args[:2]]
    return " ".join(words) if words[0] in CONTAINER_COMMANDS else words[0]
