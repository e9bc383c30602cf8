"""Windows: the site-years of a role, each with warm-up days before it, stacked for training.

A window is a `Site` of fixed length. Its masks are True only on scored days: those of its own
calendar year that have the role asked for. Warm-up days only bring the state up to date.
"""

import jax
import numpy as np

from kgml_jax.records import Field, record
from kgml_jax.sites import TRAIN, VALIDATION, Site
from kgml_jax.split import DividedSites

YEAR_DAYS = 366


@record
class FitData:
    """What one fit sees: training and validation windows, leaves (window, time), and how many.

    Windows beyond the count repeat the first with all masks False, so that those of several fits
    stack. `identity` is that of the first site and seeds what the fit draws.
    """

    training: Site
    training_count: Field
    validation: Site
    validation_count: Field
    identity: Field


Roles = int | tuple[int, ...]
"""A role of days, or several."""


def site_years(data: DividedSites, role: Roles) -> list[list[tuple[int, int]]]:
    """Returns, for each site, (site row, calendar year) of every year with a day of `role`."""
    years = np.asarray(data.sites.site.calendar.year)
    days = np.isin(data.roles, role) & np.asarray(data.sites.site.valid)
    return [[(row, int(y)) for y in np.unique(years[row, days[row]])] for row in range(len(data))]


def cut(data: DividedSites, role: Roles, where: list[tuple[int, int]], warmup: int) -> Site:
    """Cuts windows of `warmup` + 366 days.

    Args:
      data: all sites, with the role of each day.
      role: of the days to score.
      where: (site row, calendar year) of each window.
      warmup: days before 1 January; days before the record repeat those one year later.

    Returns:
      A `Site` with leaves (window, time); attributes and names of shape (window,).
    """
    site = data.sites.site
    years = np.asarray(site.calendar.year)
    length = years.shape[1]
    rows = np.array([row for row, _ in where], dtype=int)
    first = np.array([np.argmax(years[row] == year) for row, year in where], dtype=int)
    days = first[:, None] - warmup + np.arange(warmup + YEAR_DAYS)
    days = np.where(days < 0, days + 365, days)
    inside = days < length
    days = np.clip(days, 0, length - 1)
    own_year = years[rows[:, None], days] == np.array([year for _, year in where])[:, None]
    own_year[:, :warmup] = False
    take = lambda leaf: np.asarray(leaf)[rows[:, None], days]
    scored = own_year & inside & np.isin(take(data.roles), role)
    valid = take(site.valid) & inside
    return Site(
        forcing=jax.tree.map(take, site.forcing),
        attributes=jax.tree.map(lambda leaf: np.asarray(leaf)[rows], site.attributes),
        targets=jax.tree.map(take, site.targets),
        mask={name: take(mask) & scored & valid for name, mask in site.mask.items()},
        uncertainty=jax.tree.map(take, site.uncertainty),
        calendar=jax.tree.map(take, site.calendar),
        valid=valid,
        identity=np.asarray(site.identity)[rows],
        group=np.asarray(site.group)[rows],
    )


def make_fit_data(
    data: DividedSites,
    members: list[list[int]],
    warmup: int,
    learn_from: Roles = TRAIN,
    validate_on: Roles = VALIDATION,
) -> FitData:
    """Stacks the windows of several fits; each fit sees the sites at its `members` rows.

    One fit with all sites is pretraining, one a site is calibration, one a group is regional
    training.

    Args:
      data: all sites, with the role of each day.
      members: site rows of each fit.
      warmup: days before each year; see `cut`.
      learn_from: role of the days that give gradients.
      validate_on: role of the days that are validated on.

    Returns:
      Leaves (fit, window, time).

    Raises:
      ValueError: a fit has no day to train on or none to validate on.
    """
    parts = {}
    for name, role in (("training", learn_from), ("validation", validate_on)):
        where = _windows_of(data, role, members)
        for rows, windows in zip(members, where, strict=True):
            if not windows:
                raise ValueError(f"{data.sites.names[rows[0]]} has no {name} day in this split")
        parts[name] = _stack_padded(data, role, where, warmup)
        parts[f"{name}_count"] = np.array([len(windows) for windows in where], np.int32)
    return FitData(**parts, identity=_identities(data, members))


def make_fold_data(
    data: DividedSites, members: list[list[int]], warmup: int, fold: np.ndarray
) -> FitData:
    """Stacks the windows of every fold of several fits; see `make_fit_data`.

    Args:
      data: all sites, with the role of each day.
      members: site rows of each fit, which has days to hold out.
      warmup: days before each year; see `cut`.
      fold: in which a day is held out, from 0; -1 in none, int (site, time).

    Returns:
      Leaves (fit, fold, window, time): a fold trains on all days that may be learnt from but its
      own, on which it validates. A fold that holds nothing out of a fit has no day to validate on.
    """
    folds = [data.holding_out(fold == one) for one in range(int(fold.max()) + 1)]
    parts = {}
    for name, role in (("training", TRAIN), ("validation", VALIDATION)):
        where = [_windows_of(part, role, members) for part in folds]
        longest = max(len(windows) for of_fold in where for windows in of_fold)
        filler = [windows[:1] for windows in _windows_of(folds[0], (TRAIN, VALIDATION), members)]
        stacked = [
            _stack_padded(part, role, of_fold, warmup, longest, filler)
            for part, of_fold in zip(folds, where, strict=True)
        ]
        parts[name] = jax.tree.map(lambda *leaves: np.stack(leaves, axis=1), *stacked)
        counts = [[len(windows) for windows in of_fold] for of_fold in where]
        parts[f"{name}_count"] = np.array(counts, np.int32).T
    identity = np.repeat(_identities(data, members)[:, None], len(folds), axis=1)
    return FitData(**parts, identity=identity)


def make_joint_data(data: DividedSites, rows: list[int], warmup: int) -> FitData:
    """Returns what one fit to the sites at `rows` together sees, leaves (window, time).

    Raises:
      ValueError: there is no day to train on or none to validate on.
    """
    return jax.tree.map(lambda leaf: leaf[0], make_fit_data(data, [rows], warmup))


def without_sites(data: FitData, gone: np.ndarray) -> FitData | None:
    """Returns the windows of one fit without those of some sites, in the same shapes.

    Their places repeat a window of another site with all masks False, as padding does, so that
    nothing of theirs is computed with; a batch may still draw them, and is then smaller.

    Args:
      data: what the fit sees, leaves (window, time).
      gone: identities of the sites to leave out.

    Returns:
      None if there is then no day to train on or none to validate on.
    """
    training, validation = _others(data.training, gone), _others(data.validation, gone)
    if training is None or validation is None:
        return None
    return data.replace(training=training, validation=validation)  # type: ignore[attr-defined]


def _others(windows: Site, gone: np.ndarray) -> Site | None:
    out = np.isin(windows.identity, gone)
    seen = np.any([np.asarray(mask).any(axis=-1) for mask in windows.mask.values()], axis=0)
    if not (usable := seen & ~out).any():
        return None
    rows = np.where(out, np.argmax(usable), np.arange(len(out)))
    kept = jax.tree.map(lambda leaf: np.asarray(leaf)[rows], windows)
    inside = ~out[:, None]
    mask = {name: mask & inside for name, mask in kept.mask.items()}
    return kept.replace(mask=mask, valid=kept.valid & inside)


def _windows_of(
    data: DividedSites, role: Roles, members: list[list[int]]
) -> list[list[tuple[int, int]]]:
    per_site = site_years(data, role)
    return [[window for row in rows for window in per_site[row]] for rows in members]


def _identities(data: DividedSites, members: list[list[int]]) -> np.ndarray:
    return np.array([np.asarray(data.sites.site.identity)[rows[0]] for rows in members])


def _stack_padded(
    data: DividedSites,
    role: Roles,
    where: list[list[tuple[int, int]]],
    warmup: int,
    longest: int | None = None,
    filler: list[list[tuple[int, int]]] | None = None,
) -> Site:
    longest = longest or max(len(windows) for windows in where)
    repeated = filler or [windows[:1] for windows in where]
    padded = [
        windows + first * (longest - len(windows))
        for windows, first in zip(where, repeated, strict=True)
    ]
    flat = cut(data, role, [window for windows in padded for window in windows], warmup)
    stacked = jax.tree.map(lambda leaf: leaf.reshape(len(where), longest, *leaf.shape[1:]), flat)
    counts = np.array([len(windows) for windows in where])
    real = (np.arange(longest) < counts[:, None])[..., None]
    return stacked.replace(
        mask={name: mask & real for name, mask in stacked.mask.items()}, valid=stacked.valid & real
    )
