"""Look at the keys of one server for some seconds, without a daemon: ``redis-pulse keyspace URL``."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic, time

from redis_pulse.client import ConnectLimiter, Credentials, DedicatedConnection
from redis_pulse.config import TargetSettings
from redis_pulse.errors import TargetError, UnknownCommandError
from redis_pulse.keyspace import KeyspaceReport, KeyspaceSettings, KeyspaceState, ServerFacts
from redis_pulse.keyspace_sampling.budget import Pace
from redis_pulse.keyspace_sampling.reading import MAX_REPLY, Exchange
from redis_pulse.keyspace_sampling.sampler import KeyspaceSampler
from redis_pulse.parse.info import parse_info
from redis_pulse.parse.reply import as_text
from redis_pulse.server_info import repair, software_of

#: The share of the server's main thread, and the keys, that a person who waits may use.
SERVER_SHARE, KEYS_PER_SECOND = 0.1, 50_000.0
#: Seconds between two reports.
_EVERY = 0.5
_PACE = Pace(every=0.1, turn=0.0, batch=50, hold=500e-6, enough_draws=5000)
_SECTIONS = ("server", "memory", "keyspace", "replication", "cluster")


async def examine_keyspace(
    target: TargetSettings, *, seconds: float = 8.0, show_keys: bool = True, settings: KeyspaceSettings | None = None
) -> AsyncIterator[KeyspaceReport]:
    """Yield a report about every half second, until ``seconds`` have passed or every key was measured.

    The last report is the result. It only reads. It spends at most a tenth of the server's main thread. Raises
    TargetError if the server cannot be reached, refuses the credentials, or has neither RANDOMKEY nor SCAN.
    """
    chosen = settings or KeyspaceSettings(
        window=max(60.0, 2 * seconds), keys_per_second=KEYS_PER_SECOND, server_share=SERVER_SHARE, measure_again=60.0
    )
    state = KeyspaceState(chosen, clock=monotonic, wall=time)
    credentials = Credentials(target, on_not_renewed=lambda _reason: None)
    connection = DedicatedConnection(target, credentials, ConnectLimiter(), max_reply=MAX_REPLY)
    sampler = KeyspaceSampler(state, connection, is_allowed=lambda: "", pace=_PACE)
    try:
        state.observe(await read_facts(connection))
        began = shown = monotonic()
        while (now := monotonic()) - began < seconds and not is_complete(state):
            await sampler.run()
            if not (state.capabilities.randomkey or state.capabilities.scan):
                raise UnknownCommandError("the server has neither RANDOMKEY nor SCAN, or denies them to this user")
            await asyncio.sleep(max(0.0, now + _PACE.every - monotonic()))
            if monotonic() - shown >= _EVERY:
                shown = monotonic()
                yield await state.report_in_slices(show_keys=show_keys)
        yield await state.report_in_slices(show_keys=show_keys)
    finally:
        await sampler.aclose()


def is_complete(state: KeyspaceState) -> bool:
    """Return whether every key was measured, so that further draws would change nothing."""
    return state.walk.passes > 0 and len(state.giants) >= sum(state.keys.values())


async def read_facts(connection: Exchange) -> ServerFacts:
    """Return what a server is and has. Raises TargetError."""
    replies = await connection.exchange([("INFO", section) for section in _SECTIONS])
    fields: dict[str, str] = {}
    for reply in replies:
        if isinstance(reply, TargetError):
            raise reply
        for section in repair(parse_info(as_text(reply) or "")).values():
            fields |= section
    return ServerFacts.from_info(fields, *software_of(fields))
