"""When a lease counts as abandoned."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass
class Watch:
    """One waiter's view of a lease whose holder renews it every `renew` seconds.

    It is abandoned when we have seen it unchanged for `stale` seconds of our own clock, which never jumps. Where the
    storage's clock says so too, two missed renewals do: that clock may be set back or forth and decides nothing alone.
    """

    renew: float
    stale: float
    clock: Callable[[], float] = time.monotonic
    _sign: Hashable = None
    _since: float = 0.0

    def unchanged(self, sign: Hashable) -> float:
        """Seconds for which we have seen `sign`, which every renewal changes."""
        if sign != self._sign:
            self._sign, self._since = sign, self.clock()
        return self.clock() - self._since

    def abandoned(self, sign: Hashable, age: float) -> bool:
        """`age` is what the storage's clock says about the last renewal, in seconds."""
        return self.unchanged(sign) > (2 * self.renew if age > self.stale else self.stale)
