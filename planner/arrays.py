"""The few operations that must treat one number and a grid of numbers alike.

Python integers stay exact Python integers; arrays broadcast. Nothing here branches on a value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Numeric = Any
"""A Python int or float, or a NumPy array of them (one number, or a whole grid)."""

_SCALAR = (int, float)


def minimum(a: Numeric, b: Numeric) -> Numeric:
    """Return the smaller of two numbers, elementwise for arrays.

    Parameters
    ----------
    a, b : numeric
        Numbers of one unit. [-]

    Returns
    -------
    numeric
        The smaller. [-]

    Examples
    --------
    >>> minimum(4096, 10**30)
    4096
    """
    if isinstance(a, _SCALAR) and isinstance(b, _SCALAR):
        return a if a <= b else b
    return np.minimum(a, b)


def maximum(a: Numeric, b: Numeric) -> Numeric:
    """Return the larger of two numbers, elementwise for arrays.

    Parameters
    ----------
    a, b : numeric
        Numbers of one unit. [-]

    Returns
    -------
    numeric
        The larger. [-]

    Examples
    --------
    >>> maximum(1, 8)
    8
    """
    if isinstance(a, _SCALAR) and isinstance(b, _SCALAR):
        return a if a >= b else b
    return np.maximum(a, b)


def where(condition: Numeric, a: Numeric, b: Numeric) -> Numeric:
    """Return one number or the other, elementwise for arrays.

    Parameters
    ----------
    condition : bool or array of bool
        Whether to take the first.
    a, b : numeric
        Numbers of one unit. [-]

    Returns
    -------
    numeric
        ``a`` where the condition holds, else ``b``. [-]

    Examples
    --------
    >>> where(2 > 1, 3, 4)
    3
    """
    if isinstance(condition, bool):
        return a if condition else b
    return np.where(condition, a, b)


def ceil_div(a: Numeric, b: Numeric) -> Numeric:
    """Return ``a / b`` rounded up, exact for integers.

    Parameters
    ----------
    a, b : numeric
        Dividend and positive divisor. [-]

    Returns
    -------
    numeric
        The quotient rounded up. [-]

    Examples
    --------
    >>> ceil_div(10, 4)
    3
    """
    return -(-a // b)


def log2(a: Numeric) -> Numeric:
    """Return the logarithm to base 2, elementwise for arrays.

    Parameters
    ----------
    a : numeric
        A positive number. [-]

    Returns
    -------
    numeric
        The logarithm. [-]

    Examples
    --------
    >>> log2(1024)
    10.0
    """
    return math.log2(a) if isinstance(a, _SCALAR) else np.log2(a)
