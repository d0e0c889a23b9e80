"""What the texts of a release say: versions, links, the changelog, and the record of public names."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from redis_pulse import __version__
from tools import compat_check, public_names
from tools.links import dead_links, pages
from tools.release.result import Release, Result, of_errors

#: An image, a chart or a package of this project with a version, in any text.
_MENTION = re.compile(
    r"(?:ghcr\.io/redis-pulse/redis-pulse:|redis-pulse(?:\[[\w,]+\])?==|redis_pulse-|redis-pulse/v)(\d+\.\d+\.\d+)"
)


def versions(release: Release) -> Result:
    """Compare every version number in the tree with that of the package."""
    found = list(version_numbers(release.root))
    errors = [
        f"{place} has {number}, and redis_pulse has {__version__}" for place, number in found if number != __version__
    ]
    if release.tag and release.tag != f"v{__version__}":
        errors.append(f"the tag is {release.tag}, and redis_pulse has {__version__}")
    return of_errors(errors, f"{len(found)} version numbers are {__version__}")


def version_numbers(root: Path) -> Iterator[tuple[str, str]]:
    """Yield place and number of each version of this project in the tree."""
    chart = yaml.safe_load((root / "deploy/helm/redis-pulse/Chart.yaml").read_text(encoding="utf-8"))
    yield "version of Chart.yaml", str(chart["version"])
    yield "appVersion of Chart.yaml", str(chart["appVersion"])
    for path in sorted((root / "deploy" / "kubernetes").rglob("kustomization.yaml")):
        for image in yaml.safe_load(path.read_text(encoding="utf-8")).get("images", []):
            yield f"newTag of {path.relative_to(root)}", str(image.get("newTag"))
    texts = [path for path in pages(root) if path.name != "CHANGELOG.md"]
    texts += [path for path in sorted((root / "deploy").rglob("*.yaml")) if "templates" not in path.parts]
    for path in texts:
        for number in _MENTION.findall(path.read_text(encoding="utf-8")):
            yield str(path.relative_to(root)), number


def links(release: Release) -> Result:
    """Follow every relative link in every Markdown file."""
    return of_errors(list(dead_links(release.root)), f"{len(pages(release.root))} pages have no dead relative link")


def changelog(release: Release) -> Result:
    """Look for BREAKING entries without an upgrade note, and for the section of the tag."""
    text = (release.root / "CHANGELOG.md").read_text(encoding="utf-8")
    errors = [f"no upgrade note: {entry}" for entry in without_upgrade_note(text)]
    newest = compat_check.sections(text)[0][0]
    if release.tag and newest.split()[0] != __version__:
        errors.append(f"the newest section is {newest}: move its entries to a section {__version__}")
    count = len(re.findall(r"^- BREAKING", compat_check.sections(text)[0][1], re.MULTILINE))
    return of_errors(errors, f"section {newest}: each of {count} BREAKING entries has an upgrade note")


def without_upgrade_note(text: str) -> Iterator[str]:
    """Yield the beginning of each BREAKING entry of the newest section that has no sentence ``Upgrade: …``."""
    for entry in re.split(r"^- ", compat_check.sections(text)[0][1], flags=re.MULTILINE)[1:]:
        if entry.startswith("BREAKING") and "Upgrade:" not in entry.partition("\nWhat is true now")[0]:
            yield " ".join(entry.split()[:12])


def public_names_kept(release: Release) -> Result:
    """Compare the public names with those of earlier releases. At a tag, the record of this version is current."""
    text = (release.root / "CHANGELOG.md").read_text(encoding="utf-8")
    names, known = public_names.collect(), compat_check.records(release.root / "compat")
    errors = [f"since {old['version']}: {line}" for old in known for line in compat_check.unannounced(old, names, text)]
    if release.tag and names not in known:
        errors.append(f"compat/{__version__}.json is missing or outdated: run make compat-record")
    return of_errors(errors, f"compared with {', '.join(old['version'] for old in known)}")
