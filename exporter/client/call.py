"""One call to a target in the eyes of its circuit breaker: one permit and one verdict for all of its commands."""

from exporter.breaker import Breaker
from exporter.errors import SkippedError, TargetError


class Call:
    """Holds one permit of the breaker; the commands of a whole poll share one call.

    The first error that shows the target unavailable is the verdict. Otherwise ``end()`` gives it. An answer that came
    although the breaker has opened since shows that the target is there again: then the call goes on.
    """

    __slots__ = ("_breaker", "_is_there_again", "_permit", "_was_answered")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._permit = breaker.acquire()
        self._was_answered = self._is_there_again = False

    def check(self) -> None:
        """Raise the error that opened the breaker, when it does not permit this call or has opened since."""
        if self._permit is None or (self._breaker.state == "open" and not self._is_there_again):
            raise self._breaker.rejection()

    def answered(self) -> None:
        """Record that the target answered."""
        self._was_answered = True
        self._is_there_again = self._breaker.state == "open"

    def failed(self, error: TargetError) -> None:
        """Record that a command ended in an error. An error reply that only a live server gives is an answer."""
        if error.unavailable:
            self._is_there_again = False
            if self._permit is not None:
                self._permit.failure(error)
        elif not isinstance(error, SkippedError):
            self._was_answered = True

    def end(self) -> None:
        """End the call: a success when the target answered, no verdict when nothing reached it."""
        if self._permit is None:
            return
        if self._was_answered:
            self._permit.success()
        else:
            self._permit.release()
