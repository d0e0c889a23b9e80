"""The limit of descriptors is raised to the hard limit, and some are reserved for pages. Tested in a subprocess."""

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
        file_descriptors.check_descriptor_available()
        sock = socket.socket()
        file_descriptors.reject_reserved(sock.fileno())
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


def test_reserve_stays_free_when_targets_use_the_rest() -> None:
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["64", "24", "1", "True"]


@pytest.mark.parametrize(("targets", "limit"), [(0, 256), (53, 256), (54, 512), (1000, 3328)])
def test_hint_names_required_limit(targets: int, limit: int) -> None:
    assert file_descriptors.required_limit(targets) == limit
    assert f"LimitNOFILE={limit}" in file_descriptors.limit_hint(targets)


def test_small_limit_has_small_reserve() -> None:
    assert [file_descriptors.reserve(total) for total in (64, 1024)] == [16, 32]
