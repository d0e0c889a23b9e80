"""A network namespace of our own, with one server in it, so that its network can be cut and no other."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

PREFIX = "rpchaos"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if done.returncode:
        raise OSError(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


def missing() -> str:
    """Return why there can be no namespace; nothing when there can."""
    for tool, package in (("ip", "iproute2"), ("iptables", "iptables")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (apt-get install {package})"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    name = f"{PREFIX}-try-{os.getpid()}"
    try:
        _run("ip", "netns", "add", name)
        try:
            _run("ip", "netns", "exec", name, "iptables", "-L", "-n")
        finally:
            _run("ip", "netns", "delete", name)
    except OSError as error:
        return str(error)
    return ""


def sweep() -> None:
    """Delete namespaces that a run left behind that was killed."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return
    told = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False, timeout=20).stdout
    for line in told.splitlines():
        name = line.split(" ", 1)[0]
        owner = name.rpartition("-")[2]
        if name.startswith(f"{PREFIX}-") and owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                _run("ip", "netns", "delete", name)


class Namespace:
    """A namespace and a cable to it: we are ``10.213.N.1``, what is in it ``10.213.N.2``."""

    def __init__(self) -> None:
        number = os.getpid() % 250 + 1
        self.name = f"{PREFIX}-{os.getpid()}"
        self.ours, self.theirs = f"rpc{os.getpid()}a", f"rpc{os.getpid()}b"
        self.host = f"10.213.{number}.2"
        self._gateway = f"10.213.{number}.1"
        self.enter = ("ip", "netns", "exec", self.name)

    def make(self) -> None:
        """Make it."""
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self.ours, "type", "veth", "peer", "name", self.theirs, "netns", self.name)
        _run("ip", "address", "add", f"{self._gateway}/30", "dev", self.ours)
        _run("ip", "link", "set", self.ours, "up")
        _run(*self.enter, "ip", "address", "add", f"{self.host}/30", "dev", self.theirs)
        _run(*self.enter, "ip", "link", "set", self.theirs, "up")
        _run(*self.enter, "ip", "link", "set", "lo", "up")

    def delete(self) -> None:
        """Delete it, and the cable with it."""
        for command in (("ip", "netns", "delete", self.name), ("ip", "link", "delete", self.ours)):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                _run(*command)

    def cut(self, how: str) -> None:
        """Cut the network, inside the namespace only."""
        if how == "link":
            _run(*self.enter, "ip", "link", "set", self.theirs, "down")
            return
        chain = "OUTPUT" if how == "drop replies" else "INPUT"
        verdict = ("REJECT", "--reject-with", "tcp-reset") if how == "reject" else ("DROP",)
        _run(*self.enter, "iptables", "-w", "-A", chain, "-p", "tcp", "-j", *verdict)

    def mend(self) -> None:
        """Undo every cut."""
        _run(*self.enter, "iptables", "-w", "-F")
        _run(*self.enter, "ip", "link", "set", self.theirs, "up")
