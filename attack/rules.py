"""What must hold under attack. Each rule is a pure function and yields a text for each problem."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from chaos.page import Page
from chaos.rules import PING, unaccounted_pings

#: Seconds that ``/-/healthy`` may take, more than a control daemon took at the same time.
MAX_WAIT = 0.1
#: Bytes of the longest line of ``/metrics``.
MAX_LINE = 4096
#: The most memory at the end of an attack, as a multiple of the memory before it.
MAX_RATIO = 1.3
#: Megabytes that no ratio counts: a small daemon grows by one arena of the allocator.
MIN_GROWTH = 12.0
#: Bytes of log that one attack may cause.
MAX_LOG = 200_000
#: Texts of the log that show a fault of the daemon.
FORBIDDEN = ("Traceback (most recent call last)", "was never retrieved", "was never awaited", "Task was destroyed")


class Wait(NamedTuple):
    """One request for ``/-/healthy``: when it began (monotonic), and the seconds until the response.

    ``delay`` are the seconds in which a thread of the daemon, or the client, waited for a core. ``ran`` are the seconds
    in which a thread of the daemon ran.
    """

    at: float
    seconds: float
    delay: float = 0.0
    ran: float = 0.0


def excess(wait: Wait, control: Sequence[Wait]) -> float:
    """Return the seconds of a wait that the daemon itself caused.

    The machine causes the time in which other processes ran. It also causes the time in which an idle daemon waited at
    the same moment. The larger of both is subtracted. No noise excuses the time in which the daemon ran: the request
    waited for that.
    """
    noise = max((_overlap(wait, one) for one in control), default=0.0)
    return max(wait.seconds - max(noise, wait.delay), min(wait.ran, wait.seconds))


def _overlap(one: Wait, other: Wait) -> float:
    """Return the seconds in which both requests waited."""
    return min(one.at + one.seconds, other.at + other.seconds) - max(one.at, other.at)


def longest_wait(waits: Sequence[Wait], control: Sequence[Wait]) -> Wait:
    """Return the wait with the largest excess, as ``Wait(at, excess)``."""
    worst = max(((excess(one, control), one.at) for one in waits), default=(0.0, 0.0))
    return Wait(worst[1], max(0.0, worst[0]))


def pages_on_time(waits: Sequence[Wait], control: Sequence[Wait]) -> Iterator[str]:
    """``/-/healthy`` takes at most 100 ms, without the time for which the machine is busy."""
    if not waits:
        yield "no request for /-/healthy was complete"
    seconds = longest_wait(waits, control).seconds
    if seconds > MAX_WAIT:
        yield f"/-/healthy took {seconds * 1000:.0f} ms, without the delays of the machine"


def lost_pings(before: Page, after: Page, targets: Iterable[str]) -> dict[str, float]:
    """Return the pings of each target that were not sent, failed, or have no outcome."""
    lost = {}
    for target in targets:
        failures = [
            page.sum("redis_operation_failures_total", operation=PING, target=target) for page in (after, before)
        ]
        missing = abs(unaccounted_pings(after, target) - unaccounted_pings(before, target))
        lost[target] = failures[0] - failures[1] + missing
    return lost


def good_targets_keep_their_pings(
    lost: Mapping[str, float], control: Mapping[str, float], delay: float = 0.0
) -> Iterator[str]:
    """No good target loses a ping, unless the machine causes it.

    The control daemon may have lost as many pings of one target. Or pings were due in ``delay``. That is the longest
    time for which other processes kept the daemon from running.
    """
    noise = max(max(control.values(), default=0.0), float(int(2 * delay)))
    worse = {target: count for target, count in lost.items() if count > noise}
    if worse:
        target = max(worse, key=lambda one: worse[one])
        text = f"{len(worse)} good targets lost {sum(worse.values()):g} pings, {target} {worse[target]:g}"
        yield f"{text} (the machine explains {noise:g} of one target)"


def is_kept(normal: float, now: float) -> bool:
    """Return whether more than 1.3 times the normal memory is in use, and not only an arena more."""
    return now - normal > max(MIN_GROWTH, (MAX_RATIO - 1) * normal)


def memory_is_bounded(normal: float, peak: float, kept: float, most: float) -> Iterator[str]:
    """At its peak memory is at most ``most`` MB above normal, and afterwards at most 1.3 times as much."""
    if peak - normal > most:
        yield f"memory rose by {peak - normal:.0f} MB at its peak, allowed are {most:.0f}"
    if is_kept(normal, kept):
        yield f"{kept:.0f} MB are in use after the attack, {kept / normal:.2f} times as much as before"


def lines_are_short(text: str) -> Iterator[str]:
    """No line of the page is longer than 4 KB."""
    longest = max(text.splitlines(), key=lambda line: len(line.encode()), default="")
    if (size := len(longest.encode())) > MAX_LINE:
        yield f"a line of /metrics has {size} bytes: {longest[:60]!r}"


def no_control_characters(text: str) -> Iterator[str]:
    """No page has a character that a terminal executes, or that changes the order of the text."""
    for character in text:
        code = ord(character)
        if (
            (code < 32 and character != "\n")
            or 127 <= code < 160
            or code in range(0x202A, 0x202F)
            or 0x2066 <= code < 0x206A
        ):
            yield f"a page has the raw character U+{code:04X}"
            return


def no_secret(secrets: Sequence[str], texts: Mapping[str, str]) -> Iterator[str]:
    """No output contains a secret. ``texts`` maps the name of an output to its text."""
    for name, text in texts.items():
        if shown := [str(number) for number, secret in enumerate(secrets) if secret in text]:
            yield f"secret {', '.join(shown)} is in {name}"


def log_is_small(lines: Sequence[str]) -> Iterator[str]:
    """Few log lines were caused by the attack, and none shows a fault of the daemon."""
    size = sum(len(line) + 1 for line in lines)
    if size > MAX_LOG:
        yield f"the log has {size / 1e6:.2f} MB in {len(lines)} lines"
    yield from no_fault_in_log(lines)


def no_fault_in_log(lines: Sequence[str]) -> Iterator[str]:
    """No log line shows a fault of the daemon."""
    for line in lines:
        if any(text in line for text in FORBIDDEN):
            yield f"the log shows a fault of the daemon: {line[:160]}"
            return


def scraper_is_served(seconds: Sequence[float], failures: Sequence[str], timeout: float) -> Iterator[str]:
    """Every scrape is answered within its timeout."""
    if failures:
        yield f"{len(failures)} of {len(failures) + len(seconds)} scrapes failed, the first: {failures[0]}"
    elif not seconds:
        yield "nothing was scraped"
    elif max(seconds) > timeout:
        yield f"a scrape took {max(seconds):.1f} s"
