"""The sampler of keys of one target, if its collector is on."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from redis_pulse.circuit_breaker import CircuitBreaker
from redis_pulse.client import DedicatedConnection, TargetClient
from redis_pulse.collectors.keyspace_sample import KeyspaceSampleCollector, KeyspaceSampleOptions
from redis_pulse.config import TargetSettings
from redis_pulse.polling import ConfiguredCollector
from redis_pulse.scheduling import Scheduler

if TYPE_CHECKING:
    from redis_pulse.keyspace import KeyspaceState
    from redis_pulse.keyspace_sampling import KeyspaceSampler

#: Seconds between two turns of a sampler.
INTERVAL = 1.0
#: Polls without the collector (the server became a replica, or polls fail) after which the sampler rests.
_STALE_POLLS = 2.5


def make_sampler(
    target: TargetSettings,
    collectors: Iterable[ConfiguredCollector],
    breaker: CircuitBreaker,
    client: TargetClient,
    *,
    clock: Callable[[], float],
    wall: Callable[[], float],
) -> "KeyspaceSampler | None":
    """Return the sampler of a target, connected with its collector; None if that is off."""
    for configured in collectors:
        collector: object = configured.collector
        options: object = configured.options
        if isinstance(collector, KeyspaceSampleCollector) and isinstance(options, KeyspaceSampleOptions):
            from redis_pulse.keyspace import KeyspaceState  # the collector is off by default
            from redis_pulse.keyspace_sampling import MAX_REPLY, KeyspaceSampler

            collector.state = state = KeyspaceState(options.to_settings(), clock=clock, wall=wall)
            connection = DedicatedConnection(target, client.credentials, client.connect_limiter, max_reply=MAX_REPLY)
            is_allowed = partial(_why_not, state, breaker, clock, _STALE_POLLS * target.poll.interval)
            return KeyspaceSampler(state, connection, is_allowed=is_allowed, clock=clock)
    return None


def _why_not(state: "KeyspaceState", breaker: CircuitBreaker, clock: Callable[[], float], stale_after: float) -> str:
    """Return why no key may be looked at now, or an empty text."""
    if breaker.state != "closed":
        return "paused: the server does not reply to pings"
    if state.observed_at is None or clock() - state.observed_at > stale_after:
        return "paused: the collector does not run on this server, or polls fail"
    return ""


def schedule_sampler(
    scheduler: Scheduler, kind: str, name: str, sampler: "KeyspaceSampler | None"
) -> asyncio.Task[Any] | None:
    """Schedule the turns of a sampler, or none. Return the run of its predecessor, which is cancelled."""
    if sampler is None:
        return scheduler.remove(kind, name)
    return scheduler.add_async_job(INTERVAL, kind, name, sampler.run, lambda _missed: None)
