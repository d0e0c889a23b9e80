"""Targets from files in the form of Prometheus' file_sd, JSON or YAML, by a path or a pattern.

A file is read when it was written or replaced, whole or not at all: one that cannot be read, or is half written, keeps
what it said before. So write a new file beside it and rename that, as configuration management does.
"""

import asyncio
import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from redis_pulse.blocking import TARGET_FILES, BlockedError, read_regular_file, regular
from redis_pulse.config import FileSourceSettings, SourceSettings, TargetGroup, TargetSettings, read_groups
from redis_pulse.discovery.base import DiscoveryError, PartlyFoundError, SourceContext
from redis_pulse.discovery.target_groups import targets_of

_MOST_BYTES = 50_000_000
#: Seconds for one file, reading and parsing. One that hangs is a failure, and is tried again at the next refresh.
DEADLINE = 5.0
_JSON = ".json"

#: When a file is another one than before: inode, size, time of change in nanoseconds.
Stamp = tuple[int, int, int]


@dataclass(slots=True)
class _File:
    stamp: Stamp | None = None
    groups: Sequence[TargetGroup] = ()
    trouble: str = ""


class FileSource:
    """The files that one pattern matches."""

    def __init__(self, settings: SourceSettings, surroundings: SourceContext) -> None:
        assert isinstance(settings.options, FileSourceSettings)  # noqa: S101
        self.settings = settings
        self._pattern = settings.options.path
        self._refuse = surroundings.reject
        self._files: dict[str, _File] = {}

    async def refresh(self) -> Sequence[TargetSettings]:
        """Return the targets of all files. Raises DiscoveryError when one of them cannot be read."""
        await self._read()
        targets = [
            target
            for path, file in self._files.items()
            for target in targets_of(file.groups, self.settings, path, self._refuse)
        ]
        troubles = [f"{path} {file.trouble}" for path, file in self._files.items() if file.trouble]
        if troubles:
            raise PartlyFoundError("; ".join(troubles[:3]), targets)
        return targets

    async def aclose(self) -> None:
        """Nothing is open."""

    async def _read(self) -> None:
        try:
            found = await TARGET_FILES.run(("glob", self._pattern), partial(_found, self._pattern), within=DEADLINE)
        except BlockedError as error:
            raise DiscoveryError(f"{self._pattern} cannot be looked for: {error.strerror}") from None
        self._files = {path: self._files.get(path) or _File() for path in found}
        await asyncio.gather(*(self._update(path, file) for path, file in self._files.items()))

    async def _update(self, path: str, file: _File) -> None:
        read = partial(_read_anew, Path(path), file.stamp)
        try:
            anew = await TARGET_FILES.run(("targets", path, file.stamp), read, within=DEADLINE)
        except UnicodeDecodeError:
            file.trouble = "is not UTF-8 text"
        except OSError as error:
            file.trouble = f"cannot be read: {error.strerror}"
        except ValueError as error:
            file.trouble = str(error)
        else:
            file.trouble = ""
            if anew is not None:
                file.stamp, file.groups = anew


def _found(pattern: str) -> list[str]:
    """Return the files that a pattern matches. Raises DiscoveryError."""
    if not glob.has_magic(pattern):
        return [pattern]
    if not _folder(pattern).exists():
        raise DiscoveryError(f"{pattern}: its folder does not exist")
    path = Path(pattern)
    try:
        return sorted(set(_matching(Path(path.anchor), path.relative_to(path.anchor).parts)))
    except OSError as error:
        raise DiscoveryError(f"{pattern} cannot be looked for: {error.strerror}") from None


def _matching(folder: Path, parts: Sequence[str]) -> Iterator[str]:
    """Yield the paths below a folder that match the parts of a pattern. Raises OSError.

    ``glob`` takes a folder that cannot be listed for an empty one: for want of a descriptor, all targets would be gone.
    """
    first, *rest = parts
    if not glob.has_magic(first):
        if rest:
            yield from _matching(folder / first, rest)
        elif (folder / first).exists():
            yield str(folder / first)
        return
    if first == "**":
        yield from _matching(folder, rest or ["*"])
    for name, is_folder in _entries(folder, hidden=first.startswith(".")):
        if first == "**" and is_folder:
            yield from _matching(folder / name, parts)
        elif first != "**" and fnmatch.fnmatchcase(name, first):
            if not rest:
                yield str(folder / name)
            elif is_folder:
                yield from _matching(folder / name, rest)


def _entries(folder: Path, *, hidden: bool) -> list[tuple[str, bool]]:
    """Return the names in a folder, and which are folders; none when it is gone by now."""
    try:
        with os.scandir(folder) as entries:
            return [(one.name, one.is_dir()) for one in entries if hidden or not one.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read_anew(path: Path, stamp: Stamp | None) -> tuple[Stamp, Sequence[TargetGroup]] | None:
    """Return what a file says, None when it is still the one of that stamp. Raises OSError, ValueError."""
    status = regular(path)
    now = (status.st_ino, status.st_size, status.st_mtime_ns)
    return None if now == stamp else (now, _groups(path, status.st_size))


def _groups(path: Path, size: int) -> Sequence[TargetGroup]:
    if size > _MOST_BYTES:
        raise ValueError(f"is longer than {_MOST_BYTES} bytes")
    text = read_regular_file(path, _MOST_BYTES).decode("utf-8-sig")
    if not text.strip():
        raise ValueError("is empty: write [] when there are no targets")
    return read_groups(text, is_yaml=path.suffix.lower() != _JSON)


def _folder(pattern: str) -> Path:
    """Return the folder that a pattern begins with, before anything in it matches anything."""
    first = min(pattern.find(sign) for sign in "*?[" if sign in pattern)
    return Path(f"{pattern[:first]}…").parent
