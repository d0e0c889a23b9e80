"""Access tokens of Google IAM, for Memorystore. The user is ``default``, the only one that it has."""

from datetime import UTC
from typing import Any

from redis_pulse.config import GoogleSettings
from redis_pulse.tokens.model import RenewalError, Token

_SCOPE = "https://www.googleapis.com/auth/cloud-platform"


class GoogleTokens:
    """Requests tokens for the identity that google-auth finds. It keeps the identity, and no token."""

    def __init__(self, settings: GoogleSettings) -> None:
        self._settings = settings
        self._credentials: Any = None

    def __call__(self) -> Token:
        """Return a token. Raises RenewalError. Blocks."""
        try:
            from google.auth import default
            from google.auth.exceptions import GoogleAuthError
            from google.auth.transport.requests import Request
        except ImportError:
            text = "google-auth is not installed: pip install 'redis-pulse[google]'"
            raise RenewalError("library", text) from None
        try:
            if self._credentials is None:
                self._credentials, _ = default(scopes=[_SCOPE])
            self._credentials.refresh(Request())
        except GoogleAuthError as error:
            raise RenewalError("identity", f"Google gives no token: {type(error).__name__}") from None
        return login_of(self._credentials, self._settings.user)


def login_of(credentials: Any, user: str) -> Token:
    """Return the login of refreshed credentials. Raises RenewalError if they have no token."""
    if not credentials.token:
        raise RenewalError("output", "the credentials of Google have no token")
    expiry = credentials.expiry  # UTC, without a time zone
    return Token(credentials.token, user, None if expiry is None else expiry.replace(tzinfo=UTC).timestamp())
