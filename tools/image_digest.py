"""Write the current digest of the base image into the Dockerfile: ``make image-digest``.

It asks the registry of the image for the digest of its tag, as ``docker pull`` does. Without a registry it changes
nothing, reports this, and ends with exit code 2.
"""

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
_LINE = re.compile(r"^ARG BASE=(?P<image>[^\s@]+)(@sha256:[0-9a-f]{64})?$", re.MULTILINE)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
#: Indexes first: their digest is valid for every architecture.
_ACCEPT = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
TIMEOUT = 20.0


class Image(NamedTuple):
    """An image: the URL of its registry, its repository and its tag."""

    registry: str
    repository: str
    tag: str


def parse_image(text: str) -> Image:
    """Return the parts of ``python:3.13`` or ``registry.example/team/python:3.13``, as Docker understands them."""
    name, _, tag = text.rpartition(":") if ":" in text.rpartition("/")[2] else (text, "", "latest")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        scheme = "http" if first.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
        return Image(f"{scheme}://{first}", rest, tag)
    return Image("https://registry-1.docker.io", name if slash else f"library/{name}", tag)


def current_digest(image: Image) -> str:
    """Return the digest of the tag. Raises OSError or ValueError."""
    request = urllib.request.Request(f"{image.registry}/v2/{image.repository}/manifests/{image.tag}", method="HEAD")  # noqa: S310
    request.add_header("Accept", _ACCEPT)
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != 401:
            raise
        request.add_unredirected_header("Authorization", f"Bearer {_token(error.headers['WWW-Authenticate'] or '')}")
        response = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310
    with response:
        digest = response.headers["Docker-Content-Digest"] or ""
    if not _DIGEST.fullmatch(digest):
        raise ValueError("the registry sent no digest")
    return str(digest)


def _token(challenge: str) -> str:
    """Return a token for anonymous access from the server that the challenge names."""
    parameters = dict(_CHALLENGE.findall(challenge))
    realm = parameters.pop("realm", "")
    if not realm.startswith(("https://", "http://127.0.0.1")):
        raise ValueError("the registry demands a login")
    with urllib.request.urlopen(f"{realm}?{urllib.parse.urlencode(parameters)}", timeout=TIMEOUT) as response:  # noqa: S310
        answer = json.load(response)
    return str(answer.get("token") or answer["access_token"])


def with_digest(dockerfile: str, digest: str) -> str:
    """Return the Dockerfile with this digest. The tag stays, for people."""
    return _LINE.sub(lambda match: f"ARG BASE={match['image']}@{digest}", dockerfile)


def main(file: Path) -> int:
    """Change the Dockerfile; return the exit code."""
    dockerfile = file.read_text()
    match = _LINE.search(dockerfile)
    if match is None:
        print(f"{file} has no line ARG BASE=IMAGE:TAG")
        return 1
    image = parse_image(match["image"])
    try:
        digest = current_digest(image)
    except (OSError, ValueError, KeyError) as error:
        print(f"{image.registry} gave no digest of {match['image']}: {error}. {file} is unchanged: it names a tag only")
        return 2
    file.write_text(with_digest(dockerfile, digest))
    print(f"{file}: {match['image']}@{digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(ROOT / "Dockerfile"))
