"""The clock by which a lease is abandoned."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass
class LeaseClock:
    """A waiter's view of a lease whose holder renews it every `renew` seconds.

    The lease is abandoned if it was unchanged for `stale` seconds of our own clock, which never jumps. If the storage's
    clock agrees, two missed renewals suffice: that clock may be set, so it never decides alone.
    """

    renew: float
    stale: float
    clock: Callable[[], float] = time.monotonic
    _sign: Hashable = None
    _since: float = 0.0

    def seconds_unchanged(self, sign: Hashable) -> float:
        """Return the seconds since `sign` changed, as every renewal changes it."""
        if sign != self._sign:
            self._sign, self._since = sign, self.clock()
        return self.clock() - self._since

    def is_abandoned(self, sign: Hashable, age: float) -> bool:
        """Return True for an abandoned lease. `age`: seconds since its last renewal by the storage's clock."""
        return self.seconds_unchanged(sign) > (2 * self.renew if age > self.stale else self.stale)
