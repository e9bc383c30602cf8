"""Which days of a target count: quality columns, possible values, usable uncertainties."""

import numpy as np

from kgml_jax.data import bounds
from kgml_jax.data.draft import Draft
from kgml_jax.data.schema import TARGET_BOUNDS, ReadOptions
from kgml_jax.errors import DataError, kept, listed

MOST_FLAG = 9.0
"""Largest flag of a scale of classes (1 to 9 of Foken et al. 2004)."""

_SLACK = bounds.SLIGHT_EXCESS


def complete(draft: Draft, options: ReadOptions, errors: list[DataError]) -> None:
    """Leaves NaN in targets where they do not count, and drops those of which no day does.

    Args:
      draft: of one site; changed in place.
      options: threshold and scale of quality.
      errors: gathers what cannot be used: quality on another scale, values outside of what is
        possible on more than 1 % of the days.
    """
    for name in [name for name in TARGET_BOUNDS if name in draft.values]:
        with kept(errors):
            _mask_poor(draft, name, options)
            _mask_impossible(draft, name)
        _check_uncertainty(draft, name)
        values = draft.values[name]
        if not np.isfinite(values).any():
            draft.note(name, "warning", len(values), "no day counts: not a target")
            for key in (name, f"{name}_qc", f"{name}_uncertainty"):
                draft.values.pop(key, None)


def _mask_poor(draft: Draft, name: str, options: ReadOptions) -> None:
    key, values = f"{name}_qc", draft.values[name]
    quality = draft.values.get(key)
    if quality is None:
        return
    measured = np.isfinite(values)
    if measured.any() and not np.isfinite(quality).any():
        message = f"{key} has no value at all: every value counts"
        draft.note(name, "warning", measured.sum(), message)
        del draft.values[key]
        return
    share = _shares(draft, key, quality, options)
    draft.values[key] = share
    poor = measured & ~(share >= options.qc_threshold)
    draft.note(name, "masked", poor.sum(), f"quality below {options.qc_threshold:g}: not counted")
    draft.values[name] = np.where(poor, np.nan, values)


def _shares(draft: Draft, key: str, quality: np.ndarray, options: ReadOptions) -> np.ndarray:
    """Returns quality as the share of a day, NaN where it cannot be one.

    Raises:
      DataError: the column is of another scale than the options say.
    """
    known = quality[np.isfinite(quality)]
    if options.quality_scale == "flags":
        if (known != np.round(known)).any() or (known < 0).any() or (known > MOST_FLAG).any():
            raise _other_scale(draft, key, known, f"whole numbers from 0 to {MOST_FLAG:g}")
        shares = np.where(quality <= options.worst_flag, 1.0, 0.0)
        message = f"flags up to {options.worst_flag} taken as good, larger ones as poor"
        draft.note(key, "converted", len(known), message)
        return np.where(np.isfinite(quality), shares, np.nan)
    if options.quality_scale == "percent":
        if len(known) and (0 < known.max() <= 1 or (_are_flags(known) and known.max() > 0)):
            raise _other_scale(draft, key, known, "0 to 100")
        draft.note(key, "converted", len(known), "per cent taken as shares of the day")
        quality, known = quality / 100, known / 100
    elif len(known) and _from_percent(known):
        raise _other_scale(draft, key, known, "0 to 1; its units may say % of what are shares")
    wrong = (quality < -_SLACK) | (quality > 1 + _SLACK)
    if wrong.any() and (_are_flags(known) or wrong.sum() > bounds.OUTSIDE_LIMIT * len(known)):
        given = known * 100 if options.quality_scale == "percent" else known
        expected = "0 to 100" if options.quality_scale == "percent" else "shares of the day, 0 to 1"
        raise _other_scale(draft, key, given, expected)
    draft.note(key, "warning", wrong.sum(), "outside 0 to 1: the day does not count")
    _warn_of_two(draft, key, quality)
    return np.where(wrong, np.nan, np.clip(quality, 0.0, 1.0))


def _are_flags(known: np.ndarray) -> bool:
    whole = bool((known == np.round(known)).all())
    return whole and bool((known >= 0).all() and (known <= MOST_FLAG).all())


def _from_percent(known: np.ndarray) -> bool:
    # Shares that were divided by 100: some are not 0, and none reaches a day of 1 %.
    return bool(known.max() <= 0.01 + 1e-9 and (known > 0).mean() > bounds.OUTSIDE_LIMIT)


def _other_scale(draft: Draft, key: str, known: np.ndarray, expected: str) -> DataError:
    shown = [f"{value:g}" for value in np.unique(known)]
    found = listed(shown, 10) if len(shown) <= 10 else f"{known.min():g} to {known.max():g}"
    if _are_flags(known) and known.max() > 1:
        problem = "holds flags, not shares of the day"
        recipe = (
            "    --quality-scale flags --worst-flag 1   # up to 1 count, as 0 and 1 of 0 to 3\n"
            '    # in Python quality_scale="flags", worst_flag=1'
        )
    elif known.min() >= 0 and 1 < known.max() <= 100:
        problem = "holds per cent, not shares of the day"
        recipe = '    --quality-scale percent   # in Python quality_scale="percent"'
    else:
        problem, recipe = "is on another scale than the options say", None
    return draft.error(problem, key, found=found, expected=expected, recipe=recipe)


def _warn_of_two(draft: Draft, key: str, quality: np.ndarray) -> None:
    known = quality[np.isfinite(quality)]
    if len(known) and np.isin(known, (0.0, 1.0)).all() and 0 < known.mean() < 0.5:
        message = (
            f"holds 0 and 1 only, and 1 on {known.mean():.0%} of the days; 1 is taken as good "
            "(where 0 is: --quality-scale flags --worst-flag 0)"
        )
        draft.note(key, "warning", len(known), message)


def _mask_impossible(draft: Draft, name: str) -> None:
    values = draft.values[name]
    beyond, _ = bounds.outside(name, values)
    count, total = int(beyond.sum()), int(np.isfinite(values).sum())
    limits = bounds.in_words(name)
    if count > bounds.OUTSIDE_LIMIT * total:
        raise draft.error(
            f"{count} of {total} values are outside of what is possible; are the units right?",
            name,
            found=f"{np.nanmin(values):.4g} to {np.nanmax(values):.4g}",
            expected=limits,
        )
    draft.note(name, "warning", count, f"outside {limits}: not counted")
    draft.values[name] = np.where(beyond, np.nan, values)


def _check_uncertainty(draft: Draft, name: str) -> None:
    key = f"{name}_uncertainty"
    if key not in draft.values:
        return
    spread = draft.values[key]
    negative, wide = spread < 0, spread > bounds.physical(key)[1]
    draft.note(key, "warning", negative.sum(), "negative: the usual one is used")
    draft.note(key, "warning", wide.sum(), "impossibly large: the usual one is used")
    draft.values[key] = np.where(negative | wide, np.nan, spread)
