"""Who the server of a target is, in a few words."""

from redis_pulse.server_info import title_of
from redis_pulse.web.status_interface import StatusView


def server_words(view: StatusView) -> str:
    """Return ``Valkey 8.0.1 cluster master at Amazon ElastiCache``, without what is unknown.

    A standalone server is the usual case, so its mode is not named.
    """
    mode = view.mode if view.mode == "cluster" else ""
    words = [title_of(view.software), view.version, mode, view.role]
    if view.service and view.service != view.software:
        words.append(f"at {title_of(view.service)}")
    return " ".join(word for word in words if word)
