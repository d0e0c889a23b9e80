"""Size of the snapshot file on the local disk, for a server on the exporter's machine; off by default.

redis_rdb_current_size_bytes{target="cart"} 1.8874368e+07
redis_rdb_current_size_bytes{target="sessions"} 4.194304e+06

Two conditions must hold. The server must report that the exporter connects by loopback or unix socket. The exporter
must have access to the server's files: the same disk, or a volume mounted at the same path. If there is no snapshot
file, there is no sample.
"""

import ipaddress
import stat
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from redis_pulse.blocking import FILE_DEADLINE, FILES
from redis_pulse.collectors.base import Stateless
from redis_pulse.commands import Commands
from redis_pulse.config import Options
from redis_pulse.metric import MetricSpec, Sample, UnreadableField, gauge
from redis_pulse.parse.reply import as_pairs, as_text
from redis_pulse.server_info import Server

SIZE = gauge("RDB file", "size", "rdb_current_size_bytes", "Size of the snapshot file on the local disk.")


def file_size(path: Path) -> int | None:
    """Return the size of a regular file in bytes, or None if there is no such file. Do not follow links.

    Raise OSError if the file is not accessible.
    """
    try:
        status = path.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


class RdbFileCollector(Stateless):
    """Read folder and name of the snapshot from the server, and its size from the disk."""

    name: ClassVar[str] = "rdb_file"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (SIZE,)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("client|info", "config|get")

    def __init__(self, size: Callable[[Path], int | None] = file_size) -> None:
        self._size = size

    def applies(self, server: Server) -> bool:
        """Return whether the server is on the exporter's machine. A Sentinel writes no snapshots."""
        return server.local and server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | UnreadableField]:  # noqa: ARG002
        """Read the size of the file in a thread, because a disk may hang."""
        is_local = is_local_client(as_text(await commands.execute("CLIENT", "INFO")) or "")
        if not is_local:
            return [UnreadableField("CLIENT INFO/addr")] if is_local is None else []
        settings: dict[str, str] = {}
        for name in ("dir", "dbfilename"):
            settings |= as_pairs(await commands.execute("CONFIG", "GET", name)).fields
        path = snapshot_path(settings.get("dir", ""), settings.get("dbfilename", ""))
        if path is None:
            return [UnreadableField(SIZE.location)]
        try:
            size = await FILES.run(("rdb", path), partial(self._size, path), within=FILE_DEADLINE)
        except (OSError, ValueError):  # no permission, or not a valid path
            return [UnreadableField(SIZE.location)]
        return [] if size is None else [SIZE.sample(float(size))]


def is_local_client(client_info: str) -> bool | None:
    """Return whether a CLIENT INFO line (Redis 6.2 and later) shows a connection by loopback or unix socket.

    Return None if the line has no readable address.
    """
    fields = dict(word.partition("=")[::2] for word in client_info.split())
    host, _, port = fields.get("addr", "").rpartition(":")
    if host and port == "0":  # a unix socket: ``host`` is its path
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return None


def snapshot_path(folder: str, name: str) -> Path | None:
    """Return the path of the snapshot, or None if ``name`` would lead out of the server's folder."""
    if not folder.startswith("/") or not name or "/" in name or name in (".", "..") or "\0" in folder + name:
        return None
    return Path(folder) / name


COLLECTOR = RdbFileCollector()
