"""The groups of settings that a file, a module and a target share: probe, poll, breaker, slo, connection, tls, log."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from redis_pulse.config.types import Buckets, ByteSize, Count, Options, PositiveCount, PositiveSeconds, Seconds, seconds

#: Upper edges of the ping histogram: a healthy ping takes 50 to 200 µs on the same host, 0.2 to 1 ms nearby.
PING_BUCKETS = (
    *(50e-6, 75e-6, 100e-6, 150e-6, 200e-6, 300e-6, 400e-6, 500e-6, 750e-6),
    *(0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0),
)

_LEVELS = {"warn": "warning", "fatal": "critical", "trace": "debug"}


def _level(value: Any) -> Any:
    return _LEVELS.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _log_format(value: Any) -> Any:
    # redis_exporter calls its text format "txt".
    return "logfmt" if value in ("txt", "text") else value


def _cert_reqs(value: Any) -> Any:
    # redis-py takes the names of the ssl module too.
    return value.lower().removeprefix("cert_") if isinstance(value, str) else value


def _off_or_seconds(value: Any) -> Any:
    if value is None or value is False or (isinstance(value, str) and value.strip().lower() in ("off", "no", "false")):
        return None
    try:
        return seconds(value)
    except ValueError:
        raise ValueError("must be off, a number of seconds, or text such as 500ms or 1s") from None


class ProbeSettings(Options):
    """The timed PINGs of a target."""

    interval: PositiveSeconds = Field(1.0, ge=0.01, description="Time between two PINGs to a target.")
    timeout: PositiveSeconds = Field(1.0, description="A PING that takes longer is a failed slot, reason timeout.")
    buckets: Buckets = Field(
        PING_BUCKETS, description="Upper edges of the histograms of durations; slo.latency must be one of them."
    )
    trial_interval: PositiveSeconds = Field(
        1.0,
        ge=0.1,
        description="While the circuit breaker is not closed, one PING or one attempt to connect is made so often.",
    )
    silence: PositiveSeconds = Field(
        30.0, description="A connection on which nothing was heard for so long is given up."
    )
    max_outstanding: PositiveCount = Field(
        64, description="At most so many PINGs wait for their reply on a connection."
    )
    cold_connect: Annotated[float | None, BeforeValidator(_off_or_seconds)] = Field(
        None,
        description="How often a connection is made for one PING and closed, as clients without a pool do, or off.",
    )


class PollSettings(Options):
    """The reading of INFO and of what the other collectors ask."""

    interval: PositiveSeconds = Field(15.0, ge=0.1, description="Time between two polls of a target.")
    timeout: PositiveSeconds = Field(
        5.0, description="Deadline of one command of a poll; at most the interval, which shortens the default."
    )
    max_age: PositiveSeconds = Field(
        45.0, description="Older samples are not served; three intervals unless set, and never less than one."
    )
    retries: Count = Field(1, le=10, description="How often a read is tried again inside its deadline.")
    max_reply: ByteSize = Field(
        16 * 1024**2,
        ge=64 * 1024,
        description="A reply of more bytes ends its connection (reason protocol); a part of a list counts 64 more.",
    )


class BreakerSettings(Options):
    """The circuit breaker of a target."""

    failure_threshold: PositiveCount = Field(5, description="So many failures in a row open the breaker.")
    open_interval: PositiveSeconds = Field(5.0, description="How long it stays open at first, before one trial.")
    open_interval_max: PositiveSeconds = Field(60.0, description="The time open doubles up to this.")
    window: PositiveSeconds = Field(60.0, description="The time over which the failure ratio is taken.")
    minimum_calls: PositiveCount = Field(20, description="The ratio counts only with so many calls in the window.")
    failure_ratio: float = Field(0.5, gt=0, le=1, description="This share of failures in the window opens the breaker.")
    slow_call_duration: Annotated[float | None, BeforeValidator(_off_or_seconds)] = Field(
        None, description="A call that takes longer is slow: a duration, or off."
    )
    slow_call_ratio: float = Field(1.0, gt=0, le=1, description="This share of slow calls in the window opens it too.")
    force: Literal["auto", "open", "closed"] = Field(
        "auto", description="Keeps the breaker open (nothing is sent) or closed (everything is), whatever happens."
    )


class CanarySettings(Options):
    """A write and a read of one private key, to find what PING never meets. Needs write permission: see docs/acl.md."""

    enabled: bool = Field(False, description="Whether a key is written and read.")
    interval: PositiveSeconds = Field(5.0, description="Time between two writes.")
    prefix: str = Field("redis-pulse:canary", min_length=1, description="What the name of the key begins with.")
    ttl: PositiveSeconds = Field(60.0, description="The key expires after this; at least twice the interval.")
    heartbeat: bool = Field(True, description="Whether replicas are read, to see how far they are behind.")


class SloSettings(Options):
    """What is promised to the clients of a target."""

    latency: PositiveSeconds = Field(0.010, description="A PING counts as good up to this; one of probe.buckets.")
    objective: float = Field(
        0.999, gt=0, lt=1, description="Share of PINGs that must not fail: the objective of availability."
    )


class TlsSettings(Options):
    """How the certificate of a server is checked, and which one we show."""

    ca_file: Path | None = Field(None, description="Certificates to trust (PEM); the system's unless set.")
    cert_file: Path | None = Field(None, description="Our certificate (PEM), for servers that ask for one.")
    key_file: Path | None = Field(None, description="The key of our certificate (PEM), unless it is in cert_file.")
    server_name: str | None = Field(None, description="Name expected in the certificate; the host's unless set.")
    cert_reqs: Annotated[Literal["required", "optional", "none"], BeforeValidator(_cert_reqs)] = Field(
        "required", description="Whether the server must show a certificate that we trust."
    )
    check_hostname: bool = Field(True, description="Whether the certificate must bear the server's name.")


class ConnectionSettings(Options):
    """The connections to a target."""

    max_connections: PositiveCount = Field(10, description="Size of the pool of a target.")
    socket_timeout: PositiveSeconds = Field(5.0, description="Longest wait for a reply on a connection.")
    socket_connect_timeout: PositiveSeconds = Field(5.0, description="Longest wait for a connection.")
    socket_keepalive: bool = Field(True, description="Whether TCP keepalive finds dead peers.")
    health_check_interval: Seconds = Field(30.0, description="A connection idle for longer is checked; 0 is off.")
    retry_on_timeout: bool = Field(False, description="Whether a read of a poll that timed out is tried again.")


class WebSettings(Options):
    """The pages, but for where they are."""

    health_status: Literal["by-target", "always-200"] = Field(
        "by-target",
        description="Status of /health: by-target (503 when no target is connected), or always-200 while the daemon "
        "lives, as redis_exporter answers; always-200 is the default when REDIS_ADDR or REDIS_EXPORTER_… is set.",
    )


class LogSettings(Options):
    """What is logged to stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_level)] = Field(
        "info", description="The least important lines that are written."
    )
    format: Annotated[Literal["logfmt", "json"], BeforeValidator(_log_format)] = Field(
        "logfmt", description="How a line is written."
    )
    slow_reply: Annotated[float | None, BeforeValidator(_off_or_seconds)] = Field(
        None, description="A reply slower than this is logged: a duration, or off."
    )


class ProbeLogSettings(Options):
    """One line for every PING, to be held against a packet capture."""

    file: Path | None = Field(None, description="CSV file that gets one line for every slot; none unless set.")
    size: PositiveCount = Field(64_000_000, ge=1000, description="Bytes after which the file is turned over.")
    backups: Count = Field(3, le=100, description="So many older files are kept: FILE.1 is the newest.")
