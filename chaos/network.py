"""A network namespace with one server in it. Its network can be cut without effect on the other servers."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

PREFIX = "rpchaos"


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if result.returncode:
        raise OSError(f"{' '.join(command)}: {result.stderr.strip() or result.returncode}")


def unavailable_reason() -> str:
    """Return why this machine cannot create a namespace, or an empty string if it can."""
    for tool, package in (("ip", "iproute2"), ("iptables", "iptables")):
        if shutil.which(tool) is None:
            return f"{tool} is not installed (apt-get install {package})"
    if os.geteuid() != 0:
        return "only root can create network namespaces"
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


def delete_leftovers() -> None:
    """Delete the namespaces of runs that were killed."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return
    listing = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=False, timeout=20).stdout
    for line in listing.splitlines():
        name = line.split(" ", 1)[0]
        owner = name.rpartition("-")[2]
        if name.startswith(f"{PREFIX}-") and owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError):
                _run("ip", "netns", "delete", name)


class Namespace:
    """A namespace and a virtual cable to it. The host is ``10.213.N.1``, the server in it ``10.213.N.2``."""

    def __init__(self) -> None:
        number = os.getpid() % 250 + 1
        self.name = f"{PREFIX}-{os.getpid()}"
        self.outer_link, self.inner_link = f"rpc{os.getpid()}a", f"rpc{os.getpid()}b"
        self.host = f"10.213.{number}.2"
        self._gateway = f"10.213.{number}.1"
        self.enter = ("ip", "netns", "exec", self.name)

    def create(self) -> None:
        """Create the namespace and the cable."""
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self.outer_link, "type", "veth", "peer", "name", self.inner_link, "netns", self.name)
        _run("ip", "address", "add", f"{self._gateway}/30", "dev", self.outer_link)
        _run("ip", "link", "set", self.outer_link, "up")
        _run(*self.enter, "ip", "address", "add", f"{self.host}/30", "dev", self.inner_link)
        _run(*self.enter, "ip", "link", "set", self.inner_link, "up")
        _run(*self.enter, "ip", "link", "set", "lo", "up")

    def delete(self) -> None:
        """Delete the namespace and the cable."""
        for command in (("ip", "netns", "delete", self.name), ("ip", "link", "delete", self.outer_link)):
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                _run(*command)

    def cut(self, variant: str) -> None:
        """Cut the network inside the namespace."""
        if variant == "link":
            _run(*self.enter, "ip", "link", "set", self.inner_link, "down")
            return
        chain = "OUTPUT" if variant == "drop replies" else "INPUT"
        verdict = ("REJECT", "--reject-with", "tcp-reset") if variant == "reject" else ("DROP",)
        _run(*self.enter, "iptables", "-w", "-A", chain, "-p", "tcp", "-j", *verdict)

    def repair(self) -> None:
        """Undo every cut."""
        _run(*self.enter, "iptables", "-w", "-F")
        _run(*self.enter, "ip", "link", "set", self.inner_link, "up")
