"""Limit the requests of each address with a token bucket, as ``rate_limit`` of the web configuration file says.

exporter-toolkit has one bucket for all clients. With it, anyone who reaches the port could stop the scrapes of
Prometheus. Here each address has its own.
"""

from collections import OrderedDict
from collections.abc import Callable

from redis_pulse.config import RateLimitConfig

#: Addresses that are remembered. The one that was quiet for longest is forgotten, and begins with a full bucket.
MAX_ADDRESSES = 2000


class RateLimiter:
    """Counts the requests of each address. ``clock`` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        #: tokens that were left, and when
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def permits(self, address: str, config: RateLimitConfig) -> bool:
        """Return whether an address may send a request now, and count it."""
        if not config.interval:
            return True
        now = self._clock()
        left, since = self._buckets.pop(address, (float(config.burst), now))
        left = min(float(config.burst), left + (now - since) / config.interval)
        is_permitted = left >= 1
        self._buckets[address] = (left - is_permitted, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return is_permitted
