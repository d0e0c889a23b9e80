"""A certificate authority for tests, and certificates for a server. Each rotation makes new ones."""

from pathlib import Path

import trustme


class Authority:
    """Files for one server: its certificate and key, and the authorities that its clients trust."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        folder.mkdir(parents=True)
        self._host = host
        self._ca = trustme.CA()
        self._trusted = self._ca.cert_pem.bytes()
        #: clients read this file; it can have the old and the new authority
        self.ca_file = folder / "ca.pem"
        self.cert_file, self.key_file = folder / "cert.pem", folder / "key.pem"
        self._replace_file(self.ca_file, self._trusted)
        self.rotate(new_authority=False)

    def rotate(self, *, new_authority: bool) -> None:
        """Write a new certificate.

        With ``new_authority``, a new authority issues it, and clients trust the new and the old authority.
        """
        if new_authority:
            self._ca = trustme.CA()
            self._trusted = self._ca.cert_pem.bytes() + self._trusted
            self._replace_file(self.ca_file, self._trusted)
        certificate = self._ca.issue_cert(self._host)
        self._replace_file(self.cert_file, b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        self._replace_file(self.key_file, certificate.private_key_pem.bytes())

    @staticmethod
    def _replace_file(path: Path, content: bytes) -> None:
        temporary = path.with_suffix(".new")
        temporary.write_bytes(content)
        temporary.replace(path)
