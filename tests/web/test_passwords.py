"""Passwords: verified once, in a thread, in turns; a flood of wrong ones does not stop a right one."""

import asyncio
import os
import threading

import bcrypt
import pytest

from redis_pulse.web.passwords import (
    MAX_REMEMBERED,
    MAX_WAITING,
    MAX_WAITING_PER_ADDRESS,
    LoginsBusyError,
    PasswordVerifier,
    make_hash,
    verify_hash,
)
from tests.patience import at_most

ALICE = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
USERS = {"alice": ALICE, "bob": bcrypt.hashpw(b"other", bcrypt.gensalt(4)).decode()}


class GatedVerify:
    """Verifies passwords only when the gate is open, and records every call."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.gate = threading.Event()
        self.calls: list[tuple[bytes, bytes]] = []
        if is_open:
            self.gate.set()

    def __call__(self, password: bytes, hashed: bytes) -> bool:
        self.calls.append((password, hashed))
        self.gate.wait(10)
        return verify_hash(password, hashed)


async def test_right_password_is_verified_once() -> None:
    verify = GatedVerify()
    verifier = PasswordVerifier(verify)
    assert [await verifier.is_right("alice", b"right", USERS, "a") for _ in range(3)] == [True] * 3
    assert verify.calls == [(b"right", ALICE.encode())]


async def test_wrong_password_is_verified_each_time() -> None:
    verify = GatedVerify()
    verifier = PasswordVerifier(verify)
    assert [await verifier.is_right("alice", b"wrong", USERS, "a") for _ in range(2)] == [False] * 2
    assert len(verify.calls) == 2


async def test_unknown_user_takes_a_verification_of_the_same_cost() -> None:
    verify = GatedVerify()
    assert not await PasswordVerifier(verify).is_right("mallory", b"right", USERS, "a")
    ((_, decoy),) = verify.calls
    assert decoy.startswith(ALICE.encode()[:7])
    assert bcrypt.checkpw(b"right", decoy) is False  # a valid hash: an invalid one would take no time


async def test_changed_hash_forgets_the_old_password() -> None:
    verifier = PasswordVerifier()
    assert await verifier.is_right("alice", b"right", USERS, "a")
    changed = {"alice": USERS["bob"]}
    assert not await verifier.is_right("alice", b"right", changed, "a")
    assert not await verifier.is_right("alice", b"right", {}, "a")
    assert await verifier.is_right("alice", b"other", changed, "a")


async def test_password_of_one_user_is_not_that_of_another() -> None:
    users = {"alice": ALICE, "carol": ALICE}
    verify = GatedVerify()
    verifier = PasswordVerifier(verify)
    assert await verifier.is_right("alice", b"right", users, "a")
    assert await verifier.is_right("carol", b"right", users, "a")
    assert len(verify.calls) == 2


async def test_flood_of_wrong_passwords_does_not_stop_a_remembered_login() -> None:
    verify = GatedVerify()
    verifier = PasswordVerifier(verify)
    assert await verifier.is_right("alice", b"right", USERS, "same")
    verify.gate.clear()
    flood = [asyncio.create_task(verifier.is_right("alice", b"%d" % n, USERS, "same")) for n in range(50)]
    await asyncio.sleep(0)
    async with at_most(5):
        assert await verifier.is_right("alice", b"right", USERS, "same")
    verify.gate.set()
    results = await asyncio.gather(*flood, return_exceptions=True)
    assert sum(isinstance(result, LoginsBusyError) for result in results) == 50 - MAX_WAITING_PER_ADDRESS - 1
    assert True not in results


async def test_flood_delays_a_new_login_of_another_address_by_one_verification() -> None:
    verify = GatedVerify(is_open=False)
    verifier = PasswordVerifier(verify)
    flood = [asyncio.create_task(verifier.is_right("alice", b"%d" % n, USERS, "flood")) for n in range(20)]
    await asyncio.sleep(0)
    good = asyncio.create_task(verifier.is_right("alice", b"right", USERS, "good"))
    await asyncio.sleep(0)
    verify.gate.set()
    async with at_most(5):
        assert await good
    assert [password for password, _ in verify.calls].index(b"right") <= 2
    await asyncio.gather(*flood, return_exceptions=True)


async def test_number_of_waiting_logins_is_limited_over_all_addresses() -> None:
    verify = GatedVerify(is_open=False)
    verifier = PasswordVerifier(verify)
    tasks = [asyncio.create_task(verifier.is_right("x", b"x", USERS, str(n))) for n in range(MAX_WAITING + 10)]
    await asyncio.sleep(0)
    refused = [task for task in tasks if task.done()]
    assert len(refused) == 9  # one is being verified, and the others wait
    verify.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results.count(False) == MAX_WAITING + 1
    assert not verifier._waiting
    assert verifier._count == 0
    assert not verifier._is_running


async def test_client_that_leaves_gives_its_turn_to_the_next() -> None:
    verify = GatedVerify(is_open=False)
    verifier = PasswordVerifier(verify)
    tasks = [asyncio.create_task(verifier.is_right("alice", b"right", USERS, f"a{n}")) for n in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[2].cancel()
    verify.gate.set()
    async with at_most(5):
        assert await tasks[3]
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not verifier._is_running


async def test_client_that_leaves_during_its_verification_keeps_its_turn() -> None:
    """Its thread goes on. Another thread beside it would take a second core, and a third login would get 429."""
    verify = GatedVerify(is_open=False)
    verifier = PasswordVerifier(verify)
    for number in range(10):
        leaving = asyncio.create_task(verifier.is_right("alice", b"%d" % number, USERS, "leaves"))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    assert verify.calls == [(b"0", ALICE.encode())]
    assert verifier._count == 0
    good = asyncio.create_task(verifier.is_right("alice", b"right", USERS, "good"))
    await asyncio.sleep(0)
    verify.gate.set()
    async with at_most(5):
        assert await good
    assert not verifier._is_running


async def test_number_of_remembered_logins_is_limited() -> None:
    verifier = PasswordVerifier(lambda _password, _hash: True)
    for number in range(MAX_REMEMBERED + 10):
        assert await verifier.is_right("alice", b"%d" % number, USERS, "a")
    assert len(verifier._remembered) == MAX_REMEMBERED


@pytest.mark.parametrize("password", [b"x" * 73, b"a\0b", b"\xff\xfe", b""])
def test_unusual_password_is_wrong_and_raises_nothing(password: bytes) -> None:
    assert verify_hash(password, ALICE.encode()) is False


def test_bytes_beyond_the_limit_of_bcrypt_are_ignored_as_in_go() -> None:
    hashed = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4))
    assert verify_hash(b"x" * 80, hashed)


def test_made_hash_fits_its_password() -> None:
    assert verify_hash(b"s3cret", make_hash(b"s3cret", 4).encode())
    for bad in (b"", b"x" * 73, b"a\0"):
        with pytest.raises(ValueError, match=r"bytes|empty"):
            make_hash(bad, 4)


def test_verification_has_the_priority_of_the_daemon() -> None:
    """With a lower one it may wait for a core while it holds the lock of the interpreter."""
    niceness = []

    def verify() -> None:
        verify_hash(b"s3cret", make_hash(b"s3cret", 4).encode())
        niceness.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    thread = threading.Thread(target=verify)
    thread.start()
    thread.join()
    assert niceness == [os.getpriority(os.PRIO_PROCESS, 0)]
