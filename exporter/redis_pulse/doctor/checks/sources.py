"""Find out whether each source of discovery answers, and which targets it names."""

import asyncio
from collections.abc import Sequence
from time import monotonic

from redis_pulse.client import ConnectLimiter
from redis_pulse.config import DiscoverySettings, SourceSettings, TargetSettings
from redis_pulse.discovery import DiscoveryError, PartlyFoundError, SourceContext
from redis_pulse.discovery.allow_list import AllowList
from redis_pulse.discovery.announced import AnnouncedServers
from redis_pulse.discovery.manager import make_source
from redis_pulse.doctor.findings import Findings
from redis_pulse.errors import TargetError
from redis_pulse.telemetry import ExporterMetrics
from redis_pulse.tokens import TokenRegistry

#: Seconds for one source.
SOURCE_BUDGET = 10.0
#: Refused entries that are named.
_MAX_NAMED = 3


async def examine_source(
    settings: SourceSettings, limits: DiscoverySettings, connect_limiter: ConnectLimiter, tokens: TokenRegistry
) -> tuple[Findings, Sequence[TargetSettings]]:
    """Refresh a source once, as the daemon does. Return the findings, and the targets that it names."""
    findings = Findings(f"source {settings.title}", "", {"source": settings.title})
    findings.check = "discovery"
    refused: list[str] = []

    def reject(_reason: str, description: str, count: int = 1, /) -> None:
        if len(refused) < _MAX_NAMED:
            refused.append(description if count == 1 else f"{description} ({count} times)")

    allow_list = AllowList(limits.allow)
    announced = AnnouncedServers(settings, lambda: allow_list)
    context = SourceContext(
        ExporterMetrics("doctor").discovery,
        monotonic,
        connect_limiter,
        request_refresh=lambda: None,
        reject=reject,
        probe_status=lambda _name: None,
        is_allowed=announced,
        learn_announced=announced.learn,
        max_targets=lambda: limits.max_targets,
        tokens=tokens,
    )
    source = make_source(settings, context)
    targets: Sequence[TargetSettings] = ()
    problem = ""
    try:
        async with asyncio.timeout(SOURCE_BUDGET):
            targets = await source.refresh()
    except PartlyFoundError as error:
        targets, problem = error.targets, str(error)
    except (DiscoveryError, TargetError, TimeoutError, OSError) as error:
        problem = str(error) or "no answer in time"
    except Exception as error:  # noqa: BLE001  # a fault of one source must not hide the other findings
        findings.add("doctor.fault", check="discovery", error=type(error).__name__)
    finally:
        await source.aclose()
    if problem:
        findings.add("source.failing", problem=problem)
    elif not targets:
        findings.add("source.empty")
    else:
        findings.add("source.found", count=len(targets))
    if refused:
        findings.add("source.refused", problem="; ".join(refused))
    findings.done.append("discovery")
    return findings, [target for target in targets if allow_list(target.endpoint)]
