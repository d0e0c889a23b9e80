"""Descriptors are raised to the hard limit, and some are kept for pages. Tried in processes of their own."""

import subprocess
import sys

import pytest

from redis_pulse import file_descriptors

_PROGRAM = """
import socket, resource
from redis_pulse import file_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (40, 64))
print(file_descriptors.raise_limit())
opened = []
while True:
    try:
        file_descriptors.check_room()
        sock = socket.socket()
        file_descriptors.refuse_reserved(sock.fileno())
        opened.append(sock)
    except OSError as error:
        print(error.errno)
        break
try:
    while True:
        opened.append(socket.socket())
        left = 64 - opened[-1].fileno()
except OSError:
    print(left)
print(len(opened) >= 55)
"""


def test_a_reserve_stays_free_when_targets_have_taken_the_rest() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["64", "24", "1", "True"]


@pytest.mark.parametrize(("targets", "limit"), [(0, 256), (53, 256), (54, 512), (1000, 3328)])
def test_the_limit_that_is_needed_is_named(targets: int, limit: int) -> None:
    assert file_descriptors.needed(targets) == limit
    assert f"LimitNOFILE={limit}" in file_descriptors.advice(targets)


def test_a_small_limit_has_a_small_reserve() -> None:
    assert [file_descriptors.reserve(most) for most in (64, 1024)] == [16, 32]
