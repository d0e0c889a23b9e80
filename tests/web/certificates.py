"""Throw-away certificates, and web configuration files that use them."""

from pathlib import Path
from typing import Any

import trustme
import yaml


class Certificates:
    """An authority, and files of it in a folder. ``issue`` writes ``NAME.crt`` and ``NAME.key``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.ca_file = folder / "ca.crt"
        self.ca_file.write_bytes(self.authority.cert_pem.bytes())

    def issue(self, name: str, *identities: str, authority: trustme.CA | None = None) -> tuple[Path, Path]:
        """Write a certificate for the names, and its key. Return both paths."""
        made = (authority or self.authority).issue_cert(*(identities or (f"{name}.example",)))
        cert, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        cert.write_bytes(b"".join(pem.bytes() for pem in made.cert_chain_pems))
        key.write_bytes(made.private_key_pem.bytes())
        return cert, key


def write_config(folder: Path, **sections: Any) -> Path:
    """Write ``web.yml`` in one step, as a good editor does, and return its path."""
    path = folder / "web.yml"
    new = folder / "web.yml.new"
    new.write_text(yaml.safe_dump(sections))
    return new.replace(path)
