"""Requests of doctor over HTTP: in a thread, with one deadline, at most 10 MB, without redirects."""

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from redis_pulse import __version__
from redis_pulse.blocking import HTTP_REQUESTS, BlockedError
from redis_pulse.masking import mask

#: Seconds for one request, and the most bytes of a response.
TIMEOUT, MAX_BYTES = 4.0, 10_000_000


class HttpProblem(Exception):  # noqa: N818  # it is no bug: the text goes into a finding
    """A request that failed. ``str()`` is the reason, without a secret."""


class HttpClient(NamedTuple):
    """Where a server listens, and the login of its URL. ``str(url)`` never contains a login."""

    url: str
    authorization: str = ""
    ca_file: Path | None = None

    @classmethod
    def from_url(cls, text: str, ca_file: Path | None = None) -> "HttpClient":
        """Return a client for a URL, which may contain a login. Raises ValueError without repeating the URL."""
        try:
            parts = urllib.parse.urlsplit(text if "://" in text else f"http://{text}")
            is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # it repeats the port, which may be a part of a password with a slash
            is_usable = False
        if not is_usable or not parts.hostname:
            raise ValueError("must be a URL such as http://127.0.0.1:9090")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        address = host if parts.port is None else f"{host}:{parts.port}"
        authorization = ""
        if parts.username is not None:
            login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            authorization = f"Basic {base64.b64encode(login.encode()).decode()}"
        return cls(f"{parts.scheme}://{address}{parts.path.rstrip('/')}", authorization, ca_file)

    async def get(self, path: str, **query: str) -> bytes:
        """Return the body of a response with status 200. Raises HttpProblem."""
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        return await self._send(f"{path}{suffix}", None)

    async def get_json(self, path: str, **query: str) -> Any:
        """Return the JSON of a response. Raises HttpProblem."""
        try:
            return json.loads(await self.get(path, **query))
        except ValueError:
            raise HttpProblem("the response is not JSON") from None

    async def post_json(self, path: str, value: Any) -> bytes:
        """Send a value, and return the body of the response. Raises HttpProblem."""
        return await self._send(path, json.dumps(value).encode())

    async def _send(self, path: str, body: bytes | None) -> bytes:
        request = partial(self._request, path, body)
        try:
            return await HTTP_REQUESTS.run((self.url, path, body), request, within=TIMEOUT)
        except BlockedError:
            raise HttpProblem("no response in time") from None
        except OSError as error:
            raise HttpProblem(_reason(error)) from None

    def _request(self, path: str, body: bytes | None) -> bytes:
        headers = {"User-Agent": f"redis-pulse/{__version__}", "Accept": "*/*"}
        if self.authorization:
            headers["Authorization"] = self.authorization
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{self.url}{path}", body, headers)  # noqa: S310  # http or https: checked
        try:
            with self._opener().open(request, timeout=TIMEOUT) as response:
                data: bytes = response.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise HttpProblem(f"the response was {error.code}") from None
        except (OSError, HTTPException, ValueError) as error:
            raise HttpProblem(_reason(error)) from None
        if len(data) > MAX_BYTES:
            raise HttpProblem(f"the response is longer than {MAX_BYTES} bytes")
        return data

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        return urllib.request.build_opener(
            _NoRedirect(), urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    return mask(str(getattr(reason, "strerror", None) or reason))[:200]
