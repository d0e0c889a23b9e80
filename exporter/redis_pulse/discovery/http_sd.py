"""Targets from a URL that responds in the format of Prometheus' http_sd.

Each request is bounded: one deadline covers the whole response, and ``max_bytes`` limits its size. The source does not
follow a redirect, because the request may contain a token. A response cannot contain credentials for targets. It can
only name modules of the configuration.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from typing import Any

from redis_pulse import __version__
from redis_pulse.blocking import HTTP_REQUESTS, read_regular_file
from redis_pulse.client.tls import TlsContext
from redis_pulse.config import HttpSourceSettings, SourceSettings, TargetSettings, read_groups
from redis_pulse.discovery.base import DiscoveryError, SourceContext
from redis_pulse.discovery.target_groups import targets_of

_CHUNK_BYTES = 65536
#: Limit for a bearer token; a JWT has a few thousand bytes.
_MAX_TOKEN_BYTES = 100_000


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an error, because it means that the configured URL is wrong."""

    def redirect_request(self, *_: Any) -> None:
        return None


class HttpSource:
    """The targets that one URL lists."""

    def __init__(self, settings: SourceSettings, options: HttpSourceSettings, context: SourceContext) -> None:
        self.settings = settings
        self._options = options
        self._reject = context.reject
        self._tls_context = TlsContext(options.tls)

    async def refresh(self) -> Sequence[TargetSettings]:
        """Request the URL, and return the targets of its response. Raises DiscoveryError."""
        options = self._options
        # The timeout cannot stop the thread: urllib blocks in it, and a slow name lookup ignores the socket timeout.
        # At the deadline this call fails, and the thread ends later. Calls with the same key share one thread, so a
        # URL that hangs occupies one thread and no more.
        text = await HTTP_REQUESTS.run((self.settings.key, options.url), self._fetch, within=options.timeout + 1)
        try:
            groups = read_groups(text, is_yaml=False)
        except ValueError as error:
            raise DiscoveryError(f"the response {error}") from None
        return targets_of(groups, self.settings, "response", self._reject)

    async def aclose(self) -> None:
        """Do nothing: no connection stays open."""

    def _fetch(self) -> str:
        """Return the response as text. Runs in a thread. Raises DiscoveryError."""
        options = self._options
        deadline = time.monotonic() + options.timeout
        request = urllib.request.Request(options.url, headers=self._headers())  # noqa: S310  # http or https: checked
        try:
            with self._opener().open(request, timeout=options.timeout) as response:
                body = self._read_body(response, deadline)
        except urllib.error.HTTPError as error:
            with error:
                problem = "a redirect, which is not followed" if 300 <= error.code < 400 else error.reason
                raise DiscoveryError(f"the response was {error.code}: {problem}") from None
        except TimeoutError:
            raise DiscoveryError("no response in time") from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise DiscoveryError(f"the request failed: {getattr(reason, 'strerror', None) or reason}") from None
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise DiscoveryError("the response is not UTF-8 text") from None

    def _opener(self) -> urllib.request.OpenerDirector:
        """Return an opener that does not follow redirects. Raises OSError if a TLS file cannot be read."""
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if self._options.url.startswith("https"):
            handlers.append(urllib.request.HTTPSHandler(context=self._tls_context()))
        return urllib.request.build_opener(*handlers)

    def _read_body(self, response: HTTPResponse, deadline: float) -> bytearray:
        body = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._options.max_bytes:
                raise DiscoveryError(f"the response is longer than max_bytes, {self._options.max_bytes}")
            if time.monotonic() > deadline:
                raise DiscoveryError("the response took longer than the timeout")
        return body

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "User-Agent": f"redis-pulse/{__version__}",
            "X-Prometheus-Refresh-Interval-Seconds": f"{self._options.interval:g}",
        }
        if (file := self._options.bearer_token_file) is not None:
            try:
                headers["Authorization"] = f"Bearer {read_regular_file(file, _MAX_TOKEN_BYTES).decode().strip()}"
            except (OSError, UnicodeDecodeError):
                raise DiscoveryError("bearer_token_file cannot be read") from None
        return headers
