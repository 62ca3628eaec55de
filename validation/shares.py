"""Shares and errors in percent, for people."""

from __future__ import annotations


def percent(fraction: float) -> str:
    """Return a share for people.

    Parameters
    ----------
    fraction : float
        The share. [1]

    Returns
    -------
    str
        With one decimal below 10 %.

    Examples
    --------
    >>> percent(0.0834), percent(0.273), percent(12.5)
    ('8.3%', '27%', '1,250%')
    """
    return f"{fraction:.1%}" if abs(fraction) < 0.0995 else f"{fraction:,.0%}"


def signed(fraction: float) -> str:
    """Return an error with its sign for people.

    Parameters
    ----------
    fraction : float
        The error. [1]

    Returns
    -------
    str
        In percent.

    Examples
    --------
    >>> signed(-0.26), signed(3.1)
    ('−26%', '+310%')
    """
    return f"{fraction:+,.0%}".replace("-", "−")
