"""The command ``redis-pulse assets``: write the dashboards, rules and examples of this version into a folder.

The files are inside the package, below ``assets/``. In a checkout they are ``deploy/``, ``grafana/dashboards/`` and
``mixin/``. They keep these paths in the folder. So relative paths between them and in the documents stay valid.

``DIR/.redis-pulse-assets`` has the digest of each file that was written, as ``sha256sum --check`` reads it. So a later
version replaces files that are unchanged, and refuses to replace files that someone has edited.
"""

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from redis_pulse import __version__
from redis_pulse.terminal import QuietParser, write

_PACKAGE = Path(__file__).parent
#: The folders of a checkout that the package contains.
FOLDERS = ("deploy", "grafana/dashboards", "mixin")
#: Links to folders in a checkout, and what they lead to. A wheel cannot contain links.
LINKS = {
    "deploy/helm/redis-pulse/files/dashboards": "grafana/dashboards",
    "deploy/helm/redis-pulse/files/prometheus": "deploy/prometheus",
}
#: Private files of a local compose setup. The build leaves them out too (pyproject.toml).
PRIVATE = "deploy/web/"
RECORD = ".redis-pulse-assets"


class AssetError(Exception):
    """The files cannot be written. The text has the reason and a solution."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    arguments = QuietParser(
        prog="redis-pulse assets",
        description="Write the dashboards, rules and examples of this version into a folder.",
        allow_abbrev=False,
    )
    arguments.add_argument("folder", metavar="DIR", nargs="?", help="folder to write into; it is created if needed")
    arguments.add_argument("--list", action="store_true", help="print the names of the files, and write nothing")
    arguments.add_argument("--force", action="store_true", help="also replace files that were changed")
    return arguments


def run(words: Sequence[str]) -> int:
    """Run the command with the words that follow ``assets``. Return the exit code."""
    arguments_parser = parser()
    arguments = arguments_parser.parse_args(words)
    if arguments.list == bool(arguments.folder):
        arguments_parser.error("name the folder to write into, or use --list: redis-pulse assets DIR")
    try:
        files = read_assets(_PACKAGE)
        if arguments.list:
            write("".join(f"{name}\n" for name in files))
            return 0
        folder = Path(arguments.folder).expanduser()
        written = write_assets(files, folder, force=arguments.force)
    except (AssetError, OSError) as error:
        sys.stderr.write(f"redis-pulse assets: {error}\n")
        return 1
    write("".join(f"wrote {folder / name}\n" for name in written))
    write(f"{len(written)} files written, {len(files) - len(written)} were up to date (redis-pulse {__version__})\n")
    return 0


def read_assets(package: Path) -> dict[str, bytes]:
    """Return the content of every file by its path, from an installed package or a checkout.

    Raise AssetError if neither has them.
    """
    checkout = package.parents[1]
    for root in (package / "assets", checkout):
        if all((root / folder).is_dir() for folder in FOLDERS):
            files = stored_assets(root)
            copies = {
                link + name.removeprefix(target): content
                for link, target in LINKS.items()
                for name, content in files.items()
                if name.startswith(f"{target}/")
            }
            return files | copies
    raise AssetError(
        f"this installation has no assets: {package / 'assets'} is missing. Install the wheel of redis-pulse again."
    )


def stored_assets(root: Path) -> dict[str, bytes]:
    """Return the content of the files below a root by their paths, without those that only links lead to."""
    paths = (path for folder in FOLDERS for path in sorted(_files(root / folder)))
    names = (path.relative_to(root).as_posix() for path in paths)
    return {name: (root / name).read_bytes() for name in names if not name.startswith(PRIVATE)}


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        yield from (Path(parent) / name for name in names if "__pycache__" not in parent)


def write_assets(files: Mapping[str, bytes], folder: Path, *, force: bool) -> list[str]:
    """Write the files into a folder, and return the names of those that were not up to date.

    Raise AssetError before anything is written if a file was changed there, except with ``force``.
    """
    recorded = _read_record(folder / RECORD)
    outdated = [name for name, content in files.items() if _content(folder / name) != content]
    changed = [name for name in outdated if not _may_replace(folder / name, recorded.get(name))]
    if changed and not force:
        names = "".join(f"\n  {folder / name}" for name in changed)
        raise AssetError(
            f"nothing was written, because these files were changed. Use another folder, or --force to replace them:"
            f"{names}"
        )
    for name in outdated:
        _replace(folder / name, files[name])
    record = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()
    if _content(folder / RECORD) != record:
        _replace(folder / RECORD, record)
    return outdated


def _read_record(path: Path) -> dict[str, str]:
    """Return the digests that were recorded, by name."""
    lines = (_content(path) or b"").decode(errors="replace").splitlines()
    pairs = (line.partition("  ") for line in lines)
    return {name: digest for digest, _, name in pairs}


def _content(path: Path) -> bytes | None:
    """Return the content of a regular file, or None."""
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _may_replace(path: Path, recorded: str | None) -> bool:
    """Return whether a path is free, or has the content that this command wrote there."""
    if not path.exists() and not path.is_symlink():
        return True
    content = _content(path)
    return content is not None and hashlib.sha256(content).hexdigest() == recorded


def _replace(path: Path, content: bytes) -> None:
    """Write a file as a whole. A link at the path is replaced, not followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(content)
    temporary = Path(file.name)
    try:
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError:
        temporary.unlink()
        raise
