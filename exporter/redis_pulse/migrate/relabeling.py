"""What Prometheus can do about names and series that flags of redis_exporter changed: rules to paste into a job."""

import re

from redis_pulse.migrate.flag_parser import ParsedFlags

NAMESPACE = "namespace"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}")
#: A name of a metric in a remark; ``redis_url`` and ``redis_exporter`` are none.
_METRIC = re.compile(r"\bredis_(?!url\b|exporter\b)(?=[a-z])")


def namespace_of(given: ParsedFlags) -> str:
    """Return what names began with; ``redis`` when that is not said, or no name can begin with it."""
    said = given.get(NAMESPACE)
    return said if _NAME.fullmatch(said) else "redis"


def rules(given: ParsedFlags) -> list[str]:
    """Return entries of ``metric_relabel_configs``, one a line."""
    found = []
    if given.is_on("redis-only-metrics"):
        found.append('- {source_labels: [__name__], regex: "(process|python)_.*", action: drop}')
    if (namespace := namespace_of(given)) != "redis":
        found.append(
            '- {source_labels: [__name__], regex: "redis_(.*)", target_label: __name__, '
            f'replacement: "{namespace}_$1"}}'
        )
    return found


def renamed(remark: str, given: ParsedFlags) -> str:
    """Return a remark in which metrics have the names that they have after these rules."""
    return _METRIC.sub(f"{namespace_of(given)}_", remark)
