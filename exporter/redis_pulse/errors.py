"""What can go wrong between us and a target: one small tree, one bounded ``reason`` each.

Foreign exceptions are translated into this tree once, at the door (``client.py``). ``reason`` is a class constant and
becomes a label value, so the label stays bounded whatever a server answers. ``unavailable`` says whether the circuit
breaker counts the error as a failure: a server that answers "no" is alive.
"""

from typing import ClassVar, Self


class TargetError(Exception):
    """An operation on a target did not succeed.

    ``str(error)`` is safe to log: it never holds a credential.
    """

    reason: ClassVar[str] = "other"
    unavailable: ClassVar[bool] = False
    #: False when nothing was sent for it: it fails for the cause of an earlier one
    was_tried: bool = True

    def untried(self) -> Self:
        """Return this error for something that was not tried because of it."""
        again = type(self)(str(self))
        again.was_tried = False
        return again


class OperationTimeoutError(TargetError):
    """No answer before the deadline of the operation."""

    reason = "timeout"
    unavailable = True


class ConnectionRefusedByTargetError(TargetError):
    """Nothing listens at the address."""

    reason = "refused"
    unavailable = True


class ConnectionResetByTargetError(TargetError):
    """The connection was closed or reset while we used it."""

    reason = "reset"
    unavailable = True


class NameResolutionError(TargetError):
    """The host name does not resolve."""

    reason = "dns"
    unavailable = True


class UnreachableError(TargetError):
    """No route to the address, or the socket file is not there."""

    reason = "unreachable"
    unavailable = True


class TlsError(TargetError):
    """The TLS handshake failed: certificate, name, protocol version."""

    reason = "tls"
    unavailable = True


class AuthError(TargetError):
    """The server wants other credentials than ours (NOAUTH, WRONGPASS)."""

    reason = "auth"


class PermissionDeniedError(TargetError):
    """The user may not run this command (NOPERM)."""

    reason = "permission"
    #: What was denied, as an ACL names it: ``client|list``. Empty when nobody said.
    command = ""


class KeyDeniedError(PermissionDeniedError):
    """The user may run the command, but not on this key; other keys may be allowed."""


class UnknownCommandError(TargetError):
    """The server does not have this command."""

    reason = "other"


class NoDatabaseError(UnknownCommandError):
    """The server has no database of that number; other databases it has."""


class LoadingError(TargetError):
    """The server is loading its dataset (LOADING)."""

    reason = "loading"
    unavailable = True


class BusyError(TargetError):
    """The server is busy with a script (BUSY)."""

    reason = "busy"
    unavailable = True


class OverloadedError(TargetError):
    """The server cannot check who we are just now (``ERR_IAM_EXHAUSTED`` of Memorystore); later it can."""

    reason = "busy"
    unavailable = True


class MasterDownError(TargetError):
    """A replica without its master that does not serve stale data (MASTERDOWN)."""

    reason = "masterdown"
    unavailable = True


class ReadOnlyReplicaError(TargetError):
    """A write met a read-only replica (READONLY)."""

    reason = "readonly"


class MaxClientsError(TargetError):
    """The server has no connection left (``maxclients``)."""

    reason = "maxclients"
    unavailable = True


class OutOfMemoryError(TargetError):
    """A write met ``maxmemory`` (OOM)."""

    reason = "oom"


class MisconfError(TargetError):
    """Writes are stopped because a snapshot failed (MISCONF)."""

    reason = "misconf"


class ClusterDownError(TargetError):
    """The cluster does not serve this slot (CLUSTERDOWN)."""

    reason = "clusterdown"


class MovedError(TargetError):
    """The key belongs to another node of the cluster (MOVED)."""


class ProtocolError(TargetError):
    """The answer is not what the protocol promises."""

    reason = "protocol"


class EmptyReplyError(ProtocolError):
    """The server answered, and told nothing that we know."""


class RejectedError(TargetError):
    """The circuit breaker is open: nothing was sent."""

    reason = "rejected"


class SkippedError(TargetError):
    """We were late: the slot was never sent. Our fault, not the target's."""

    reason = "skipped"


#: The closed list of reasons, in the order of the public contract: every label value of ``reason`` is one of these.
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
    "masterdown",
    "readonly",
    "maxclients",
    "oom",
    "misconf",
    "clusterdown",
    "protocol",
    "rejected",
    "skipped",
    "other",
)
