"""Targets from files in the format of Prometheus' file_sd, as JSON or YAML.

A source has one path or one pattern. It reads a file again when the file has changed. An unreadable or invalid file
keeps its last targets. To avoid half-written files, write a new file beside the old one and rename it. Configuration
management tools do the same.
"""

import asyncio
import fnmatch
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from redis_pulse.blocking import TARGET_FILES, BlockedError, read_regular_file, regular_file_status
from redis_pulse.config import FileSourceSettings, SourceSettings, TargetGroup, TargetSettings, read_groups
from redis_pulse.discovery.base import DiscoveryError, PartlyFoundError, SourceContext
from redis_pulse.discovery.target_groups import targets_of

#: Limits: bytes of a file, files of a pattern, folders that one search visits, entries of a folder.
_MAX_BYTES, _MAX_FILES, _MAX_FOLDERS, _MAX_ENTRIES = 10_000_000, 1000, 10_000, 100_000
_MAX_REPORTED_ERRORS = 3
#: Seconds to read and parse one file. A file that takes longer counts as a failure until the next refresh.
DEADLINE = 5.0
_JSON = ".json"

#: Identifies a version of a file: inode, size, and time of the last change in nanoseconds.
Stamp = tuple[int, int, int]


@dataclass(slots=True)
class _File:
    stamp: Stamp | None = None
    groups: Sequence[TargetGroup] = ()
    error: str = ""


class FileSource:
    """The targets in all files that match one pattern."""

    def __init__(self, settings: SourceSettings, options: FileSourceSettings, context: SourceContext) -> None:
        self.settings = settings
        self._pattern = options.path
        self._context = context
        self._files: dict[str, _File] = {}

    async def refresh(self) -> Sequence[TargetSettings]:
        """Return the targets of all files. Raises DiscoveryError if a file cannot be read."""
        await self._read_files()
        targets = [
            target
            for path, file in self._files.items()
            for target in await targets_of(file.groups, self.settings, path, self._context)
        ]
        errors = [f"{path} {file.error}" for path, file in self._files.items() if file.error]
        if errors:
            raise PartlyFoundError("; ".join(errors[:_MAX_REPORTED_ERRORS]), targets)
        return targets

    async def aclose(self) -> None:
        """Do nothing: no file stays open."""

    async def _read_files(self) -> None:
        find_files = partial(_find_files, self._pattern)
        try:
            paths = await TARGET_FILES.run(("glob", self._pattern), find_files, within=DEADLINE)
        except BlockedError as error:
            raise DiscoveryError(f"{self._pattern} cannot be searched: {error.strerror}") from None
        self._files = {path: self._files.get(path) or _File() for path in paths}
        await asyncio.gather(*(self._read_file(path, file) for path, file in self._files.items()))

    async def _read_file(self, path: str, file: _File) -> None:
        read = partial(_read_if_changed, Path(path), file.stamp)
        try:
            new_version = await TARGET_FILES.run(("targets", path, file.stamp), read, within=DEADLINE)
        except UnicodeDecodeError:
            file.error = "is not UTF-8 text"
        except OSError as error:
            file.error = f"cannot be read: {error.strerror}"
        except ValueError as error:
            file.error = str(error)
        else:
            file.error = ""
            if new_version is not None:
                file.stamp, file.groups = new_version


def _find_files(pattern: str) -> list[str]:
    """Return the files that match a pattern. Raises DiscoveryError."""
    if not glob.has_magic(pattern):
        return [pattern]
    if not _fixed_folder(pattern).exists():
        raise DiscoveryError(f"{pattern}: its folder does not exist")
    path = Path(pattern)
    try:
        found = set(_Search().matching_paths(Path(path.anchor), path.relative_to(path.anchor).parts))
        if len(found) > _MAX_FILES:
            raise DiscoveryError(f"{pattern} matches more than {_MAX_FILES} files")
        return sorted(found)
    except OSError as error:
        raise DiscoveryError(f"{pattern} cannot be searched: {error.strerror}") from None


class _Search:
    """The search for the files of one pattern; it ends after a number of files and folders."""

    def __init__(self) -> None:
        self._folders = 0

    def matching_paths(self, folder: Path, parts: Sequence[str]) -> Iterator[str]:
        """Yield the paths below a folder that match the parts of a pattern. Raises OSError or DiscoveryError.

        The module ``glob`` treats a folder that cannot be listed as empty. Without free file descriptors, it would
        therefore remove all targets.
        """
        first, *rest = parts
        if not glob.has_magic(first):
            if rest:
                yield from self.matching_paths(folder / first, rest)
            elif (folder / first).exists():
                yield str(folder / first)
            return
        if first == "**":
            yield from self.matching_paths(folder, rest or ["*"])
        # "**" follows no link to a folder, because the link may lead to a folder above it.
        for name, is_folder in self._list_folder(folder, hidden=first.startswith("."), links=first != "**"):
            if first == "**" and is_folder:
                yield from self.matching_paths(folder / name, parts)
            elif first != "**" and fnmatch.fnmatchcase(name, first):
                if not rest:
                    yield str(folder / name)
                elif is_folder:
                    yield from self.matching_paths(folder / name, rest)

    def _list_folder(self, folder: Path, *, hidden: bool, links: bool) -> Iterator[tuple[str, bool]]:
        """Yield the names in a folder, each with whether it is a folder; none if the folder no longer exists."""
        self._folders += 1
        if self._folders > _MAX_FOLDERS:
            raise DiscoveryError(f"{folder} is beyond the limit of {_MAX_FOLDERS} folders")
        try:
            with os.scandir(folder) as entries:
                for count, entry in enumerate(entries):
                    if count >= _MAX_ENTRIES:
                        raise DiscoveryError(f"{folder} has more than {_MAX_ENTRIES} entries")
                    if hidden or not entry.name.startswith("."):
                        yield entry.name, entry.is_dir(follow_symlinks=links)
        except (FileNotFoundError, NotADirectoryError):
            return


def _read_if_changed(path: Path, stamp: Stamp | None) -> tuple[Stamp, Sequence[TargetGroup]] | None:
    """Return the stamp and the groups of a file, or None if its stamp is still ``stamp``.

    Raises OSError or ValueError.
    """
    status = regular_file_status(path)
    new_stamp = (status.st_ino, status.st_size, status.st_mtime_ns)
    return None if new_stamp == stamp else (new_stamp, _read_groups(path, status.st_size))


def _read_groups(path: Path, size: int) -> Sequence[TargetGroup]:
    if size > _MAX_BYTES:
        raise ValueError(f"is longer than {_MAX_BYTES} bytes")
    text = read_regular_file(path, _MAX_BYTES).decode("utf-8-sig")
    if not text.strip():
        raise ValueError("is empty: write [] for no targets")
    return read_groups(text, is_yaml=path.suffix.lower() != _JSON)


def _fixed_folder(pattern: str) -> Path:
    """Return the folder at the start of a pattern, before its first wildcard."""
    first_wildcard = min(pattern.find(sign) for sign in "*?[" if sign in pattern)
    return Path(f"{pattern[:first_wildcard]}…").parent
