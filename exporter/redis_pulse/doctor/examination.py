"""Examine one target: make the daemon's own client for it, and run every check in order, within ten seconds."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import ConnectLimiter, ProbeConnection, TargetClient, phases_of
from redis_pulse.collectors import Collector
from redis_pulse.config import BreakerSettings, TargetSettings
from redis_pulse.doctor.findings import Findings
from redis_pulse.doctor.first_contact import Contact, contact
from redis_pulse.doctor.poll_once import CountingObserver, PollResult
from redis_pulse.errors import AuthError, TargetError
from redis_pulse.server_info import Server
from redis_pulse.tokens import TokenRegistry

#: Seconds for all checks of one target.
TARGET_BUDGET = 10.0
#: Seconds for connecting. A packet filter must leave time for the report.
CONNECT_TIMEOUT = 4.0
#: Seconds for a login that expires. It must leave time for the report too.
TOKEN_TIMEOUT = 5.0
#: Seconds for one query of a check.
QUERY_TIMEOUT = 2.0


class Examination:
    """What the checks of one target share: its settings, its client, what is known so far, and the findings."""

    def __init__(
        self,
        target: TargetSettings,
        collectors: Mapping[str, Collector],
        *,
        connect_limiter: ConnectLimiter | None = None,
        tokens: TokenRegistry | None = None,
        clock: Callable[[], float] = monotonic,
        is_explicit: bool = False,
        unreadable: Collection[Path] = (),
    ) -> None:
        self.target = _for_doctor(target)
        self.collectors = collectors
        self.clock = clock
        #: whether the user chose the collectors of the target
        self.is_explicit = is_explicit or target.collectors is not None
        self.findings = Findings(target.name, target.address, placeholder_values(target))
        #: password files that a finding about the configuration names already
        self.unreadable = unreadable
        self._connect_limiter, self._tokens = connect_limiter, tokens
        self.observer = CountingObserver()
        self.client = self._client(self.target, self.observer)
        #: the result of the first connection; None until the check ``name`` has made it
        self.contact: Contact | None = None
        #: a connection without a login, if there is no login to send
        self._reached: Contact | None = None
        #: what the server reported about itself, filled by the first poll
        self.server = Server(local=target.endpoint.is_local)
        #: the fields of INFO
        self.fields: Mapping[str, str] = {}
        #: whether a poll was answered, so that ``server`` can be used
        self.is_polled = False
        #: the result of the poll; None before the check ``permissions``
        self.poll: PollResult | None = None

    def _client(self, target: TargetSettings, observer: CountingObserver) -> TargetClient:
        breaker = CircuitBreaker(BreakerSettings(force="closed"), self.clock, on_change=lambda *_: None)
        return TargetClient(
            target, breaker, observer, clock=self.clock, connect_limiter=self._connect_limiter, tokens=self._tokens
        )

    @property
    def connection(self) -> ProbeConnection | None:
        """The connection for pings, or None if the target does not answer them."""
        return self.contact.connection if self.contact and self.contact.error is None else None

    async def connect(self) -> Contact:
        """Make the first connection and send one PING. Return how far that went."""
        if self.contact is None:
            self.contact = await contact(self.client, phases_of(self.target))
        return self.contact

    async def reach(self) -> Contact:
        """Return the first connection. If its login cannot be read, return one without a login instead.

        So an unreadable password hides no other problem. The daemon does not connect then.
        """
        found = await self.connect()
        is_missing = isinstance(found.error, AuthError) and "tcp" not in found.seconds
        if not is_missing or self.target.endpoint.kind == "unix":
            return found
        if self._reached is None:
            no_login = {"username": None, "password": None, "password_file": None, "token_source": None}
            target = self.target.model_copy(update=no_login)
            client = self._client(target, CountingObserver())
            try:
                self._reached = await contact(client, phases_of(target))
            finally:
                await client.aclose()
        return self._reached

    async def query(self, *words: str | int) -> Any:
        """Send one command that only reads. Return its reply, or None if the server refuses or does not answer."""
        try:
            return await self.client.commands("doctor", self.clock() + QUERY_TIMEOUT).execute(*words)
        except TargetError:
            return None

    async def aclose(self) -> None:
        """Close all connections."""
        for found in (self.contact, self._reached):
            if found is not None and found.connection is not None:
                found.connection.close()
        await self.client.aclose()


#: A check: it reads the examination and adds findings. Returns False if it could not run.
Check = Callable[[Examination], Awaitable[bool]]


async def examine(examination: Examination, checks: Sequence[tuple[str, Check]]) -> Findings:
    """Run all checks of a target and return its findings. A check that fails does not stop the others."""
    findings = examination.findings
    try:
        async with asyncio.timeout(TARGET_BUDGET):
            for name, check in checks:
                findings.check = name
                await _run(name, check, examination)
    except TimeoutError:
        findings.add("doctor.time", check=findings.check)
    finally:
        await examination.aclose()
    return findings


async def _run(name: str, check: Check, examination: Examination) -> None:
    findings = examination.findings
    try:
        did_run = await check(examination)
    except TargetError as error:  # the server stopped answering in the middle
        findings.add(error.reason, problem=str(error))
        did_run = True
    except Exception as error:  # noqa: BLE001  # a fault of one check must not hide the other findings
        findings.add("doctor.fault", check=name, error=type(error).__name__)
        did_run = True
    (findings.done if did_run else findings.skipped).append(name)


def _for_doctor(target: TargetSettings) -> TargetSettings:
    """Return the target with shorter deadlines, so that all checks end in time."""
    connection, source = target.connection, target.token_source
    if source is not None:
        source = source.model_copy(update={"timeout": min(source.timeout, TOKEN_TIMEOUT)})
    within = min(connection.socket_connect_timeout, CONNECT_TIMEOUT)
    return target.model_copy(
        update={
            "token_source": source,
            "connection": connection.model_copy(
                update={
                    "socket_connect_timeout": within,
                    "socket_timeout": min(connection.socket_timeout, QUERY_TIMEOUT),
                }
            ),
            "poll": target.poll.model_copy(update={"timeout": min(target.poll.timeout, QUERY_TIMEOUT), "retries": 0}),
        }
    )


def placeholder_values(target: TargetSettings) -> dict[str, Any]:
    """Return what the texts about a target may name. No value is a secret."""
    endpoint = target.endpoint
    cli: list[str] = ["-h", endpoint.host, "-p", str(endpoint.port)]
    if endpoint.kind == "unix":
        cli = ["-s", endpoint.path]
    if endpoint.tls:
        cli.append("--tls")
        if target.tls.ca_file:
            cli += ["--cacert", str(target.tls.ca_file)]
        if target.tls.cert_file:
            cli += ["--cert", str(target.tls.cert_file), "--key", str(target.tls.key_file or target.tls.cert_file)]
    admin_cli = tuple(cli)  # an administrator logs in as another user
    if target.has_login:
        user = target.user if target.user != "default" else target.username
        cli += [*(["--user", user] if user else []), "--askpass"]
    address = endpoint.address
    is_unix = endpoint.kind == "unix"
    return {
        "host": endpoint.path if is_unix else endpoint.host,
        "ip": endpoint.host,
        "port": endpoint.port,
        "hostport": address,
        "address": f"unix://{address}" if is_unix else f"{'rediss' if endpoint.tls else 'redis'}://{address}",
        "plain_address": f"redis://{address}",
        "web_address": f"{'https' if endpoint.tls else 'http'}://{address}",
        "tls_address": f"rediss://{address}",
        "user": target.user,
        "target": target.name,
        "cli": tuple(cli),
        "admin_cli": admin_cli,
    }
