"""Decide whether a request gets a response: rate limit, Host, Origin, login. The reasons of a refusal are texts.

The order is that of exporter-toolkit: the rate limit comes first, and a login is verified last.
"""

import asyncio
import base64
import binascii
import hmac
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from redis_pulse.config import WebSettings
from redis_pulse.web.access_policy import PAGE, HostRules, PathPolicy, RequestRefusedError, is_loopback
from redis_pulse.web.passwords import LoginsBusyError, PasswordVerifier
from redis_pulse.web.rate_limit import RateLimiter
from redis_pulse.web.web_config_file import MAX_AGE, WebAccess, WebConfigWatcher

_REALM = 'realm="redis-pulse", charset="UTF-8"'
#: Headers that proxies add.
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
#: Bytes of an Authorization header that are read.
_MAX_AUTHORIZATION = 8192
#: Seconds until the response to a wrong login. Without it a client could send thousands per second.
WRONG_LOGIN_DELAY = 0.5


class AccessControl:
    """The checks of every request. Without a web configuration file the pages have no login."""

    def __init__(
        self,
        settings: WebSettings | None = None,
        watcher: WebConfigWatcher | None = None,
        *,
        host_name: str | None = None,
        verifier: PasswordVerifier | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._settings = settings or WebSettings()
        self._watcher = watcher
        self._verifier = verifier or PasswordVerifier()
        self._limiter = RateLimiter(clock)
        self._sleep = sleep
        own_name = socket.gethostname() if host_name is None else host_name
        self._rules = HostRules(self._settings.allowed_hosts, own_name.lower())

    @property
    def access(self) -> WebAccess:
        """What is in force now."""
        return _NO_ACCESS_RULES if self._watcher is None else self._watcher.access

    async def refusal(self, request: Request, policy: PathPolicy) -> Response | None:
        """Return the response to a request that is refused, or None if it may go on."""
        access = self.access if self._watcher is None else await self._watcher.refresh(MAX_AGE)
        try:
            await self._check(request, policy, access)
        except RequestRefusedError as error:
            response = PlainTextResponse(f"{error}\n", error.status)
            if error.status == 401:
                if access.users:
                    response.headers.append("www-authenticate", f"Basic {_REALM}")
                if access.tokens:
                    response.headers.append("www-authenticate", f"Bearer {_REALM}")
            if error.status in (400, 426):
                response.headers["connection"] = "close"
            return response
        return None

    def check_adoption(self, request: Request) -> None:
        """Check a request that would make the exporter connect to a server. Raises RequestRefusedError.

        A page of another site could make a browser send it. So a browser is refused. Without a login, every name
        in Host that such a site can have is refused too.
        """
        headers = request.headers
        is_browser = headers.get("user-agent", "").startswith("Mozilla/") or "origin" in headers
        if is_browser or "sec-fetch-site" in headers or "sec-fetch-mode" in headers:
            raise RequestRefusedError(
                403, "this server is not monitored, and a browser cannot start that: let Prometheus scrape it, or curl"
            )
        access, path = self.access, request.scope["path"]
        has_login = access.requires_password and path not in access.excluded_paths
        has_login = has_login or (access.tls is not None and access.tls.requires_client)
        version = request.scope.get("http_version", "1.1")
        self._rules.check_host(headers.getlist("host"), http_version=version, policy=PAGE, has_login=has_login)

    async def _check(self, request: Request, policy: PathPolicy, access: WebAccess) -> None:
        address = request.client.host if request.client is not None else ""
        if not self._limiter.permits(_network(address), access.rate_limit):
            raise RequestRefusedError(429, "too many requests: see rate_limit in the web configuration file")
        if (request.scope.get("scheme") == "https") is not (access.tls is not None):
            raise RequestRefusedError(426, "the web configuration has changed: connect again")
        path = request.scope["path"]
        is_open = path in access.excluded_paths or (policy.is_probe and self._settings.open_probes)
        needs_password = access.requires_password and not is_open
        has_login = needs_password or (access.tls is not None and access.tls.requires_client)
        host = self._rules.check_host(
            request.headers.getlist("host"),
            http_version=request.scope.get("http_version", "1.1"),
            policy=policy,
            has_login=has_login,
        )
        if policy.changes_state:
            self._rules.check_origin(host, request.headers.getlist("origin"), request.headers.getlist("sec-fetch-site"))
        if needs_password:
            await self._check_login(request, access, _network(address))
        elif policy.changes_state and not (has_login or self._settings.remote_reload or _is_local(request, address)):
            raise RequestRefusedError(
                403, "without a login this works on the same machine only: see web.config_file and web.remote_reload"
            )

    async def _check_login(self, request: Request, access: WebAccess, address: str) -> None:
        values = request.headers.getlist("authorization")
        if len(values) != 1 or len(values[0]) > _MAX_AUTHORIZATION:
            raise RequestRefusedError(401, "this page needs a login")
        scheme, _, text = values[0].partition(" ")
        is_right = False
        if scheme.lower() == "bearer":
            is_right = _has_token(text.strip(), access)
        elif scheme.lower() == "basic" and access.users and (login := _basic(text)) is not None:
            try:
                is_right = await self._verifier.is_right(*login, access.users, address)
            except LoginsBusyError:
                await self._sleep(WRONG_LOGIN_DELAY)
                raise RequestRefusedError(429, "too many logins of this address are being verified") from None
        if not is_right:
            await self._sleep(WRONG_LOGIN_DELAY)
            raise RequestRefusedError(401, "the login is wrong")


def _is_local(request: Request, address: str) -> bool:
    """Return whether a client is on this machine, and is no proxy that passes on the request of another one."""
    return is_loopback(address) and not any(name in request.headers for name in _PROXY_HEADERS)


def _network(address: str) -> str:
    """Return what counts as one address. One machine has all IPv6 addresses with the same first 64 bits."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address) or ip.ipv4_mapped is not None:
        return address
    return str(ipaddress.ip_network((ip, 64), strict=False))


def _has_token(text: str, access: WebAccess) -> bool:
    given = text.encode("latin-1", "replace")
    matches = [hmac.compare_digest(given, token) for token in access.tokens]
    return any(matches)


def _basic(text: str) -> tuple[str, bytes] | None:
    """Return user and password of a Basic login, or None."""
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user.decode("utf-8", "surrogateescape"), password) if colon else None


_NO_ACCESS_RULES = WebAccess()
