"""A network namespace for a server, and a cable to it that can be slow, lossy or cut.

The frames pass a relay in a third namespace, because not every kernel can delay packets (netem). The relay is a
process: ``python -m stalls_bench.cable CONTROL``, where the file CONTROL holds the delay in milliseconds and the loss
in percent.
"""

import array
import contextlib
import fcntl
import heapq
import itertools
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from stalls_bench.processes import ROOT, end, may_raise, start

_PREFIX = "rpstall"
_numbers = itertools.count()
_ALL_PROTOCOLS, _SIOCETHTOOL, _SET_CHECKSUM = 3, 0x8946, 0x17


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if result.returncode:
        raise OSError(f"{' '.join(command)}: {result.stderr.strip() or result.returncode}")


def unavailable_reason() -> str:
    """Return why this machine cannot create namespaces, or an empty text if it can."""
    if shutil.which("ip") is None:
        return "ip is not installed (apt-get install iproute2)"
    if os.geteuid() != 0:
        return "only root can create network namespaces"
    name = f"{_PREFIX}-try-{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "delete", name)
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS)).close()
    except OSError as error:
        return str(error)
    return ""


def delete_leftovers() -> None:
    """Delete the namespaces of runs that were killed."""
    listing = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False, timeout=20).stdout
    for line in listing.splitlines():
        name = line.split(" ", 1)[0]
        owner = name.split("-")[1] if name.startswith(f"{_PREFIX}-") else ""
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                _run("ip", "netns", "delete", name)


class Cable:
    """Host - relay - server: two virtual cables with a relay between them."""

    def __init__(self, folder: Path) -> None:
        number = next(_numbers)
        self._far, self._middle = f"{_PREFIX}-{os.getpid()}-{number}s", f"{_PREFIX}-{os.getpid()}-{number}r"
        network = f"10.214.{(os.getpid() + number) % 250}"
        self.own_end = f"rps{os.getpid() % 100000}o{number}"
        self.host, self._own_address = f"{network}.2", f"{network}.1"
        self.enter = ("ip", "netns", "exec", self._far)
        self._control, self._log = folder / "cable", folder / "relay.log"
        self._relay: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Create the namespaces and the cables, and start the relay."""
        for name in (self._far, self._middle):
            _run("ip", "netns", "add", name)
        _run("ip", "-n", self._far, "link", "set", "lo", "up")
        _run("ip", "link", "add", self.own_end, "type", "veth", "peer", "name", "r1", "netns", self._middle)
        _run("ip", "-n", self._far, "link", "add", "v0", "type", "veth", "peer", "name", "r0", "netns", self._middle)
        _run("ip", "address", "add", f"{self._own_address}/30", "dev", self.own_end)
        _run("ip", "-n", self._far, "address", "add", f"{self.host}/30", "dev", "v0")
        _run("ip", "link", "set", self.own_end, "up")
        for name, device in ((self._far, "v0"), (self._middle, "r0"), (self._middle, "r1")):
            _run("ip", "-n", name, "link", "set", device, "up")
        self.repair()
        module = (sys.executable, "-m", "stalls_bench.cable")
        _send_whole_checksums(self.own_end)
        subprocess.run([*self.enter, *module, "--checksums", "v0"], cwd=ROOT, check=True, timeout=20)
        self._relay = start(
            ["ip", "netns", "exec", self._middle, *module, str(self._control)],
            self._log,
            cwd=ROOT,
            priority="real time" if may_raise() else "",
        )

    def set(self, delay: float = 0.0, loss: float = 0.0) -> None:
        """Delay each frame by milliseconds in each direction, and lose some, in percent."""
        fresh = self._control.with_suffix(".new")
        fresh.write_text(f"{delay} {loss}")
        fresh.replace(self._control)

    def repair(self) -> None:
        """Make it fast and complete."""
        self.set()

    def unplug(self, side: str) -> None:
        """Take the link of the ``far`` or of the ``own`` side down."""
        self._link(side, "down")

    def plug(self, side: str) -> None:
        """Take the link up again."""
        self._link(side, "up")

    def _link(self, side: str, state: str) -> None:
        where = ["-n", self._far] if side == "far" else []
        _run("ip", *where, "link", "set", "v0" if side == "far" else self.own_end, state)

    def delete(self) -> None:
        """Delete everything."""
        end(self._relay)
        for name in (self._far, self._middle):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                _run("ip", "netns", "delete", name)


def _send_whole_checksums(device: str) -> None:
    """Switch off the offload of checksums, which the relay could not complete."""
    value = array.array("I", [_SET_CHECKSUM, 0])
    with socket.socket() as sock:
        fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP", device.encode(), value.buffer_info()[0]))


def _relay(control: Path) -> None:
    sockets = []
    for device in ("r0", "r1"):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        sock.bind((device, _ALL_PROTOCOLS))
        sockets.append(sock)
    frames: list[tuple[float, int, bytes, socket.socket]] = []
    numbers = itertools.count()
    while True:
        wait = max(0.0, frames[0][0] - time.monotonic()) if frames else None
        for sock in select.select(sockets, [], [], wait)[0]:
            frame, address = sock.recvfrom(65536)
            delay, loss = map(float, control.read_text().split())
            if address[2] == socket.PACKET_OUTGOING or random.random() * 100 < loss:
                continue
            other = sockets[1 - sockets.index(sock)]
            heapq.heappush(frames, (time.monotonic() + delay / 1000, next(numbers), frame, other))
        while frames and frames[0][0] <= time.monotonic():
            _, _, frame, other = heapq.heappop(frames)
            with contextlib.suppress(OSError):
                other.send(frame)


def main(arguments: Sequence[str]) -> None:
    """Run the relay, or switch off the offload of one device."""
    if arguments[0] == "--checksums":
        _send_whole_checksums(arguments[1])
    else:
        _relay(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
