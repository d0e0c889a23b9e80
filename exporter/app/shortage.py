"""One warning when descriptors do not suffice: at the start, after a reload, and when a connect found none."""

from exporter import descriptors, log


class Shortage:
    """Compares the limit with what the targets need, and looks whether connects were not made for want of one."""

    def __init__(self) -> None:
        self._log = log.get("app")
        self._seen = descriptors.shortages
        self._told: tuple[int | None, int] | None = None
        self._targets = 0

    def check(self, targets: int) -> None:
        """Warn when so many targets need more descriptors than we may have."""
        self._targets = targets
        limit = descriptors.limit()
        if limit is not None and limit < descriptors.needed(targets):
            self._tell("the limit of open files is low for so many targets")

    def beat(self) -> None:
        """Warn when targets were skipped since the last beat; once for each limit and number of targets."""
        if descriptors.shortages != self._seen:
            self._seen = descriptors.shortages
            self._tell("targets are skipped: there is no descriptor, memory or thread for a connection")

    def _tell(self, event: str) -> None:
        limit = descriptors.limit()
        state = (limit, self._targets)
        if state == self._told:
            return
        self._told = state
        self._log.warning(event, limit=limit, targets=self._targets, cure=descriptors.advice(self._targets))
