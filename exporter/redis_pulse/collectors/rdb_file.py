"""Size of the snapshot file, looked up on our own disk: for a server that runs beside us, and only on request.

redis_rdb_current_size_bytes{target="cart"} 1.8874368e+07
redis_rdb_current_size_bytes{target="sessions"} 4.194304e+06

The server must see us come from its own machine (loopback or its unix socket), and we must see its files: the same
disk, or a volume mounted at the same path. Where there is no such file there is no sample.
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
    """Return the bytes of a plain file, None when there is none; links are not followed. Raises OSError."""
    try:
        found = path.stat(follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


class RdbFileCollector(Stateless):
    """Ask the server for folder and name of its snapshot, and the disk for its size."""

    name: ClassVar[str] = "rdb_file"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (SIZE,)
    options: ClassVar[type[Options]] = Options
    default: ClassVar[bool] = False
    commands: ClassVar[tuple[str, ...]] = ("client|info", "config|get")

    def __init__(self, size: Callable[[Path], int | None] = file_size) -> None:
        self._size = size

    def applies(self, server: Server) -> bool:
        """Everything but a Sentinel writes snapshots; ours to look at only on our own machine."""
        return server.local and server.mode != "sentinel"

    async def collect(self, server: Server, commands: Commands, options: Any) -> Iterable[Sample | UnreadableField]:  # noqa: ARG002
        """Look at the file, from a thread: a disk may hang."""
        here = seen_from_here(as_text(await commands.execute("CLIENT", "INFO")) or "")
        if not here:
            return [UnreadableField("CLIENT INFO/addr")] if here is None else []
        settings: dict[str, str] = {}
        for name in ("dir", "dbfilename"):
            settings |= as_pairs(await commands.execute("CONFIG", "GET", name)).fields
        path = snapshot(settings.get("dir", ""), settings.get("dbfilename", ""))
        if path is None:
            return [UnreadableField(SIZE.location)]
        try:
            size = await FILES.run(("rdb", path), partial(self._size, path), within=FILE_DEADLINE)
        except (OSError, ValueError):  # not ours to read, or no path at all
            return [UnreadableField(SIZE.location)]
        return [] if size is None else [SIZE.sample(float(size))]


def seen_from_here(client: str) -> bool | None:
    """Whether a CLIENT INFO line (Redis 6.2 and on) says that we come by loopback or a unix socket; None: not said."""
    fields = dict(word.partition("=")[::2] for word in client.split())
    host, _, port = fields.get("addr", "").rpartition(":")
    if host and port == "0":  # a unix socket, whose path stands before
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return None


def snapshot(folder: str, name: str) -> Path | None:
    """Return the path of the snapshot; None for a name that would lead out of the server's folder."""
    if not folder.startswith("/") or not name or "/" in name or name in (".", "..") or "\0" in folder + name:
        return None
    return Path(folder) / name


COLLECTOR = RdbFileCollector()
