"""Verify the passwords of users against their bcrypt hashes.

bcrypt is slow by intent. So a password is verified once, in a thread, and a keyed digest of it is remembered. Wrong
passwords are never remembered. Each takes as long as a right one, also for a user that does not exist. One
verification runs at a time, because it takes the time of a whole processor. The addresses take turns, and each has a
short queue. So a flood of wrong passwords delays new logins of other addresses by one verification at most. Logins
that are remembered do not wait at all.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from functools import partial

from redis_pulse.blocking import DeadlineThreads, NoThreadError
from redis_pulse.config import bcrypt_cost

#: Logins that wait, of one address and of all.
MAX_WAITING_PER_ADDRESS, MAX_WAITING = 4, 64
#: Logins that are remembered.
MAX_REMEMBERED = 1000
#: Only these bytes of a password count. Go ignores the rest too, while the library raises an error.
_BCRYPT_BYTES = 72
#: The salt and the checksum of a hash that no password has.
_DECOY = "fQ0mKk1Q2vYq3ZrXo6c5Oe" + "x" * 31

_THREADS = DeadlineThreads("bcrypt", max_concurrent=1, max_threads=2)

#: Returns whether a password has a hash. It takes long.
VerifyHash = Callable[[bytes, bytes], bool]


class LoginsBusyError(Exception):
    """Too many logins of this address, or of all, wait for their verification."""


def verify_hash(password: bytes, hashed: bytes) -> bool:
    """Return whether a password has a bcrypt hash. It takes long.

    The thread has the priority of the daemon. With a lower one it may wait for a core while it holds the lock of the
    interpreter. Then the event loop waits too.
    """
    import bcrypt  # few daemons have logins

    try:
        return bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed)
    except ValueError:
        return False


class PasswordVerifier:
    """Verifies logins, and remembers the right ones."""

    def __init__(self, verify: VerifyHash = verify_hash) -> None:
        self._verify = verify
        self._key = secrets.token_bytes(32)
        #: the digests of right logins, the newest last
        self._remembered: OrderedDict[bytes, None] = OrderedDict()
        #: the logins that wait, by address; the address whose turn is next comes first
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._count = 0
        self._is_running = False
        self._verification: asyncio.Task[bool | None] | None = None

    async def is_right(self, user: str, password: bytes, users: Mapping[str, str], address: str) -> bool:
        """Return whether a user has this password. ``users`` has the bcrypt hashes. Raises LoginsBusyError."""
        hashed = users.get(user)
        digest = self._digest(user, password, hashed or "")
        if hashed is not None and digest in self._remembered:
            self._remembered.move_to_end(digest)
            return True
        await self._wait_for_turn(address)
        if digest in self._remembered:  # an equal login was verified meanwhile
            self._next_turn()
            return True
        tested = hashed if hashed is not None else _decoy(users)
        verify = partial(self._verify, password, tested.encode())
        # A client may leave meanwhile. Its thread goes on, so the next turn must not come before its end.
        self._verification = asyncio.create_task(self._run(verify, None if hashed is None else digest))
        is_right = await asyncio.shield(self._verification)
        if is_right is None:
            raise LoginsBusyError
        return is_right

    async def _run(self, verify: Callable[[], bool], digest: bytes | None) -> bool | None:
        """Verify, and let the next login have its turn. Return None if there is no thread.

        ``digest`` is that of the login, or None if the user is unknown.
        """
        try:
            is_right = await _THREADS.run(object(), verify, within=None)
        except NoThreadError:
            return None
        else:
            if is_right and digest is not None:
                self._remember(digest)
            return is_right and digest is not None
        finally:
            self._next_turn()

    def _digest(self, user: str, password: bytes, hashed: str) -> bytes:
        parts = (user.encode("utf-8", "surrogateescape"), password, hashed.encode())
        message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._key, message, hashlib.sha256)

    def _remember(self, digest: bytes) -> None:
        self._remembered[digest] = None
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    async def _wait_for_turn(self, address: str) -> None:
        if not self._is_running:
            self._is_running = True
            return
        queue = self._waiting.setdefault(address, deque())
        if len(queue) >= MAX_WAITING_PER_ADDRESS or self._count >= MAX_WAITING:
            if not queue:
                del self._waiting[address]
            raise LoginsBusyError
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._count += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next_turn()  # the turn came together with the cancellation
            else:
                self._forget(address, turn)
            raise

    def _forget(self, address: str, turn: "asyncio.Future[None]") -> None:
        """Free the place of a client that has left."""
        queue = self._waiting.get(address)
        if queue is not None and turn in queue:
            queue.remove(turn)
            self._count -= 1
            if not queue:
                del self._waiting[address]

    def _next_turn(self) -> None:
        """Let the next address verify one login."""
        while self._waiting:
            address, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            self._count -= 1
            if queue:
                self._waiting[address] = queue  # at the end: the other addresses come first
            if not turn.done():
                turn.set_result(None)
                return
        self._is_running = False


def _decoy(users: Mapping[str, str]) -> str:
    """Return a hash that no password has, and that takes as long as those of most users."""
    costs = [bcrypt_cost(hashed) for hashed in users.values()] or [10]
    return f"$2b${max(set(costs), key=costs.count):02d}${_DECOY}"


def make_hash(password: bytes, cost: int) -> str:
    """Return the bcrypt hash of a password. It takes long. Raises ValueError if the password cannot be hashed."""
    if len(password) > _BCRYPT_BYTES:
        raise ValueError(f"has {len(password)} bytes, and bcrypt uses {_BCRYPT_BYTES} at most")
    if not password or b"\0" in password:
        raise ValueError("is empty, or contains a zero byte")
    import bcrypt

    return bcrypt.hashpw(password, bcrypt.gensalt(cost)).decode("ascii")
