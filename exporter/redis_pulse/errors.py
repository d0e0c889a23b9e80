"""The errors of operations on a target. Every error has one ``reason``.

* TargetError ................................ other
  * OperationTimeoutError .................... timeout, unavailable
  * ConnectionRefusedByTargetError ........... refused, unavailable
  * ConnectionResetByTargetError ............. reset, unavailable
  * NameResolutionError ...................... dns, unavailable
  * UnreachableError ......................... unreachable, unavailable
  * TlsError ................................. tls, unavailable
  * AuthError ................................ auth
  * PermissionDeniedError .................... permission
    * KeyDeniedError ......................... permission
  * UnknownCommandError ...................... other
    * NotOfferedError ........................ other
    * NoDatabaseError ........................ other
  * LoadingError ............................. loading, unavailable
  * BusyError ................................ busy, unavailable
  * OverloadedError .......................... overloaded, unavailable
  * MasterDownError .......................... masterdown, unavailable
  * ReadOnlyReplicaError ..................... readonly
  * MaxClientsError .......................... maxclients, unavailable
  * OutOfMemoryError ......................... oom
  * MisconfError ............................. misconf
  * ClusterDownError ......................... clusterdown
  * MovedError ............................... other
  * ProtocolError ............................ protocol
    * EmptyReplyError ........................ protocol
    * TooLargeError .......................... too_large
  * RejectedError ............................ rejected
  * SkippedError ............................. skipped

``client.error_mapping`` maps all exceptions of libraries to these classes. ``reason`` is a constant of the class and
becomes a label value. So the values of the label stay bounded, whatever a server replies.

The circuit breaker counts the errors with ``unavailable`` as failures. It does not count a refusal, because a server
that refuses a command is alive.
"""

from typing import ClassVar, Self


def forget_frames(error: BaseException | None) -> None:
    """Drop the tracebacks of an error and of its causes.

    They refer to frames, and so to whole replies. Often a frame refers to the error too. Then only the garbage
    collector can free the replies, and it may not run for minutes.
    """
    while error is not None and error.__traceback__ is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


class TargetError(Exception):
    """An operation on a target failed.

    ``str(error)`` is safe to log: it never contains a credential.
    """

    reason: ClassVar[str] = "other"
    unavailable: ClassVar[bool] = False
    #: False if nothing was sent: the operation fails for the cause of an earlier error
    was_tried: bool = True

    def untried(self) -> Self:
        """Return a copy of this error for an operation that was not tried because of it."""
        copy = type(self)(str(self))
        copy.was_tried = False
        return copy


class OperationTimeoutError(TargetError):
    """There was no reply before the deadline of the operation."""

    reason = "timeout"
    unavailable = True


class ConnectionRefusedByTargetError(TargetError):
    """No process listens at the address."""

    reason = "refused"
    unavailable = True


class ConnectionResetByTargetError(TargetError):
    """The connection was closed or reset while it was in use."""

    reason = "reset"
    unavailable = True


class NameResolutionError(TargetError):
    """The host name does not resolve."""

    reason = "dns"
    unavailable = True


class UnreachableError(TargetError):
    """There is no route to the address, or the socket file does not exist."""

    reason = "unreachable"
    unavailable = True


class TlsError(TargetError):
    """The TLS handshake failed: certificate, name, protocol version."""

    reason = "tls"
    unavailable = True


class AuthError(TargetError):
    """The server does not accept our credentials (NOAUTH, WRONGPASS)."""

    reason = "auth"


class PermissionDeniedError(TargetError):
    """The user may not run this command (NOPERM)."""

    reason = "permission"
    #: The denied command in the notation of ACLs: ``client|list``. Empty if unknown.
    command = ""


class KeyDeniedError(PermissionDeniedError):
    """The user may run the command, but not on this key. Other keys may be allowed."""


class UnknownCommandError(TargetError):
    """The server does not have this command."""

    reason = "other"


class NotOfferedError(UnknownCommandError):
    """The server or the service refuses this command on purpose, as its documentation says."""


class NoDatabaseError(UnknownCommandError):
    """The server has no database with this number. It has other databases."""


class LoadingError(TargetError):
    """The server is loading its dataset (LOADING)."""

    reason = "loading"
    unavailable = True


class BusyError(TargetError):
    """The server is busy with a script (BUSY)."""

    reason = "busy"
    unavailable = True


class OverloadedError(TargetError):
    """The server cannot check the credentials at the moment (``ERR_IAM_EXHAUSTED`` of Memorystore)."""

    reason = "overloaded"
    unavailable = True


class MasterDownError(TargetError):
    """The replica has lost its master and does not serve stale data (MASTERDOWN)."""

    reason = "masterdown"
    unavailable = True


class ReadOnlyReplicaError(TargetError):
    """A read-only replica refused a write (READONLY)."""

    reason = "readonly"


class MaxClientsError(TargetError):
    """The server has reached its limit of connections (``maxclients``)."""

    reason = "maxclients"
    unavailable = True


class OutOfMemoryError(TargetError):
    """The server refused a write because it has reached ``maxmemory`` (OOM)."""

    reason = "oom"


class MisconfError(TargetError):
    """The server refuses writes because a snapshot failed (MISCONF)."""

    reason = "misconf"


class ClusterDownError(TargetError):
    """The cluster does not serve this slot (CLUSTERDOWN)."""

    reason = "clusterdown"


class MovedError(TargetError):
    """The key belongs to another node of the cluster (MOVED)."""


class ProtocolError(TargetError):
    """The reply violates the protocol."""

    reason = "protocol"


class EmptyReplyError(ProtocolError):
    """The server replied, but the reply contains nothing that is known."""


class TooLargeError(ProtocolError):
    """The reply is larger than a limit: bytes, elements, levels or the length of a line."""

    reason = "too_large"


class RejectedError(TargetError):
    """The circuit breaker is open: nothing was sent."""

    reason = "rejected"


class SkippedError(TargetError):
    """The operation was due and was not sent. The exporter or its host was too slow, not the target."""

    reason = "skipped"


#: All reasons, in the order of the public contract. The label ``reason`` has no other values.
REASONS: tuple[str, ...] = (
    "timeout",
    "refused",
    "reset",
    "dns",
    "unreachable",
    "tls",
    "auth",
    "permission",
    "loading",
    "busy",
    "overloaded",
    "masterdown",
    "readonly",
    "maxclients",
    "oom",
    "misconf",
    "clusterdown",
    "protocol",
    "too_large",
    "rejected",
    "skipped",
    "other",
)
