"""From values to positions: linear and logarithmic axes with readable ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MOST_TICKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis: values from ``low`` to ``high`` lie between two positions.

    Parameters
    ----------
    low, high : float
        Ends of the axis. [value]
    start, stop : float
        Positions of the ends. [px]
    log : bool
        Whether equal factors are equal distances.
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    @classmethod
    def around(
        cls, values: Sequence[float], start: float, stop: float, *, log: bool, zero: bool = False
    ) -> Scale:
        """Return an axis that holds values with a little room at both ends.

        Parameters
        ----------
        values : sequence of float
            What must be seen; a logarithmic axis leaves out what is not positive. [value]
        start, stop : float
            Positions of the ends. [px]
        log : bool
            Whether it is logarithmic.
        zero : bool
            Whether a linear axis begins at zero.

        Returns
        -------
        Scale
            Never of zero length.

        Examples
        --------
        >>> Scale.around([10, 1000], 0, 100, log=True).position(100)
        50.0
        """
        shown = [value for value in values if value > 0] if log else list(values)
        low, high = (min(shown), max(shown)) if shown else (1.0, 10.0)
        if log:
            room = math.exp(0.03 * (math.log(high) - math.log(low))) if high > low else 3.0
            return cls(low=low / room, high=high * room, start=start, stop=stop, log=True)
        low = min(low, 0.0) if zero else low
        room = 0.03 * (high - low) or 1.0
        first = low if zero and low == 0 else low - room
        return cls(low=first, high=high + room, start=start, stop=stop)

    def position(self, value: float) -> float:
        """Return where a value lies.

        Parameters
        ----------
        value : float
            Positive on a logarithmic axis. [value]

        Returns
        -------
        float
            The position. [px]
        """
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            share = (math.log(value) - low) / (high - low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def ticks(self) -> tuple[float, ...]:
        """Return the values to label.

        Returns
        -------
        tuple of float
            Powers of ten, with 2 and 5 between them on a short logarithmic axis; else round
            steps. [value]

        Examples
        --------
        >>> Scale(low=0, high=81.5, start=0, stop=1).ticks()
        (0.0, 20.0, 40.0, 60.0, 80.0)
        >>> Scale(low=0.05, high=200, start=0, stop=1, log=True).ticks()
        (0.1, 1.0, 10.0, 100.0)
        """
        return self._powers() if self.log else self._steps()

    def _powers(self) -> tuple[float, ...]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        every = -(-(last - first) // _MOST_TICKS)
        powers = [10.0**n for n in range(first, last + 1, every)]
        inside = [value for value in powers if self.low <= value <= self.high]
        if len(inside) < 2:
            inside = [
                m * 10.0**n
                for n in range(first, last + 1)
                for m in (1, 2, 5)
                if self.low <= m * 10.0**n <= self.high
            ]
        return tuple(inside)

    def _steps(self) -> tuple[float, ...]:
        span = self.high - self.low
        power = 10.0 ** math.floor(math.log10(span / 6))
        step = next(power * s for s in _STEPS if span / (power * s) <= 6)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(step * n for n in range(first, last + 1))


def tick_text(value: float) -> str:
    """Return the label of a tick.

    Parameters
    ----------
    value : float
        Its value. [value]

    Returns
    -------
    str
        In full where that is short, else as a power of ten.

    Examples
    --------
    >>> tick_text(0.01), tick_text(100000.0), tick_text(1e9)
    ('0.01', '100,000', '10⁹')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    mantissa, _, power = f"{value:.0e}".partition("e")
    ten = "10" + str(int(power)).translate(_SUPERSCRIPT)
    return ten if mantissa == "1" else f"{mantissa}·{ten}"
