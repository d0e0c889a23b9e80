"""The commands of one operation, and the one verdict of a call for the circuit breaker."""

import asyncio

import pytest

from redis_pulse import errors
from tests.fakes import LOADING, FakeServer, bulk, error
from tests.harness import TargetHarness


async def test_failed_commands_of_one_call_are_one_failure(server: FakeServer) -> None:
    """Otherwise one poll of ten collectors could open the breaker, 6 ms after the start."""
    server.script("INFO", LOADING, LOADING, server.info)
    harness = TargetHarness(server.url)
    call = harness.client.start_call()
    for _ in range(3):
        await harness.client.execute_batch([("INFO",)], "info", harness.clock() + 5, call=call)
    call.end()
    assert (harness.breaker.failures, harness.breaker.successes, harness.breaker.outstanding) == (1, 0, 0)
    await harness.close()


async def test_call_with_replies_is_one_success(server: FakeServer) -> None:
    server.script("INFO", error("NOPERM no permissions to run the 'info' command"))
    harness = TargetHarness(server.url)
    call = harness.client.start_call()
    for command in ("INFO", "PING"):
        await harness.client.execute_batch([(command,)], "x", harness.clock() + 5, call=call)
    call.end()
    assert (harness.breaker.failures, harness.breaker.successes) == (0, 1)
    await harness.close()


async def test_call_without_commands_has_no_verdict(server: FakeServer) -> None:
    harness = TargetHarness(server.url)
    harness.client.start_call().end()
    assert (harness.breaker.releases, harness.breaker.outstanding) == (1, 0)
    await harness.close()


async def test_breaker_that_opens_ends_running_call(server: FakeServer) -> None:
    """When pings show that the server hangs, the other collectors of the poll must not each wait for a deadline."""
    harness = TargetHarness(server.url)
    call = harness.client.start_call()
    await harness.client.execute_batch([("INFO",)], "info", harness.clock() + 5, call=call)
    for _ in range(5):
        permit = harness.breaker.acquire_probe(harness.clock())
        assert permit is not None
        permit.failure(errors.OperationTimeoutError("no answer in time"))
    with pytest.raises(errors.OperationTimeoutError, match="no answer in time"):
        await harness.client.execute_batch([("INFO",)], "info", harness.clock() + 5, call=call)
    assert server.count("INFO") == 1
    call.end()
    await harness.close()


async def test_late_reply_lets_call_continue_under_open_breaker(server: FakeServer) -> None:
    """Otherwise a server that stalls during INFO would have the rest of its poll rejected."""
    harness = TargetHarness(server.url)
    call = harness.client.start_call()
    server.hold()
    exchange = asyncio.create_task(harness.client.execute_batch([("INFO",)], "info", harness.clock() + 5, call=call))
    await server.arrived("INFO")
    for _ in range(5):
        permit = harness.breaker.acquire_probe(harness.clock())
        assert permit is not None
        permit.failure(errors.OperationTimeoutError("no answer in time"))
    server.release()
    await exchange
    await harness.client.execute_batch([("INFO",)], "info", harness.clock() + 5, call=call)
    assert server.count("INFO") == 2
    call.end()
    await harness.close()


async def test_pipeline_returns_replies_in_order(server: FakeServer) -> None:
    server.script("MEMORY", error("NOPERM no permissions to run 'memory|usage'"))
    server.script("TYPE", bulk("string"))
    harness = TargetHarness(server.url)
    commands = harness.client.commands("keys", harness.clock() + 5)
    replies = await commands.pipeline([("TYPE", "a"), ("MEMORY", "USAGE", "a"), ("PING",)])
    assert replies[0] == b"string"
    assert isinstance(replies[1], errors.PermissionDeniedError)
    assert replies[2] == b"PONG"
    assert await commands.pipeline([]) == []
    assert harness.breaker.successes == 1
    await harness.close()


async def test_pipeline_with_loading_error_is_failure(server: FakeServer) -> None:
    server.script("TYPE", LOADING)
    harness = TargetHarness(server.url)
    replies = await harness.client.commands("keys", harness.clock() + 5).pipeline([("TYPE", "a"), ("PING",)])
    assert isinstance(replies[0], errors.LoadingError)
    assert (harness.breaker.failures, server.accepted) == (1, 1)
    await harness.close()
