"""A certificate authority of our own, and certificates for a server, made anew at each rotation."""

from pathlib import Path

import trustme


class Authority:
    """Files for one server: what it shows, and whom its clients trust."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        folder.mkdir(parents=True)
        self._host = host
        self._ca = trustme.CA()
        self._trusted = self._ca.cert_pem.bytes()
        #: what clients read; it may hold the old and the new authority
        self.ca_file = folder / "ca.pem"
        self.cert_file, self.key_file = folder / "cert.pem", folder / "key.pem"
        self._put(self.ca_file, self._trusted)
        self.rotate(new_authority=False)

    def rotate(self, *, new_authority: bool) -> None:
        """Write another certificate; of a new authority when wanted, which clients trust besides the old one."""
        if new_authority:
            self._ca = trustme.CA()
            self._trusted = self._ca.cert_pem.bytes() + self._trusted
            self._put(self.ca_file, self._trusted)
        made = self._ca.issue_cert(self._host)
        self._put(self.cert_file, b"".join(blob.bytes() for blob in made.cert_chain_pems))
        self._put(self.key_file, made.private_key_pem.bytes())

    @staticmethod
    def _put(path: Path, content: bytes) -> None:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(path)
