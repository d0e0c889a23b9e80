"""The shared token: one renewal for all, growing delays after failures, and one renewal after a rejection."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator

import pytest

from redis_pulse.config import AwsSettings, CredentialsSettings
from redis_pulse.tokens import RenewalError, RenewalReason, SharedToken, Token, TokenRegistry
from redis_pulse.tokens import renewal as module
from redis_pulse.tokens.aws import AwsTokens
from redis_pulse.tokens.azure import AzureTokens
from redis_pulse.tokens.google import GoogleTokens
from tests.harness import eventually

SETTINGS = CredentialsSettings.model_validate({"command": ["/bin/token", "a"], "timeout": "10s"})


class Source:
    """Returns tokens that end at ``ends``, or fails, or hangs."""

    def __init__(self) -> None:
        self.calls = 0
        self.now = 1000.0
        self.life = 900.0
        self.error: Exception | None = None
        self.released = threading.Event()
        self.released.set()

    def __call__(self) -> Token:
        self.calls += 1
        call, error = self.calls, self.error
        self.released.wait(10)
        if error is not None:
            raise error
        return Token(f"p{call}", "me", self.now + self.life)


class Listener:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def token_not_renewed(self, reason: RenewalReason) -> None:
        self.reasons.append(reason)


class Lines:
    """Takes the place of the logger."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(f"{event}: {fields}")

    info = warning


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    yield source
    source.released.set()


@pytest.fixture
def shared(source: Source) -> SharedToken:
    token = SharedToken(SETTINGS, source, wall=lambda: source.now, jitter=lambda: 0.0)
    token._log = Lines()  # type: ignore[assignment]
    return token


def timer_delay(shared: SharedToken) -> float:
    """Return the seconds until the next renewal."""
    assert shared._timer is not None
    return shared._timer.when() - asyncio.get_running_loop().time()


async def test_all_callers_share_one_renewal(shared: SharedToken, source: Source) -> None:
    source.released.clear()
    waiting = [asyncio.ensure_future(shared.get()) for _ in range(20)]
    await eventually(lambda: source.calls == 1)
    assert shared.is_awaited
    source.released.set()
    assert {token.password for token in await asyncio.gather(*waiting)} == {"p1"}
    assert (await shared.get()).password == "p1"
    assert source.calls == 1
    assert not shared.is_awaited
    assert 599 < timer_delay(shared) <= 600
    assert shared.expires_at == 1900


async def test_cancelled_caller_does_not_end_the_renewal(shared: SharedToken, source: Source) -> None:
    source.released.clear()
    waiting = asyncio.ensure_future(shared.get())
    await eventually(lambda: source.calls == 1)
    waiting.cancel()
    source.released.set()
    await eventually(lambda: shared.valid_token() is not None)
    assert source.calls == 1


async def test_failed_renewal_keeps_the_old_token_and_logs_once(shared: SharedToken, source: Source) -> None:
    listener = Listener()
    shared.listeners.add(listener)
    await shared.get()
    source.error = RenewalError("program", "the program failed with exit code 1")
    for delay in (1, 1, 1):  # the jitter is 0, so each delay is the shortest
        shared._start()
        await eventually(lambda: shared._task is None)
        assert delay - 0.5 < timer_delay(shared) <= delay
        assert (await shared.get()).password == "p1"
    assert listener.reasons == ["program"] * 3
    source.error = None
    shared._start()
    await eventually(lambda: shared._task is None)
    assert (await shared.get()).password == "p5"
    lines = shared._log.lines  # type: ignore[attr-defined]
    assert len(lines) == 2
    assert "exit code 1" in lines[0]
    assert "still valid" in lines[0]
    assert lines[1].startswith("the login is renewed again")


async def test_delays_after_failures_grow(source: Source) -> None:
    shared = SharedToken(SETTINGS, source, wall=lambda: source.now, jitter=lambda: 0.999)
    source.error = RenewalError("output", "nothing")
    delays = []
    for _ in range(9):
        shared._start()
        await eventually(lambda: shared._task is None)
        delays.append(round(timer_delay(shared)))
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


async def test_caller_without_token_gets_the_error_until_the_next_attempt(shared: SharedToken, source: Source) -> None:
    source.error = RenewalError("identity", "no identity")
    for _ in range(5):
        with pytest.raises(RenewalError, match="no identity"):
            await shared.get()
    assert source.calls == 1, "each connect must not start a program"
    source.error = None
    shared._retry_at = 0.0
    assert (await shared.get()).password == "p2"


async def test_token_that_has_ended_is_renewed_first(shared: SharedToken, source: Source) -> None:
    """The clock may have been set, or the machine was asleep."""
    await shared.get()
    source.now += 5000
    assert shared.valid_token() is None
    assert (await shared.get()).password == "p2"


async def test_new_token_that_has_ended_is_a_failure(shared: SharedToken, source: Source) -> None:
    source.life = -1.0
    with pytest.raises(RenewalError, match="has expired already") as raised:
        await shared.get()
    assert raised.value.reason == "expired"


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, StopIteration])
async def test_any_exception_of_a_library_is_a_reason_without_its_text(
    shared: SharedToken, source: Source, kind: type[Exception]
) -> None:
    source.error = kind("hunter2")
    with pytest.raises(RenewalError, match="the source of the token failed") as raised:
        await shared.get()
    assert raised.value.reason == "other"
    assert "hunter2" not in str(raised.value)


async def test_source_that_hangs_ends_at_its_deadline(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_THREAD_GRACE", 0.0)
    shared = SharedToken(SETTINGS.model_copy(update={"timeout": 0.5}), source, wall=lambda: source.now)
    source.released.clear()
    with pytest.raises(RenewalError, match=r"no token within 0\.5 s") as raised:
        await shared.get()
    assert raised.value.reason == "timeout"


async def test_first_rejection_starts_one_renewal_at_once(shared: SharedToken, source: Source) -> None:
    first = await shared.get()
    found = await asyncio.gather(*(shared.renewed_after_rejection(first) for _ in range(10)))
    assert {token and token.password for token in found} == {"p2"}
    assert source.calls == 2


async def test_second_rejection_waits(shared: SharedToken, source: Source) -> None:
    """A user that was deleted must not start a program at each connect."""
    token = await shared.get()
    for _ in range(10):
        token = await shared.renewed_after_rejection(token) or token
    assert source.calls == 2
    shared._rejection_pause_ends = 0.0
    assert await shared.renewed_after_rejection(token) is not None
    shared.accepted()


async def test_rejection_of_an_old_token_uses_the_newer_one(shared: SharedToken, source: Source) -> None:
    first = await shared.get()
    shared._start()
    await eventually(lambda: source.calls == 2 and shared._task is None)
    newer = await shared.renewed_after_rejection(first)
    assert newer is not None
    assert newer.password == "p2"
    assert source.calls == 2


async def test_timer_renews_before_the_end(source: Source) -> None:
    source.life = 1.5
    shared = SharedToken(SETTINGS, source, wall=lambda: source.now, jitter=lambda: 0.0)
    await shared.get()
    await eventually(lambda: source.calls >= 2)


async def test_token_that_no_client_uses_is_not_renewed(source: Source) -> None:
    shared = SharedToken(SETTINGS, source, wall=lambda: source.now)
    await shared.get()
    timer, reference = shared._timer, weakref.ref(shared)
    assert timer is not None
    del shared
    gc.collect()
    assert reference() is None
    timer._run()
    assert source.calls == 1


def command(*words: str) -> CredentialsSettings:
    return CredentialsSettings.model_validate({"command": words})


def test_equal_sources_share_a_token_and_others_do_not() -> None:
    made: list[CredentialsSettings] = []

    def make(settings: CredentialsSettings) -> Callable[[], Token]:
        made.append(settings)
        return lambda: Token("p")

    registry = TokenRegistry(make)
    first, second, other = (registry.shared(command(*words)) for words in (("a", "b"), ("a", "b"), ("a", "c")))
    assert first is second
    assert first is not other
    assert made == [command("a", "b"), command("a", "c")]


async def test_each_source_has_its_own_way_to_a_token() -> None:
    aws = CredentialsSettings(aws=AwsSettings(name="cache", user="me", region="eu-west-1"))
    assert isinstance(module.fetch_for(aws), AwsTokens)
    assert isinstance(module.fetch_for(CredentialsSettings.model_validate({"azure": True})), AzureTokens)
    assert isinstance(module.fetch_for(CredentialsSettings.model_validate({"google": True})), GoogleTokens)
    assert module.fetch_for(command("/bin/echo", "hunter2"))() == Token("hunter2")
