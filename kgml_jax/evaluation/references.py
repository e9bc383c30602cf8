"""What a model must beat: climatology and gradient boosting, on the same days of the same split.

Every reference is fitted to the observed days of `training` and to nothing else, and predicts every
day: `{variable: (site, time)}`, NaN at a site that has nothing to learn from.
"""

from typing import Any, Protocol

import numpy as np

from kgml_jax.data.schema import REQUIRED_FORCING
from kgml_jax.sites import Sites

MANAGEMENT = ("co2", "irrigation", "crop", "occupied")
"""Forcing that enters with its own value alone; the weather also with its running means."""

RUNNING_MEANS = (7, 30, 90)
"""Lengths in days of the running means; each ends on the day itself and sees no later one."""

DAYS_ON_CIRCLE = 366


def day_of_year_climatology(
    sites: Sites, training: np.ndarray, half_window: int = 7
) -> dict[str, np.ndarray]:
    """Predicts the mean of the training days around the same day of the year.

    Args:
      sites: the sites.
      training: bool `(site, time)`, the days that may be looked at.
      half_window: days on either side, on a circle of 366 days (so that 31 December is next to
        1 January); 7 means 15 days, equally weighted.

    Returns:
      Per observed variable `(site, time)`. Where no training day lies in the window, the mean of
      all the site's training days.
    """
    day_of_year = np.asarray(sites.site.calendar.day_of_year).astype(int)
    predicted = {}
    for name, target in sites.site.targets.items():
        days = _observed(sites, training, name)
        rows = zip(np.asarray(target), days, day_of_year, strict=True)
        predicted[name] = np.stack([_site_climatology(*row, half_window) for row in rows])
    return predicted


def _site_climatology(
    target: np.ndarray, days: np.ndarray, day_of_year: np.ndarray, half_window: int
) -> np.ndarray:
    if not days.any():
        return np.full(target.shape, np.nan)
    # Padding days may carry any day of the year.
    place = np.clip(day_of_year - 1, 0, DAYS_ON_CIRCLE - 1)
    return seasonal_cycle(target[days], place[days], half_window)[place]


def seasonal_cycle(values: np.ndarray, place: np.ndarray, half_window: int = 7) -> np.ndarray:
    """Returns means around each day of a circle of 366, `(366,)`; the mean of all where none is.

    Args:
      values: observed, at least one, `(observation,)`.
      place: day of the year of each, counted from 0.
      half_window: days on either side.
    """
    seen = values.astype(float)
    total = np.bincount(place, weights=seen, minlength=DAYS_ON_CIRCLE)
    count = np.bincount(place, minlength=DAYS_ON_CIRCLE)
    total, count = _circular_sum(total, half_window), _circular_sum(count, half_window)
    return np.where(count > 0, total / np.maximum(count, 1), seen.mean())


def _circular_sum(values: np.ndarray, half_window: int) -> np.ndarray:
    shifts = range(-half_window, half_window + 1)
    return np.sum([np.roll(values, shift) for shift in shifts], axis=0)


def boosting_pooled(
    sites: Sites, training: np.ndarray, *, iterations: int = 300, seed: int = 0
) -> dict[str, np.ndarray]:
    """Predicts with one gradient boosting of trees for all sites, which also sees the latitude.

    Args:
      sites: the sites.
      training: bool `(site, time)`, the days that may be looked at.
      iterations: number of trees.
      seed: of the trees.

    Raises:
      ImportError: scikit-learn is absent; it comes with the extra `bench`.
    """
    trees = regressor(iterations, seed)
    latitude = np.asarray(sites.site.attributes.latitude)
    columns = daily_features(sites)
    place = np.broadcast_to(latitude[:, None, None], (*columns.shape[:2], 1))
    columns = np.concatenate([columns, place.astype(columns.dtype)], axis=-1)
    return {
        name: _fit_predict(trees, columns, np.asarray(target), _observed(sites, training, name))
        for name, target in sites.site.targets.items()
    }


def boosting_per_site(
    sites: Sites, training: np.ndarray, *, iterations: int = 300, seed: int = 0
) -> dict[str, np.ndarray]:
    """Predicts with a gradient boosting of trees of its own for every site.

    Args:
      sites: the sites.
      training: bool `(site, time)`, the days that may be looked at.
      iterations: number of trees.
      seed: of the trees.

    Raises:
      ImportError: scikit-learn is absent; it comes with the extra `bench`.
    """
    trees = regressor(iterations, seed)
    columns = daily_features(sites)
    predicted = {}
    for name, target in sites.site.targets.items():
        rows = zip(columns, np.asarray(target), _observed(sites, training, name), strict=True)
        predicted[name] = np.stack([_fit_predict(trees, *row) for row in rows])
    return predicted


def daily_features(sites: Sites) -> np.ndarray:
    """Returns what the trees see of each day, `(site, time, feature)`.

    Weather, its causal running means, management, and the day of the year on the circle. Days that
    only pad a record are left out of the running means.
    """
    forcing, valid = sites.site.forcing, np.asarray(sites.site.valid)
    weather = [np.asarray(getattr(forcing, name)) for name in REQUIRED_FORCING]
    means = [running_mean(field, valid, days) for field in weather for days in RUNNING_MEANS]
    management = [np.asarray(getattr(forcing, name)) for name in MANAGEMENT]
    angle = 2 * np.pi * np.asarray(sites.site.calendar.day_of_year) / DAYS_ON_CIRCLE
    columns = [*weather, *means, *management, np.sin(angle), np.cos(angle)]
    return np.stack(columns, axis=-1).astype(weather[0].dtype)


def running_mean(field: np.ndarray, valid: np.ndarray, days: int) -> np.ndarray:
    """Returns means over each day and those before it, `(site, time)`; padding does not count."""
    total = _trailing_sum(np.where(valid, field, 0.0), days)
    return total / np.maximum(_trailing_sum(valid.astype(float), days), 1)


def _trailing_sum(values: np.ndarray, days: int) -> np.ndarray:
    running = np.cumsum(values, axis=1, dtype=float)
    before = np.zeros_like(running)
    before[:, days:] = running[:, :-days]
    return running - before


def _observed(sites: Sites, training: np.ndarray, name: str) -> np.ndarray:
    mask = np.asarray(sites.site.mask[name], dtype=bool)
    return mask & np.asarray(training) & np.asarray(sites.site.valid)


class Regressor(Protocol):
    """What is fitted to rows of features, as in scikit-learn."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:  # noqa: N803 (scikit-learn's)
        """Fits to rows."""
        ...

    def predict(self, X: Any) -> Any:  # noqa: N803 (scikit-learn's name)
        """Returns a value a row."""
        ...


def require_scikit_learn() -> Any:
    """Returns the module `sklearn.ensemble`.

    Raises:
      ImportError: scikit-learn is absent; the message names the extra that brings it.
    """
    try:
        import sklearn.ensemble
    except ImportError as error:
        text = "gradient boosting needs scikit-learn: pip install 'kgml_jax[bench]'"
        raise ImportError(text) from error
    return sklearn.ensemble


def regressor(iterations: int, seed: int, **options: Any) -> Regressor:
    """Returns gradient boosting of trees, not fitted yet.

    Args:
      iterations: number of trees.
      seed: of the trees.
      options: further arguments of scikit-learn's `HistGradientBoostingRegressor`.

    Raises:
      ImportError: scikit-learn is absent; it comes with the extra `bench`.
    """
    chosen = {"learning_rate": 0.05, **options}
    trees = require_scikit_learn().HistGradientBoostingRegressor(
        max_iter=iterations, random_state=seed, **chosen
    )
    # Early stopping would set aside shuffled days, neighbours of those it is fitted to.
    return trees.set_params(early_stopping=False)


def _fit_predict(
    regressor: Regressor, columns: np.ndarray, target: np.ndarray, days: np.ndarray
) -> np.ndarray:
    if not days.any():
        return np.full(target.shape, np.nan)
    regressor.fit(columns[days], target[days])
    return regressor.predict(columns.reshape(-1, columns.shape[-1])).reshape(target.shape)
