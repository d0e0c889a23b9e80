"""The program of ``credentials.command`` in the tests: it prints a token that the fake IAM server accepts.

    python iam_token.py KEY LIFE

A token has its end and a signature in it, so the server needs no list of tokens. Standard error gets a secret, which no
log may show.
"""

import hashlib
import hmac
import json
import sys
import time

USER = "exporter"
#: Printed to standard error by every run.
LEAK = "secret-on-standard-error"


def sign(key: str, ends: float) -> str:
    """Return the token that ends at this Unix time."""
    return f"{ends:.3f}:{hmac.new(key.encode(), f'{ends:.3f}'.encode(), hashlib.sha256).hexdigest()}"


def end_of(key: str, token: str) -> float | None:
    """Return the Unix time at which a token ends, or None if it was not signed with the key."""
    text = token.partition(":")[0]
    try:
        ends = float(text)
    except ValueError:
        return None
    return ends if hmac.compare_digest(sign(key, ends), token) else None


if __name__ == "__main__":
    expires_at = time.time() + float(sys.argv[2])
    print(LEAK, file=sys.stderr)
    print(json.dumps({"username": USER, "password": sign(sys.argv[1], expires_at), "expires_at": expires_at}))
