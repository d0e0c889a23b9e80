"""Build wheel and sdist so that everyone gets the same bytes, and examine what is inside."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from redis_pulse import __version__, asset_files
from tools.release.result import Release, Result, of_errors, run
from tools.workflows_check import TOOLS

#: What must be in the wheel, beside the assets.
REQUIRED = ("redis_pulse/py.typed", "redis_pulse/cli.py", "redis_pulse/web/pages/openapi.json")
_RENDER = """\
import sys
from readme_renderer import markdown
html = markdown.render(sys.stdin.read())
sys.exit("it cannot be rendered") if html is None else print(html)
"""


def reproducible(release: Release) -> Result:
    """Build twice, from two copies in other folders with other times, and once from the sdist. All bytes are equal."""
    date = source_date(release.root)
    first = build(copy_tree(release.root, release.scratch / "first"), release.scratch / "built", date)
    later = copy_tree(release.root, release.scratch / "a longer name")
    for path in later.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    second = build(later, release.scratch / "again", date)
    sdist = next(path for path in first if path.name.endswith(".tar.gz"))
    with tarfile.open(sdist) as archive:
        archive.extractall(release.scratch / "unpacked", filter="data")
    (unpacked,) = (release.scratch / "unpacked").iterdir()
    third = build(unpacked, release.scratch / "of-sdist", date, "wheel")
    errors = [
        f"{one.name}: {one.parent.name} and {other.parent.name} differ"
        for one in first
        for other in (*second, *third)
        if one.name == other.name and digest(one) != digest(other)
    ]
    if len(first) != len(second) or len(third) != 1:
        errors.append(f"{len(first)} files, then {len(second)}, and {len(third)} of the sdist")
    target = release.root / "dist"
    target.mkdir(exist_ok=True)
    for old in (*target.glob("redis_pulse-*.whl"), *target.glob("redis_pulse-*.tar.gz")):
        old.unlink()
    release.files = [Path(shutil.copy2(path, target)) for path in first]
    sizes = ", ".join(f"{path.name} {path.stat().st_size // 1024} kB {digest(path)[:12]}" for path in first)
    return of_errors(errors, f"three builds have equal bytes: {sizes}")


def copy_tree(root: Path, to: Path) -> Path:
    """Copy the files that git knows or would add. Links stay links."""
    names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root).split("\0")
    for name in filter(None, names):
        if (root / name).is_symlink() or (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name, follow_symlinks=False)
    return to


def source_date(root: Path) -> str:
    """Return the time of the newest commit, which is the time of every file in the archives."""
    return run(["git", "log", "-1", "--format=%ct"], cwd=root).strip()


def build(tree: Path, to: Path, date: str, *targets: str) -> list[Path]:
    """Build in a tree without the network, and return the files in order."""
    words = [word for target in targets or ("wheel", "sdist") for word in ("--target", target)]
    env = {**os.environ, "SOURCE_DATE_EPOCH": date}
    run([sys.executable, "-m", "hatchling", "build", "--directory", to, *words], cwd=tree, env=env)
    return sorted(path for path in to.iterdir() if path.name.startswith("redis_pulse-"))


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(release: Release) -> Result:
    """Compare the assets in the wheel with the checkout, and look for what must and must not be inside."""
    if release.wheel is None:
        return Result("skipped", "needs the build")
    with zipfile.ZipFile(release.wheel) as archive:
        inside = {name: archive.read(name) for name in archive.namelist()}
    errors = [f"{name} is missing" for name in REQUIRED if name not in inside]
    prefix = "redis_pulse/assets/"
    assets = {name.removeprefix(prefix): data for name, data in inside.items() if name.startswith(prefix)}
    expected = asset_files.stored_assets(release.root)
    errors += [f"{name} is missing or differs" for name in expected if assets.get(name) != expected[name]]
    errors += [f"{name} is not an asset" for name in assets.keys() - expected.keys()]
    errors += [
        f"{name} does not belong into a wheel" for name in inside if re.search(r"__pycache__|\.env$|\.pem$", name)
    ]
    metadata = metadata_of(release.wheel)
    if metadata["Version"] != __version__:
        errors.append(f"the metadata has version {metadata['Version']}, and redis_pulse has {__version__}")
    if "Typing :: Typed" not in metadata.get_all("Classifier", []):
        errors.append("the metadata lacks the classifier Typing :: Typed")
    return of_errors(errors, f"{len(inside)} files, {len(assets)} of them assets; typed; version {__version__}")


def metadata_of(wheel: Path) -> Message:
    """Return the metadata of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def long_description(release: Release) -> Result:
    """Render the long description as PyPI does. No link may be relative, because PyPI does not resolve it."""
    if release.wheel is None:
        return Result("skipped", "needs the build")
    if not (TOOLS / "readme_renderer").is_dir():
        return Result("skipped", "readme-renderer is not installed: make release-tools")
    metadata = metadata_of(release.wheel)
    if metadata["Description-Content-Type"] != "text/markdown":
        return Result("failed", f"the content type is {metadata['Description-Content-Type']}")
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _RENDER],
        input=str(metadata.get_payload()),
        env={**os.environ, "PYTHONPATH": str(TOOLS)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return Result("failed", done.stderr.strip())
    return of_errors(relative_links(done.stdout), f"{len(done.stdout) // 1024} kB of HTML, and every link is absolute")


def relative_links(html: str) -> list[str]:
    """Return a message for each link or picture in a text that is not absolute."""
    links = re.findall(r'(?:href|src)="([^"]*)"', html)
    return [f"the link {link} is relative" for link in links if not re.match(r"https?://|#|mailto:", link)]
