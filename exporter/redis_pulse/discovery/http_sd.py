"""Targets from a URL that responds in the format of Prometheus' http_sd.

Each request is bounded: one deadline covers the whole response, and ``max_bytes`` limits its size. The source does not
follow a redirect, because the request may contain a token. A response cannot contain credentials for targets. It can
only name modules of the configuration.
"""

import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any

from redis_pulse import __version__
from redis_pulse.blocking import HTTP_REQUESTS
from redis_pulse.client.tls import TlsContext
from redis_pulse.config import (
    HttpSourceSettings,
    SourceSettings,
    TargetGroup,
    TargetSettings,
    read_bearer_token,
    read_groups,
)
from redis_pulse.discovery.base import DiscoveryError, SourceContext
from redis_pulse.discovery.target_groups import targets_of
from redis_pulse.masking import mask

_CHUNK_BYTES = 65536
#: Limit for the text of an error.
_MAX_CHARACTERS = 200


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Makes a redirect an error, because it means that the configured URL is wrong."""

    def redirect_request(self, *_: Any) -> None:
        return None


class _Connection:
    """The socket of one request. ``end`` closes it at the deadline, because the timeout of urllib is for one read.

    A server that sends one byte a second would otherwise occupy its thread for hours.
    """

    def __init__(self) -> None:
        self.is_ended = False
        self._socket: socket.socket | None = None

    def end(self) -> None:
        """End the request: its thread then gets an error. Runs in the thread of a timer."""
        self.is_ended = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def connect(self, address: tuple[str, int], timeout: Any = None, source_address: Any = None) -> socket.socket:
        """Connect. Has the parameters of ``socket.create_connection``, which http.client calls."""
        self._socket = socket.create_connection(address, timeout, source_address)
        if self.is_ended:
            self.end()
        return self._socket


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, connection: _Connection) -> None:
        super().__init__()
        self._connection = connection

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._make, request)

    def _make(self, host: str, **options: Any) -> HTTPConnection:
        made = HTTPConnection(host, **options)
        made._create_connection = self._connection.connect  # type: ignore[attr-defined]  # noqa: SLF001
        return made


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, connection: _Connection, context: ssl.SSLContext) -> None:
        super().__init__()
        self._connection = connection
        self._tls = context

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._make, request)

    def _make(self, host: str, **options: Any) -> HTTPConnection:
        made = HTTPSConnection(host, **options, context=self._tls)
        made._create_connection = self._connection.connect  # type: ignore[attr-defined]  # noqa: SLF001
        return made


def _description(error: BaseException) -> str:
    """Return the reason of a failed request. The text of a ValueError may quote a header, so it is not shown."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, ValueError) and not isinstance(reason, OSError):
        return type(reason).__name__
    return mask(str(getattr(reason, "strerror", None) or reason))[:_MAX_CHARACTERS]


class HttpSource:
    """The targets that one URL lists."""

    def __init__(self, settings: SourceSettings, options: HttpSourceSettings, context: SourceContext) -> None:
        self.settings = settings
        self._options = options
        self._context = context
        self._tls_context = TlsContext(options.tls)

    async def refresh(self) -> Sequence[TargetSettings]:
        """Request the URL, and return the targets of its response. Raises DiscoveryError."""
        options = self._options
        # The timeout cannot stop the thread: urllib blocks in it, and a slow name lookup ignores the socket timeout.
        # At the deadline this call fails, and the thread ends later. Calls with the same key share one thread, so a
        # URL that hangs occupies one thread and no more.
        groups = await HTTP_REQUESTS.run((self.settings.key, options.url), self._fetch, within=options.timeout + 1)
        return await targets_of(groups, self.settings, "response", self._context)

    async def aclose(self) -> None:
        """Do nothing: no connection stays open."""

    def _fetch(self) -> list[TargetGroup]:
        """Return the groups in the response. Runs in a thread. Raises DiscoveryError."""
        options = self._options
        deadline = time.monotonic() + options.timeout
        request = urllib.request.Request(options.url, headers=self._headers())  # noqa: S310  # http or https: checked
        connection = _Connection()
        timer = threading.Timer(options.timeout, connection.end)
        timer.daemon = True
        timer.start()
        try:
            with self._opener(connection).open(request, timeout=options.timeout) as response:
                body = self._read_body(response, deadline)
        except urllib.error.HTTPError as error:
            with error:
                problem = (
                    "a redirect, which is not followed"
                    if 300 <= error.code < 400
                    else mask(str(error.reason))[:_MAX_CHARACTERS]
                )
                raise DiscoveryError(f"the response was {error.code}: {problem}") from None
        except TimeoutError:
            raise DiscoveryError("no response in time") from None
        except (OSError, HTTPException, ValueError) as error:
            if connection.is_ended:
                raise DiscoveryError("no response in time") from None
            raise DiscoveryError(f"the request failed: {_description(error)}") from None
        finally:
            timer.cancel()
        if connection.is_ended:  # the end of the connection looks like the end of the response
            raise DiscoveryError("no response in time")
        try:
            return read_groups(body.decode(), is_yaml=False)
        except UnicodeDecodeError:
            raise DiscoveryError("the response is not UTF-8 text") from None
        except ValueError as error:
            raise DiscoveryError(f"the response {error}") from None

    def _opener(self, connection: "_Connection") -> urllib.request.OpenerDirector:
        """Return an opener that does not follow redirects. Raises OSError if a TLS file cannot be read.

        A proxy of the environment is used for https only. A proxy for http would read the token.
        """
        if self._options.url.startswith("https"):
            handler: urllib.request.BaseHandler = _HttpsHandler(connection, self._tls_context())
            return urllib.request.build_opener(_NoRedirect(), handler)
        return urllib.request.build_opener(_NoRedirect(), _HttpHandler(connection), urllib.request.ProxyHandler({}))

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
                headers["Authorization"] = f"Bearer {read_bearer_token(file)}"
            except OSError:
                raise DiscoveryError("bearer_token_file cannot be read") from None
            except ValueError as error:
                raise DiscoveryError(f"bearer_token_file {error}") from None
        return headers
