"""Tokens of Microsoft Entra, for Azure Managed Redis and Azure Cache for Redis."""

import base64
import json
from typing import Any

from redis_pulse.config import AzureSettings
from redis_pulse.tokens.model import RenewalError, Token


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JSON Web Token, unchecked: the server checks them. Empty if it has none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class AzureTokens:
    """Requests tokens for the identity that the environment names: of a workload, of the machine, of a secret."""

    def __init__(self, settings: AzureSettings) -> None:
        self._settings = settings

    def __call__(self) -> Token:
        """Return a token. Raises RenewalError. Blocks."""
        try:
            from azure.core.exceptions import AzureError
            from azure.identity import DefaultAzureCredential
        except ImportError:
            text = "azure-identity is not installed: pip install 'redis-pulse[azure]'"
            raise RenewalError("library", text) from None
        settings = self._settings
        names = ("managed_identity_client_id", "workload_identity_client_id")
        options = dict.fromkeys(names, settings.client_id) if settings.client_id else {}
        try:
            # A new one each time: an old one returns the token that it keeps, until that has five minutes left.
            with DefaultAzureCredential(**options) as credential:
                found = credential.get_token(settings.scope)
        except (AzureError, ValueError) as error:
            raise RenewalError("identity", f"Microsoft Entra gives no token: {type(error).__name__}") from None
        return login_of(found.token, found.expires_on, settings.user)


def login_of(token: str, expires_on: float, user: str | None) -> Token:
    """Return the login of an access token. Its user is the object id in the token. Raises RenewalError."""
    user = user or claims_of(token).get("oid")
    if not isinstance(user, str) or not user:
        raise RenewalError("output", "the token of Microsoft Entra has no oid: set credentials.azure.user")
    return Token(token, user, float(expires_on))
