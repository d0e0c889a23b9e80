"""Memory by key pattern, estimated from a few keys each second.

redis_keyspace_sample_memory_bytes{target="cart",db="db0",pattern="session:*",type="string"} 1.294e+08
redis_keyspace_sample_memory_error_bytes{target="cart",db="db0",pattern="session:*",type="string"} 1.6e+06

The keys are looked at between the polls, on a connection of their own (``redis_pulse.keyspace_sampling``). This
collector only publishes what is known. ``docs/keyspace.md`` explains the estimate. It is off by default, because parts
of key names become labels.
"""

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from redis_pulse.collectors.support.labels import label_value
from redis_pulse.collectors.support.time_budget import Clock
from redis_pulse.commands import Commands
from redis_pulse.config.option_types import Field, PositiveCount, PositiveSeconds, RoleOptions
from redis_pulse.errors import PermissionDeniedError, UnknownCommandError
from redis_pulse.metric import CollectorFault, CollectorItem, MetricSpec, Sample, counter, gauge
from redis_pulse.server_info import Server

if TYPE_CHECKING:
    from redis_pulse.keyspace import KeyspaceReport, KeyspaceSettings, KeyspaceState, PatternUsage

LABELS = ("db", "pattern", "type")
MEMORY = gauge(
    "MEMORY USAGE",
    "sample",
    "keyspace_sample_memory_bytes",
    "Memory of the keys of a pattern, estimated.",
    labels=LABELS,
)
MEMORY_ERROR = gauge(
    "MEMORY USAGE",
    "error",
    "keyspace_sample_memory_error_bytes",
    "Half width of the interval that has the memory of the pattern with 95 % certainty.",
    labels=LABELS,
)
KEYS = gauge("RANDOMKEY", "sample", "keyspace_sample_keys", "Keys of a pattern, estimated.", labels=LABELS)
KEYS_ERROR = gauge(
    "RANDOMKEY",
    "error",
    "keyspace_sample_keys_error",
    "Half width of the interval that has the number of keys of the pattern with 95 % certainty.",
    labels=LABELS,
)
WITHOUT_EXPIRY = gauge(
    "PTTL",
    "sample",
    "keyspace_sample_without_expiry_ratio",
    "Share of the keys of a pattern that never expire.",
    labels=LABELS,
)
IDLE = gauge(
    "OBJECT IDLETIME",
    "sample",
    "keyspace_sample_idle_seconds",
    "Median of the time since the last access to a key of the pattern.",
    labels=LABELS,
)
FREQUENCY = gauge(
    "OBJECT FREQ",
    "sample",
    "keyspace_sample_frequency",
    "Median of the LFU frequency of the keys of a pattern, 0 to 255, on servers with an LFU policy.",
    labels=LABELS,
)
DRAWS = counter("RANDOMKEY", "draws", "keyspace_sample_draws_total", "Keys that were drawn at random.")
PROGRESS = gauge(
    "SCAN",
    "walk",
    "keyspace_sample_walk_progress_ratio",
    "Share of all keys that the running walk has visited; 1 between walks.",
)
WALK = gauge("SCAN", "walk", "keyspace_sample_walk_seconds", "Duration of the newest complete walk over all keys.")
UNEXPLAINED = gauge(
    "INFO",
    "used_memory_dataset",
    "keyspace_sample_unexplained_bytes",
    "Memory of the dataset less the sum over all patterns.",
)
LARGEST = gauge(
    "MEMORY USAGE",
    "largest",
    "keyspace_sample_largest_key_bytes",
    "Memory of the largest key that the walk found and measured lately. One series, with the pattern of this key.",
    labels=LABELS,
)
SHARE = gauge(
    "INFO",
    "used_cpu_*_main_thread",
    "keyspace_sample_server_cpu_ratio",
    "Share of the server's main thread that looking at keys takes, measured.",
)
#: A large key is measured again after a while, but the server may be slow or paused. So twice that time is allowed.
OLDEST_MEASUREMENT = 2.0


class KeyspaceSampleOptions(RoleOptions):
    """Settings of the collector ``keyspace_sample``."""

    roles: Literal["auto", "primaries", "replicas", "all"] = Field(
        "primaries",
        description="Which servers are read, by their role. auto: the primaries of clusters and Sentinel sets, and "
        "every server that is declared by its own address.",
    )
    keys_per_second: PositiveCount = Field(100, le=10_000, description="Keys that are looked at each second, at most.")
    server_share: float = Field(
        0.005,
        gt=0,
        le=0.1,
        description="Share of the server's main thread that this may take, 0.005 is half a percent.",
    )
    window: PositiveSeconds = Field(3600.0, ge=60, le=86_400, description="The random draws of this time count.")
    patterns: tuple[str, ...] = Field(
        (),
        max_length=40,
        description="Patterns of keys that come first, such as user:*:cart; * is any text and ? one character.",
    )
    hide: tuple[str, ...] = Field(
        (), max_length=100, description="Patterns of keys that are only counted, all together as hidden."
    )
    show_keys: bool = Field(
        False, description="Whether /keyspace shows the names of the largest keys. Labels never have them."
    )

    def to_settings(self) -> "KeyspaceSettings":
        """Return these settings for the estimate."""
        from redis_pulse.keyspace import KeyspaceSettings  # this collector is off by default

        return KeyspaceSettings(
            window=self.window,
            keys_per_second=float(self.keys_per_second),
            server_share=self.server_share,
            patterns=self.patterns,
            hide=self.hide,
            show_keys=self.show_keys,
        )


class KeyspaceSampleCollector:
    """Publishes what the samples of keys tell. The daemon sets ``state``, which the sampler fills."""

    name: ClassVar[str] = "keyspace_sample"
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        *(MEMORY, MEMORY_ERROR, KEYS, KEYS_ERROR, WITHOUT_EXPIRY, IDLE, FREQUENCY),
        *(DRAWS, PROGRESS, WALK, UNEXPLAINED, LARGEST, SHARE),
    )
    options: ClassVar[type[KeyspaceSampleOptions]] = KeyspaceSampleOptions
    default: ClassVar[bool] = False
    #: The sampler sends them.
    commands: ClassVar[tuple[str, ...]] = (
        *("randomkey", "scan", "dbsize", "type", "memory|usage", "pttl", "object|idletime", "object|freq"),
        *("client|no-touch", "strlen", "llen", "hlen", "scard", "zcard", "xlen"),
    )

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self.state: KeyspaceState | None = None

    def for_target(self) -> Self:
        """Return a new collector, which publishes the state of one target."""
        return type(self)(self._clock)

    def applies(self, server: Server) -> bool:
        """Return True unless the server is a Sentinel, which has no keys."""
        return server.mode != "sentinel"

    async def collect(
        self,
        server: Server,
        commands: Commands,  # noqa: ARG002  # the sampler sends
        options: KeyspaceSampleOptions,
    ) -> Iterable[CollectorItem]:
        """Tell the sampler what the server is, and return what is known about its keys.

        Raises UnknownCommandError or PermissionDeniedError if neither random draws nor a walk are possible.
        """
        from redis_pulse.keyspace import KeyspaceState, ServerFacts

        if self.state is None:
            self.state = KeyspaceState(options.to_settings(), clock=self._clock)
        state = self.state
        state.observe(ServerFacts.from_info(server.fields, server.software, server.version))
        can = state.capabilities
        if not can.randomkey and not can.scan:
            raise _refusal(sorted(can.denied))
        report = await state.report_in_slices()
        return [
            *samples_of(report),
            *_largest_key(report, OLDEST_MEASUREMENT * state.settings.measure_again),
            *(CollectorFault(part, "permission", text) for part, text in _denied(state)),
        ]


def _refusal(denied: list[str]) -> UnknownCommandError | PermissionDeniedError:
    if not denied:
        return UnknownCommandError("the server has neither RANDOMKEY nor SCAN")
    error = PermissionDeniedError("this user may run neither RANDOMKEY nor SCAN")
    error.command = denied[0]
    return error


def _denied(state: "KeyspaceState") -> Iterator[tuple[str, str]]:
    """Yield the denied commands, and what is missing without them."""
    if state.capabilities.denied:
        yield " ".join(sorted(state.capabilities.denied)), "; ".join(state.capabilities.notes())


def samples_of(report: "KeyspaceReport") -> Iterator[Sample]:
    """Yield the samples of a report."""
    yield DRAWS.sample(report.draws_total)
    yield PROGRESS.sample(report.walk.ratio)
    if report.walk.seconds is not None:
        yield WALK.sample(report.walk.seconds)
    if report.unexplained_bytes is not None and report.draws:
        yield UNEXPLAINED.sample(report.unexplained_bytes)
    if report.server_share is not None:
        yield SHARE.sample(report.server_share)
    for usage in report.patterns:
        yield from _pattern_samples(usage)


def _largest_key(report: "KeyspaceReport", oldest: float) -> Iterator[Sample]:
    """Yield the sample of the largest key. Keys measured more than ``oldest`` seconds ago may have been deleted."""
    for key in report.largest:
        if key.memory is not None and key.age <= oldest:
            yield LARGEST.sample(float(key.memory), f"db{key.db}", label_value(key.pattern), key.type)
            return


def _pattern_samples(usage: "PatternUsage") -> Iterator[Sample]:
    labels = (f"db{usage.db}", label_value(usage.pattern), usage.type)
    values: Iterable[tuple[MetricSpec, Any]] = (
        (MEMORY, usage.memory and usage.memory.value),
        (MEMORY_ERROR, usage.memory and usage.memory.error),
        (KEYS, usage.keys.value),
        (KEYS_ERROR, usage.keys.error),
        (WITHOUT_EXPIRY, usage.without_expiry),
        (IDLE, usage.idle_seconds),
        (FREQUENCY, usage.frequency),
    )
    for metric, value in values:
        if value is not None:
            yield metric.sample(float(value), *labels)


COLLECTOR = KeyspaceSampleCollector()
