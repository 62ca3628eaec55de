"""How much time one measurement may take."""

from __future__ import annotations

from dataclasses import dataclass

_FEWEST = 3
_VERY_LONG = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much time one measurement may take.

    Parameters
    ----------
    warmup_s : float
        Least time of calls whose time is thrown away. [s]
    least_s, most_s : float
        Samples are taken for at least and at most this long. [s]
    least_samples, most_samples : int
        And this many; the least even beyond ``most_s``, unless each takes very long. [1]
    """

    warmup_s: float = 0.1
    least_s: float = 0.3
    most_s: float = 0.8
    least_samples: int = 5
    most_samples: int = 200

    def enough(self, samples: int, elapsed_s: float) -> bool:
        """Return whether to stop sampling.

        Parameters
        ----------
        samples : int
            Taken so far. [1]
        elapsed_s : float
            Time they took. [s]

        Returns
        -------
        bool
            True once there is nothing to gain.

        Examples
        --------
        >>> Effort().enough(5, 0.1), Effort().enough(5, 1.0), Effort().enough(3, 1.0)
        (False, True, False)
        """
        if samples < self.least_samples:
            return samples >= _FEWEST and elapsed_s >= _VERY_LONG * self.most_s
        settled = elapsed_s >= self.least_s and samples >= 4 * self.least_samples
        return settled or elapsed_s >= self.most_s or samples >= self.most_samples


NORMAL = Effort()
"""What a case of a run takes."""

QUICK = Effort(warmup_s=0.0, least_s=0.0, most_s=0.0, least_samples=2)
"""For tests: shows that a time can be taken, not how long something takes."""
