"""Build the site of the documentation: ``make site``, or ``python -m tools.docs_site [--into DIR]``.

``docs/`` is also read on a Git host. There, links lead to files outside of it too, such as ``../deploy/compose.yaml``.
So the pages are copied first, and links that leave the site get the address of the repository. ``mkdocs.yml`` has the
navigation. Each of its patterns stands for all pages that match it.

``DIR/VERSION/`` is the site of this version. ``DIR/versions.json`` lists all versions below ``DIR``. The selector in
the head of the pages reads it. ``DIR/index.html`` leads to the newest version. ``tools/docs_search.py`` adds metrics to
the search.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from redis_pulse import __version__
from tools import docs_search

ROOT = Path(__file__).parents[1]
REPOSITORY = "https://github.com/redis-pulse/redis-pulse"
#: Pages from outside of ``docs/``, and their names on the site.
FROM_ROOT = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "GOVERNANCE.md": "governance.md",
    "SECURITY.md": "security-policy.md",
}
#: Other files that ``docs/`` needs.
ASSETS = ("docs/**/*.png", "docs/**/*.json", "docs/**/*.css")
_LINK = re.compile(r"(!?\[(?:[^\[\]]|\[[^\]]*\])*\]\()([^()\s]+)(\))")
_FENCED = re.compile(r"(^ *(?:```|~~~).*?^ *(?:```|~~~) *$)", re.DOTALL | re.MULTILINE)
#: The margin of a list or a paragraph in a list. The generator needs 4 columns. Other readers need 2 or 3.
_NESTED = re.compile(r"^ {2,3}(?=[-*] |\d+\. )|(?<=\n\n) {2,3}(?=\S)", re.MULTILINE)
_VERSION = re.compile(r"\d+(\.\d+)*")


class SiteError(Exception):
    """The site cannot be built. The text says why."""


def pages(root: Path = ROOT) -> dict[str, str]:
    """Return the pages of the site: their paths in the repository, and their paths on the site."""
    docs = {path.relative_to(root).as_posix(): path for path in sorted(root.glob("docs/**/*.md"))}
    return {name: name.removeprefix("docs/") for name in docs} | FROM_ROOT


def navigation(entries: Sequence[Any], known: Sequence[str]) -> list[Any]:
    """Return the entries of ``nav`` with each pattern replaced by the pages that match it."""
    expanded: list[Any] = []
    for entry in entries:
        match entry:
            case str() if "*" in entry:
                expanded += sorted(page for page in known if fnmatch(page, entry))
            case {**titles} if titles:
                expanded += [
                    {title: navigation(below, known) if isinstance(below, list) else below}
                    for title, below in titles.items()
                ]
            case _:
                expanded.append(entry)
    return expanded


def named(entries: Sequence[Any]) -> Iterator[str]:
    """Yield the pages that an expanded navigation names."""
    for entry in entries:
        for below in entry.values() if isinstance(entry, Mapping) else [entry]:
            if isinstance(below, list):
                yield from named(below)
            else:
                yield str(below)


def problems(root: Path = ROOT) -> list[str]:
    """Return what is wrong with the navigation: pages that it leaves out, names twice or names without a file."""
    known = list(pages(root).values())
    listed = list(named(navigation(_configuration(root)["nav"], known)))
    left_out = [f"{page} is not in the navigation: add it to nav in mkdocs.yml" for page in known if page not in listed]
    missing = [f"{page} is in the navigation, and there is no such page" for page in listed if page not in known]
    twice = [f"{page} is in the navigation twice" for page in sorted(set(listed)) if listed.count(page) > 1]
    return left_out + missing + twice


def on_site(text: str, source: str, names: Mapping[str, str], root: Path = ROOT) -> str:
    """Return the text of a page with its links changed for the site. ``source`` is its path in the repository."""

    def replaced(match: re.Match[str]) -> str:
        return match[1] + _link(match[2], source, names, root) + match[3]

    # Prose and code take turns. The text of a link may contain the end of a line.
    parts = _FENCED.split(text)
    return "".join(
        part if part.lstrip().startswith(("```", "~~~")) else _NESTED.sub("    ", _LINK.sub(replaced, part))
        for part in parts
    )


def _link(link: str, source: str, names: Mapping[str, str], root: Path) -> str:
    path, mark, anchor = link.partition("#")
    if not path or re.match(r"[a-z]+:", link):
        return link
    to = os.path.normpath(PurePosixPath(source).parent / path)
    if to in names:
        return os.path.relpath(names[to], PurePosixPath(names[source]).parent) + mark + anchor
    if to.startswith("docs/") and (root / to).is_file():
        return link
    kind = "tree" if (root / to).is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{to}{mark}{anchor}"


def prepare(into: Path, root: Path = ROOT) -> None:
    """Write what the generator reads: the pages with the links of the site, pictures, and the configuration."""
    if wrong := problems(root):
        raise SiteError("\n".join(wrong))
    names = pages(root)
    for source, name in names.items():
        target = into / "docs" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        text = on_site((root / source).read_text(encoding="utf-8"), source, names, root)
        target.write_text(docs_search.with_anchors(text) if name == docs_search.PAGE else text, encoding="utf-8")
    for pattern in ASSETS:
        for path in root.glob(pattern):
            target = into / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    configuration = _configuration(root)
    configuration["nav"] = navigation(configuration["nav"], list(names.values()))
    configuration["copyright"] = f"redis-pulse {__version__}. {configuration['copyright']}"
    (into / "mkdocs.yml").write_text(yaml.safe_dump(configuration, sort_keys=False), encoding="utf-8")


def build(into: Path, work: Path) -> Path:
    """Build the site of this version below ``into``, and return its folder. A warning is a ``SiteError``."""
    if find_spec("zensical") is None:
        raise SiteError("the generator is not installed: make site installs it")
    shutil.rmtree(work, ignore_errors=True)
    prepare(work)
    options = ["--clean", "--strict", "--config-file", str(work / "mkdocs.yml")]
    done = subprocess.run(  # noqa: S603  # fixed words, and our own path
        [sys.executable, "-m", "zensical", "build", *options], cwd=work, capture_output=True, text=True, check=False
    )
    output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    if done.returncode or "warning" in output.lower():
        raise SiteError(f"the generator complains:\n{output}")
    docs_search.add_entries(work / "site", (ROOT / "docs" / docs_search.PAGE).read_text(encoding="utf-8"))
    site = into / __version__
    shutil.rmtree(site, ignore_errors=True)
    site.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(work / "site", site)
    write_versions(into)
    return site


def write_versions(into: Path) -> None:
    """Write ``versions.json``, newest first, and an ``index.html`` that leads to the newest version."""
    found = [path.name for path in into.iterdir() if path.is_dir() and _VERSION.match(path.name)]
    found.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name)], reverse=True)
    rows = [{"version": name, "title": name, "aliases": ["latest"] if name == found[0] else []} for name in found]
    (into / "versions.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (into / "index.html").write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>redis-pulse</title>'
        f'<meta http-equiv="refresh" content="0; url={found[0]}/"><a href="{found[0]}/">redis-pulse {found[0]}</a>\n',
        encoding="utf-8",
    )


def _configuration(root: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((root / "mkdocs.yml").read_text(encoding="utf-8"))
    return loaded


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the site and print where it is. Return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.docs_site", description="Build the site of the documentation."
    )
    parser.add_argument("--into", type=Path, default=ROOT / "dist" / "site", help="folder of all versions (dist/site)")
    into = parser.parse_args(arguments).into.resolve()
    try:
        site = build(into, ROOT / "build" / "site")
    except SiteError as error:
        print(f"make site: {error}", file=sys.stderr)
        return 1
    pages_built = sum(1 for _ in site.rglob("*.html"))
    print(f"{pages_built} pages in {site}; to look at them: python -m http.server --directory {into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
