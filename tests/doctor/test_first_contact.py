"""The first bytes of a server show what it is. A first connection that is cut off is closed."""

import asyncio

import pytest

from redis_pulse.client import phases_of
from redis_pulse.doctor.first_contact import contact, kind_of
from tests.fakes import FakeServer
from tests.harness import TargetHarness, eventually


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "closed"),
        (b"SSH-2.0-x", "ssh"),
        (b"HTTP/1.1 400", "http"),
        (b"<!DOCTYPE html>", "http"),
        (b"<html>", "http"),
        (b"\x15\x03\x01", "tls"),
        (b"-ERR wrong", "redis"),
        (b"$1073741824\r\n", "redis"),
        (b"220 mail", "other"),
    ],
)
def test_first_bytes_name_the_protocol(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind


async def test_contact_that_is_cut_off_leaves_no_connection() -> None:
    """The examination receives the connection only at the end, so it could not close it."""
    async with FakeServer() as server:
        server.script("PING", "never")
        harness = TargetHarness(server.url)
        task = asyncio.create_task(contact(harness.client, phases_of(harness.target)))
        await server.arrived("PING")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await eventually(lambda: server.connected == 0)
        await harness.close()
