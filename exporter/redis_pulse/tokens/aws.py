"""Tokens of AWS IAM: a request to ElastiCache or MemoryDB, presigned in its query, without its scheme.

Signing needs no network. Only the credentials of the machine may need it: a role of a pod, an instance or a container.
"""

from collections.abc import Callable
from time import time
from typing import Any
from urllib.parse import urlencode

from redis_pulse.config import AwsSettings
from redis_pulse.tokens.model import RenewalError, Token

#: Seconds for which a token can be used to log in. AWS allows no longer life.
LIFE = 900


def presigned_token(settings: AwsSettings, credentials: Any) -> str:
    """Return a token, signed with ``credentials`` of botocore at the present time."""
    from botocore.auth import SigV4QueryAuth
    from botocore.awsrequest import AWSRequest

    query = {"Action": "connect", "User": settings.user}
    if settings.serverless:
        query["ResourceType"] = "ServerlessCache"
    request = AWSRequest(method="GET", url=f"http://{settings.name}/?{urlencode(query)}")
    SigV4QueryAuth(credentials, settings.service, settings.region, expires=LIFE).add_auth(request)
    return str(request.url).removeprefix("http://")


class AwsTokens:
    """Makes tokens with the credentials that botocore finds. It keeps them, because botocore renews them itself."""

    def __init__(self, settings: AwsSettings, wall: Callable[[], float] = time) -> None:
        self._settings = settings
        self._wall = wall
        self._credentials: Any = None

    def __call__(self) -> Token:
        """Return a new token. Raises RenewalError. Blocks."""
        try:
            from botocore.exceptions import BotoCoreError
            from botocore.session import get_session
        except ImportError:
            raise RenewalError("library", "botocore is not installed: pip install 'redis-pulse[aws]'") from None
        try:
            if self._credentials is None:
                self._credentials = get_session().get_credentials()
            if self._credentials is None:
                raise RenewalError("identity", "botocore finds no credentials on this machine")
            now = self._wall()
            token = presigned_token(self._settings, self._credentials.get_frozen_credentials())
        except BotoCoreError as error:
            # The text of the error may contain what the identity service replied.
            raise RenewalError("identity", f"botocore has no credentials: {type(error).__name__}") from None
        return Token(token, self._settings.user, now + LIFE)
