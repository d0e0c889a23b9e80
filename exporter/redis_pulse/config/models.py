"""The groups of settings: probe, poll, breaker, canary, slo, stalls, tls, connection, web, log and probe_log."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from redis_pulse.config.types import (
    Buckets,
    ByteSize,
    Count,
    Options,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    parse_seconds,
)

#: Upper edges of the ping histogram. A healthy ping takes 50 to 200 µs on the same host, 0.2 to 1 ms on a near one.
PING_BUCKETS = (
    *(50e-6, 75e-6, 100e-6, 150e-6, 200e-6, 300e-6, 400e-6, 500e-6, 750e-6),
    *(0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0),
)

_HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_LEVEL_ALIASES = {"warn": "warning", "fatal": "critical", "trace": "debug"}


def _level(value: Any) -> Any:
    return _LEVEL_ALIASES.get(value.lower(), value.lower()) if isinstance(value, str) else value


def _log_format(value: Any) -> Any:
    # redis_exporter calls its text format "txt".
    return "logfmt" if value in ("txt", "text") else value


def _cert_reqs(value: Any) -> Any:
    # redis-py accepts the names of the ssl module too: CERT_NONE.
    return value.lower().removeprefix("cert_") if isinstance(value, str) else value


def _host_names(value: Any) -> Any:
    if isinstance(value, str):
        value = [part for part in re.split(r"[,\s]+", value.strip("[] ")) if part]
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise ValueError("must be a list of host names, such as pulse.example.com or *.example.com")
    names = tuple(name.lower().rstrip(".") for name in value)
    if not all(_HOST_NAME.fullmatch(name) for name in names):
        raise ValueError("must be a list of host names without scheme, port and path; * may only be the first part")
    return names


HostNames = Annotated[tuple[str, ...], BeforeValidator(_host_names)]


def _off_or_seconds(value: Any) -> Any:
    if value is None or value is False or (isinstance(value, str) and value.strip().lower() in ("off", "no", "false")):
        return None
    try:
        return parse_seconds(value)
    except ValueError:
        raise ValueError("must be off, a number of seconds, or text such as 500ms or 1s") from None


def _auto_or_off(value: Any) -> Any:
    return {False: "off", True: "auto"}.get(value, value) if isinstance(value, bool) else value  # off in YAML is False


#: A duration in seconds, or None for off.
OptionalSeconds = Annotated[float | None, BeforeValidator(_off_or_seconds)]


class ProbeSettings(Options):
    """The timed PINGs of a target."""

    interval: PositiveSeconds = Field(1.0, ge=0.01, description="Time between two PINGs to a target.")
    timeout: PositiveSeconds = Field(1.0, description="A PING that takes longer is a failure with reason timeout.")
    buckets: Buckets = Field(
        PING_BUCKETS,
        description="Upper edges of the histograms of pings, cold connects and the canary. "
        "slo.latency must be one of them.",
    )
    trial_interval: PositiveSeconds = Field(
        1.0,
        ge=0.1,
        description="Time between two PINGs, or attempts to connect, while the circuit breaker is not closed.",
    )
    silence: PositiveSeconds = Field(30.0, description="A connection that receives nothing for this long is closed.")
    max_outstanding: PositiveCount = Field(
        64, description="Maximum number of PINGs that wait for a reply on one connection."
    )
    cold_connect: OptionalSeconds = Field(
        None,
        description="Time between two cold connects, or off. A cold connect opens a connection, sends one PING and "
        "closes it, as clients without a pool do.",
    )


def _off_as_text(value: Any) -> Any:
    """YAML reads ``off`` as false."""
    return "off" if value is False else value


class ProcessProbeSettings(ProbeSettings):
    """The timed PINGs of a target. ``priority`` and ``process`` are for all targets together."""

    priority: Annotated[Literal["auto", "off"], BeforeValidator(_off_as_text)] = Field(
        "auto",
        description="auto raises the priority of the thread that sends the PINGs, as far as permitted. Needs "
        "Linux; docs/scaling.md has what to permit.",
    )
    process: bool = Field(
        False,
        description="Whether a small process of its own sends the PINGs to servers that reply. They are then sent in "
        "time on a busy machine too. Needs Linux; see docs/scaling.md.",
    )


class PollSettings(Options):
    """The polls: when the collectors query INFO and everything else."""

    interval: PositiveSeconds = Field(
        15.0, ge=0.1, description="Time between two polls of a target: the longest one if polls follow scrapes."
    )
    align: Annotated[Literal["auto", "off"], BeforeValidator(_auto_or_off)] = Field(
        "auto",
        description="auto: polls come just before the scrapes of /metrics, as soon as their times are known. off: they "
        "come every interval. See docs/polling.md.",
    )
    min_interval: PositiveSeconds = Field(
        5.0,
        ge=0.1,
        description="Shortest time between two polls that follow scrapes. Default: the interval if that is set, or 5s.",
    )
    timeout: PositiveSeconds = Field(
        5.0,
        description="Deadline of one command of a poll. At most the interval, which also limits the default.",
    )
    max_age: PositiveSeconds = Field(
        45.0, description="Samples that are older are not served. At least one interval. Default: three intervals."
    )
    retries: Count = Field(1, le=10, description="How often a failed read is repeated before its deadline.")
    max_reply: ByteSize = Field(
        16 * 1024**2,
        ge=64 * 1024,
        description="Maximum size of a reply. A larger one closes its connection (reason protocol). Each element of a "
        "list adds 64 bytes.",
    )


class BreakerSettings(Options):
    """The circuit breaker of a target."""

    failure_threshold: PositiveCount = Field(5, description="Number of consecutive failures that open the breaker.")
    open_interval: PositiveSeconds = Field(5.0, description="How long it stays open at first, before one trial call.")
    open_interval_max: PositiveSeconds = Field(
        60.0, description="The open time doubles after each failed trial, up to this."
    )
    window: PositiveSeconds = Field(60.0, description="Time span of the failure ratio.")
    minimum_calls: PositiveCount = Field(20, description="Number of calls in the window from which the ratio counts.")
    failure_ratio: float = Field(0.5, gt=0, le=1, description="Share of failures in the window that opens the breaker.")
    slow_call_duration: OptionalSeconds = Field(
        None, description="A call that takes longer is slow. A duration, or off."
    )
    slow_call_ratio: float = Field(
        1.0, gt=0, le=1, description="Share of slow calls in the window that opens the breaker."
    )
    force: Literal["auto", "open", "closed"] = Field(
        "auto", description="open never sends anything, closed always sends everything, auto lets the breaker decide."
    )


class CanarySettings(Options):
    """A write and a read of one private key, to detect failures that PING does not see.

    Needs write permission: see docs/acl.md.
    """

    enabled: bool = Field(False, description="Whether the key is written and read.")
    interval: PositiveSeconds = Field(5.0, description="Time between two writes.")
    prefix: str = Field("redis-pulse:canary", min_length=1, description="Prefix of the name of the key.")
    ttl: PositiveSeconds = Field(60.0, description="The key expires after this. At least twice the interval.")
    heartbeat: bool = Field(
        True, description="Whether the key is read from replicas, to measure the replication delay."
    )


class SloSettings(Options):
    """The service level objective of a target."""

    latency: PositiveSeconds = Field(
        0.010, description="Latency objective: a PING that takes longer is not good. One of probe.buckets."
    )
    objective: float = Field(
        0.999, gt=0, lt=1, description="Availability objective: the share of PINGs that must succeed."
    )


class StallSettings(Options):
    """Stalls: when the server kept a client waiting, and why."""

    enabled: bool = Field(True, description="Whether stalls are recorded, with their cause.")
    threshold: PositiveSeconds = Field(
        0.1, ge=0.01, description="A PING that waits for this long, or times out, begins a stall."
    )
    enquire: bool = Field(
        True, description="Whether the server is queried for the cause of a stall, and read once a second before one."
    )
    snapshot_interval: PositiveSeconds = Field(
        1.0,
        ge=0.5,
        description="Time between two short INFO, to compare a stall with the time before it. A longer one costs less, "
        "and leaves more causes unknown.",
    )
    detect_pause: bool = Field(
        True,
        description="Whether a malformed command on a new connection tells CLIENT PAUSE from a stopped process. Each "
        "one adds 1 to the ERR errors of the server.",
    )
    show_commands: bool = Field(
        False, description="Whether records show the arguments of slow commands. They may hold data of users."
    )


class StallFileSettings(StallSettings):
    """Stalls: when a server kept a client waiting, and why. ``file`` is for all targets together."""

    file: Path | None = Field(
        None,
        description="File to which each stall is appended as one line of JSON. Its newest records are read at the "
        "start. Default: no file.",
    )


class TlsSettings(Options):
    """How the certificate of a server is checked, and which client certificate is presented."""

    ca_file: Path | None = Field(None, description="Certificates to trust (PEM). Default: those of the system.")
    cert_file: Path | None = Field(None, description="Client certificate (PEM), for servers that require one.")
    key_file: Path | None = Field(None, description="Key of the client certificate (PEM), unless it is in cert_file.")
    server_name: str | None = Field(None, description="Name expected in the certificate. Default: the host.")
    cert_reqs: Annotated[Literal["required", "optional", "none"], BeforeValidator(_cert_reqs)] = Field(
        "required", description="Whether the server must present a trusted certificate."
    )
    check_hostname: bool = Field(True, description="Whether the certificate must contain the name of the server.")


class ConnectionSettings(Options):
    """The connections to a target."""

    max_connections: PositiveCount = Field(10, description="Size of the connection pool of a target.")
    socket_timeout: PositiveSeconds = Field(5.0, description="Maximum time to wait for a reply.")
    socket_connect_timeout: PositiveSeconds = Field(5.0, description="Maximum time to connect.")
    socket_keepalive: bool = Field(True, description="Whether TCP keepalive detects dead peers.")
    health_check_interval: Seconds = Field(
        30.0, description="A connection that was idle for longer is checked before use. 0 is off."
    )
    retry_on_timeout: bool = Field(False, description="Whether a read of a poll is repeated after a timeout.")


class WebSettings(Options):
    """The pages. Their address and the path of the metrics are at the top: listen, telemetry_path."""

    health_status: Literal["by-target", "always-200"] = Field(
        "by-target",
        description="Status of /health. by-target: 503 when no target is connected. always-200: 200 while the daemon "
        "runs, as redis_exporter does. Default: always-200 if REDIS_ADDR or REDIS_EXPORTER_… is set, else by-target.",
    )
    histograms: Literal["both", "classic", "native"] = Field(
        "both",
        description="Histograms of durations in pages of protobuf, which Prometheus reads if its native histograms are "
        "enabled. Text pages have the classic ones.",
    )
    config_file: Path | None = Field(
        None,
        description="Web configuration file with TLS and logins, as other exporters read it. See docs/exposing.md.",
    )
    open_probes: bool = Field(
        False,
        description="Whether /-/healthy and /-/ready need no login. They then tell everyone that the daemon runs.",
    )
    allowed_hosts: HostNames = Field(
        (),
        description="Names in the Host header, beyond IP addresses, localhost and internal names, that get a response.",
    )
    remote_reload: bool = Field(False, description="Whether POST /-/reload from another machine works without a login.")


class LogSettings(Options):
    """The log, which goes to stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(_level)] = Field(
        "info", description="Minimum level of the lines that are written."
    )
    format: Annotated[Literal["logfmt", "json"], BeforeValidator(_log_format)] = Field(
        "logfmt", description="Format of a line."
    )
    slow_reply: OptionalSeconds = Field(None, description="A reply that takes longer is logged. A duration, or off.")


class ProbeLogSettings(Options):
    """A log with one line for every PING, which can be compared with a packet capture."""

    file: Path | None = Field(None, description="CSV file with one line for every scheduled probe. Default: no file.")
    size: PositiveCount = Field(64_000_000, ge=1000, description="Size in bytes at which the file is rotated.")
    backups: Count = Field(3, le=100, description="Number of rotated files to keep. FILE.1 is the newest.")
