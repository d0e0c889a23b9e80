"""Targets from a URL that answers in the form of Prometheus' http_sd.

The question is bounded: one deadline for the whole answer, a most of bytes, and no redirect is followed, since a token
goes along. The credentials of targets never come from an answer; it can only name modules of the configuration.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any

from redis_pulse import __version__
from redis_pulse.blocking import QUESTIONS, read_regular_file
from redis_pulse.client.pool import TlsContext
from redis_pulse.config import HttpSourceSettings, SourceSettings, TargetSettings, read_groups
from redis_pulse.discovery.base import DiscoveryError, SourceContext
from redis_pulse.discovery.target_groups import targets_of

_CHUNK = 65536
#: Bytes of a bearer token; a JWT has a few thousand.
_LONGEST_TOKEN = 100_000


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for what it is here: a wrong URL."""

    def redirect_request(self, *_: Any) -> None:
        return None


class HttpSource:
    """What one URL lists."""

    def __init__(self, settings: SourceSettings, surroundings: SourceContext) -> None:
        assert isinstance(settings.options, HttpSourceSettings)  # noqa: S101
        self.settings = settings
        self._options = settings.options
        self._refuse = surroundings.reject
        self._context = TlsContext(settings.options.tls)

    async def refresh(self) -> Sequence[TargetSettings]:
        """Ask. Raises DiscoveryError."""
        # A name that does not resolve is not bound by the timeout of the socket.
        text = await QUESTIONS.run((self.settings.key, self._options.url), self._ask, within=self._options.timeout + 1)
        try:
            groups = read_groups(text, is_yaml=False)
        except ValueError as error:
            raise DiscoveryError(f"the answer {error}") from None
        return targets_of(groups, self.settings, "answer", self._refuse)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _ask(self) -> str:
        options = self._options
        deadline = time.monotonic() + options.timeout
        request = urllib.request.Request(options.url, headers=self._headers())  # noqa: S310  # http or https: checked
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        try:
            if options.url.startswith("https"):
                handlers.append(urllib.request.HTTPSHandler(context=self._context()))
            opener = urllib.request.build_opener(*handlers)
            with opener.open(request, timeout=options.timeout) as answer:
                body = bytearray()
                while chunk := answer.read1(_CHUNK):
                    body += chunk
                    if len(body) > options.max_bytes:
                        raise DiscoveryError(f"the answer is longer than max_bytes, {options.max_bytes}")
                    if time.monotonic() > deadline:
                        raise DiscoveryError("the answer took longer than the timeout")
        except urllib.error.HTTPError as error:
            with error:
                what = "a redirect, which is not followed" if 300 <= error.code < 400 else error.reason
                raise DiscoveryError(f"the answer was {error.code}: {what}") from None
        except TimeoutError:
            raise DiscoveryError("no answer in time") from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise DiscoveryError(f"cannot be asked: {getattr(reason, 'strerror', None) or reason}") from None
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise DiscoveryError("the answer is not UTF-8 text") from None

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "User-Agent": f"redis-pulse/{__version__}",
            "X-Prometheus-Refresh-Interval-Seconds": f"{self._options.interval:g}",
        }
        if (file := self._options.bearer_token_file) is not None:
            try:
                headers["Authorization"] = f"Bearer {read_regular_file(file, _LONGEST_TOKEN).decode().strip()}"
            except (OSError, UnicodeDecodeError):
                raise DiscoveryError("bearer_token_file cannot be read") from None
        return headers
