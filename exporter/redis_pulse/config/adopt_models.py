"""Settings of adopted targets: those that a scrape names, and no configuration. See docs/discovery.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from redis_pulse.config.discovery_models import NetworksAndNames
from redis_pulse.config.target import TargetSettings
from redis_pulse.config.types import Options, PositiveCount, PositiveSeconds


class AdoptSettings(Options):
    """Targets that ``/scrape?target=`` names are monitored while requests name them."""

    allow: Annotated[NetworksAndNames, Field(min_length=1)] = Field(
        description="Networks and names that a request may name (10.0.0.0/8, *.redis.internal). With networks, "
        "connections have only addresses in one of them, whatever DNS says. With names, a name must be one of them."
    )
    module: str | None = Field(
        None, description="Module of its targets. A request may name another one, with &module=. Default: none."
    )
    forget_after: PositiveSeconds = Field(
        600.0, ge=10, description="A target that no request has named for this long is no longer monitored."
    )
    max: PositiveCount = Field(500, le=10_000, description="Maximum number of adopted targets.")


class ScrapeSettings(Options):
    """What a request to ``/scrape`` may do."""

    adopt: AdoptSettings | None = Field(
        None, description="Which servers a request may name that are not configured. Default: none."
    )


@dataclass(frozen=True, slots=True)
class AdoptRules:
    """The resolved settings of adopted targets.

    ``template`` has the settings of a target without ``&module=``, and ``modules`` those of each module.
    ``template.at(…)`` adds endpoint and name.
    """

    options: AdoptSettings
    template: TargetSettings
    modules: Mapping[str, TargetSettings] = field(default_factory=dict, repr=False)
