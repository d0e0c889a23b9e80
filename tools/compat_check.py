"""Compare the public names of the current tree with those of earlier releases: ``make compat-check``.

``compat/VERSION.json`` has the names of a release, as ``make compat-record`` wrote them. A name may be missing or
different now only if CHANGELOG.md announces it. An entry ``- BREAKING: …`` that is newer than that release must contain
it. New names are always allowed.

    exit code 0   nothing was removed, or each removal is announced
    exit code 1   something was removed, renamed or changed, and no entry names it
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from packaging.version import Version

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "compat"
CHANGELOG = ROOT / "CHANGELOG.md"
UNRELEASED = "Unreleased"
#: Lists of values, whose order means nothing.
_SETS = ("labels",)
_PLACEHOLDER = re.compile(r"^(modules\.NAME|targets\[\]|discovery\.\w+\[\])\.")

#: A pattern has a beginning of its own. Otherwise a `**` in an entry would name everything.
_PATTERN = re.compile(r"[\w/-][\w./-]{2,}\*")


class Change(NamedTuple):
    """A removed or changed name. An entry must contain all ``names``."""

    names: tuple[str, ...]
    text: str


def changes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Yield what users of the old names must be told."""
    for kind, names in old.items():
        if kind == "version":
            continue
        current = new.get(kind, {})
        for name, properties in names.items():
            if name not in current:
                yield Change((name,), f"{kind}: {name} was removed or renamed")
                continue
            for key, value in properties.items():
                yield from _different(kind, name, key, value, current[name].get(key))


def _different(kind: str, name: str, key: str, old: Any, new: Any) -> Iterator[Change]:
    if key in _SETS:
        for one in sorted(set(old) ^ set(new)):
            verb = "was removed or renamed" if one in old else "was added, so every series changes"
            yield Change((name, one), f"{kind}: the {key.removesuffix('s')} {one} of {name} {verb}")
    elif old != new and not (key == "type" and _has_more_values(old, new)):
        yield Change((name,), f"{kind}: the {key} of {name} was {old or 'empty'}, and is {new or 'empty'}")


def _has_more_values(old: str, new: str | None) -> bool:
    """Return whether a list of allowed values only grew: ``logfmt, json`` to ``logfmt, json, text``."""
    return ", " in old and set(old.split(", ")) <= set((new or "").split(", "))


def sections(changelog: str) -> list[tuple[str, str]]:
    """Return title and text of each section, in order."""
    parts = re.split(r"^## (.+)$", changelog, flags=re.MULTILINE)
    return [(title.strip(), text) for title, text in zip(parts[1::2], parts[2::2], strict=True)]


def breaking_entries(changelog: str, version: str) -> list[str]:
    """Return the BREAKING entries that are newer than a version. Without its section, only Unreleased is newer."""
    titles = [title.split()[0] for title, _ in sections(changelog)]
    count = titles.index(version) if version in titles else int(titles[:1] == [UNRELEASED])
    text = "".join(text for _, text in sections(changelog)[:count])
    entries = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
    return [entry for entry in entries if entry.startswith("BREAKING")]


def is_named(name: str, entry: str) -> bool:
    """Return whether an entry has a name between backticks, as a whole word or by a pattern with ``*``."""
    code = re.findall(r"`([^`]+)`", entry)
    wanted = {name, _PLACEHOLDER.sub("", name)}
    if any(fnmatchcase(one, pattern) for one in wanted for pattern in code if _PATTERN.match(pattern)):
        return True
    return any(re.search(rf"(?<![\w.-]){re.escape(one)}(?![\w-]|\.\w)", part) for one in wanted for part in code)


def unannounced(old: dict[str, Any], new: dict[str, Any], changelog: str) -> list[str]:
    """Return a message for each change that no entry names."""
    entries = breaking_entries(changelog, old["version"])
    return [
        f"{change.text}. Keep it, or add to CHANGELOG.md: - BREAKING: … {_quoted(change.names)} …"
        for change in changes(old, new)
        if not any(all(is_named(name, entry) for name in change.names) for entry in entries)
    ]


def _quoted(names: Sequence[str]) -> str:
    return " … ".join(f"`{name}`" for name in names)


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of releases, the oldest first."""
    read = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")]
    return sorted(read, key=lambda one: Version(one["version"]))


def as_text(names: dict[str, Any]) -> str:
    """Return the names as JSON with one name in each line, so that a diff shows one name."""
    parts = []
    for kind, value in names.items():
        if isinstance(value, dict):
            lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in value.items())
            parts.append(f"{json.dumps(kind)}: {{\n{lines}\n}}")
        else:
            parts.append(f"{json.dumps(kind)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def record(names: dict[str, Any], folder: Path, changelog: str) -> Path:
    """Write the record of the current version, and return its path. Raise ValueError if that version is released."""
    version = names["version"]
    titles = [title.split()[0] for title, _ in sections(changelog)]
    if version in titles and titles[0] != version:
        raise ValueError(f"{version} is released, so its record must stay: raise __version__ first")
    folder.mkdir(exist_ok=True)
    path = folder / f"{version}.json"
    path.write_text(as_text(names), encoding="utf-8")
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, or write with ``--record``. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.compat_check", description="Compare public names.")
    parser.add_argument("--record", action="store_true", help="write the names of this version to compat/")
    is_record = parser.parse_args(arguments).record
    from tools import public_names

    names, changelog = public_names.collect(), CHANGELOG.read_text(encoding="utf-8")
    if is_record:
        try:
            print(f"wrote {record(names, FOLDER, changelog).relative_to(ROOT)}")
        except ValueError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    known = records(FOLDER)
    if not known:
        print("compat/ has no record of a release: run make compat-record", file=sys.stderr)
        return 1
    found = [f"since {old['version']}: {line}" for old in known for line in unannounced(old, names, changelog)]
    for line in found:
        print(line, file=sys.stderr)
    count = sum(len(value) for value in names.values() if isinstance(value, dict))
    versions = ", ".join(old["version"] for old in known)
    print(f"compared {count} names with {versions}: {len(found)} changes without a BREAKING entry")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
