"""Poll a target before scrapes, or on its grid."""

from collections.abc import Callable

from redis_pulse.config import PollSettings
from redis_pulse.daemon.target_shutdown import MonitoredTarget, Run
from redis_pulse.scheduling import MissedRuns, PollPace, Scheduler


def schedule_poll(scheduler: Scheduler, kind: str, monitored: MonitoredTarget, on_polled: Callable[[], None]) -> Run:
    """Schedule the polls of a target. Return the run of its predecessor, which is cancelled."""
    prober, poller = monitored.prober, monitored.poller

    async def poll(due: float, complete: bool) -> None:
        prober.read_tcp_info()
        await poller.poll(due, complete=complete)
        on_polled()

    def missed(runs: MissedRuns) -> None:
        poller.missed(*runs)

    return scheduler.add_poll(pace_of(monitored.target.poll), kind, monitored.target.name, poll, missed)


def pace_of(poll: PollSettings) -> PollPace:
    """Return how often a target is polled.

    If polls follow scrapes, an expensive collector may run up to two intervals after its run before. Polls follow no
    scrapes if its samples would be too old to serve until then.
    """
    return PollPace(poll.interval, poll.min_interval, poll.align == "auto" and poll.max_age >= 2 * poll.interval)
