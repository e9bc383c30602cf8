"""The seasonal course of a daily series: its mean over the months, and its first harmonic."""

import numpy as np
import pandas as pd

LEAST_DAYS = 5
"""Values a month of the year needs before a mean over the year is a mean over all seasons."""


def mean_of_months(values: np.ndarray, time: pd.DatetimeIndex) -> float | None:
    """Returns the mean of the means of the 12 months of the year; None if a month is not known.

    Args:
      values: shape `(time,)`, NaN where missing.
      time: the days.
    """
    known = np.isfinite(values)
    month = time.month.to_numpy()[known] - 1
    count = np.bincount(month, minlength=12)
    if (count < LEAST_DAYS).any():
        return None
    return float(np.mean(np.bincount(month, values[known], minlength=12) / count))


def harmonic(values: np.ndarray, time: pd.DatetimeIndex) -> complex | None:
    """Returns the first annual harmonic; None if a month of the year is not known.

    Its absolute value is the amplitude in the units of `values`; its angle is the day of the
    maximum, a whole turn being a year.

    Args:
      values: shape `(time,)`, NaN where missing.
      time: the days.
    """
    if mean_of_months(values, time) is None:
        return None
    known = np.isfinite(values)
    angle = 2 * np.pi * time.day_of_year.to_numpy()[known] / 365.25
    design = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
    _, cosine, sine = np.linalg.lstsq(design, values[known], rcond=None)[0]
    return complex(cosine, sine)


def alignment(one: complex, other: complex) -> float:
    """Returns the cosine of the lag between two harmonics: 1 in phase, -1 half a year apart.

    0 where one of them has no season.
    """
    size = abs(one) * abs(other)
    return float((one * other.conjugate()).real / size) if size else 0.0


def peak(course: complex) -> str:
    """Returns the month in which a harmonic is largest."""
    day = int(np.angle(course) % (2 * np.pi) / (2 * np.pi) * 365.25)
    return (pd.Timestamp("2001-01-01") + pd.Timedelta(days=day)).strftime("%B")
