"""Write the bills of materials, in the format CycloneDX: ``make sbom``.

    dist/redis-pulse-wheel.cdx.json   the libraries that the wheel allows, in the versions of requirements/run.lock
    dist/redis-pulse-image.cdx.json   the libraries in the image (requirements/image.lock), and its base image

Both are made of the lock files. They do not list the packages of Debian in the base image. A scanner of images does.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_BASE = re.compile(
    r"^ARG BASE=(?P<name>[^\s@]+?)(:(?P<tag>[\w.-]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?$", re.MULTILINE
)


def libraries(lock_file: Path) -> dict[str, Any]:
    """Return the document that cyclonedx-py makes of a lock file."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(lock_file), "--pyproject"]
    command += [str(ROOT / "pyproject.toml"), "--output-format", "JSON", "--output-reproducible"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def base_image(dockerfile: str) -> dict[str, Any]:
    """Return the component for the base image of a Dockerfile."""
    match = _BASE.search(dockerfile)
    if match is None:
        raise ValueError("the Dockerfile has no line ARG BASE=IMAGE:TAG")
    component: dict[str, Any] = {"type": "container", "bom-ref": "base-image", "name": match["name"]}
    if match["tag"]:
        component["version"] = match["tag"]
    if match["digest"]:
        algorithm, _, content = match["digest"].partition(":")
        component["hashes"] = [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": content}]
    return component


def with_component(document: dict[str, Any], component: dict[str, Any]) -> dict[str, Any]:
    """Return the document with one more component."""
    return {**document, "components": [*document["components"], component]}


def main(folder: Path) -> None:
    """Write both files."""
    folder.mkdir(exist_ok=True)
    image = with_component(libraries(ROOT / "requirements/image.lock"), base_image((ROOT / "Dockerfile").read_text()))
    for name, document in (("wheel", libraries(ROOT / "requirements/run.lock")), ("image", image)):
        file = folder / f"redis-pulse-{name}.cdx.json"
        file.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")
        print(f"wrote {file}: {len(document['components'])} components")


if __name__ == "__main__":
    main(ROOT / "dist")
