"""A strategy in three numbers, which may contradict each other, and where they do, why.

The median error and the median R2 count every site alike; the pooled error counts every day alike,
so that sites whose fluxes vary most decide it. A strategy that repairs sites with little variance
moves the medians and hardly the pooled error.
"""

from collections.abc import Iterator

import numpy as np
import xarray as xr

NUMBERS = ("median_error", "median_r2", "pooled_error")
"""What `headline` returns."""

UNMOVED = 0.02
"""Share of an error below which a change of it counts as none."""

APART = 0.05
"""Least difference between two changes, in shares of the errors, that is worth a remark."""

LEAST_SHARE = 0.2
"""Changes the same way agree if the least is at least this share of the greatest."""

FEW_SITES = 5
"""Number of sites up to which a median is said to be the value of one or two of them."""


def headline(results: xr.Dataset) -> xr.Dataset:
    """Returns the numbers by which a strategy is judged first.

    Args:
      results: of `scores.score`, with `standardised_mse` and `pooled_mse`.

    Returns:
      Dims (strategy,): `median_error`, the median over sites of `standardised_mse`; `median_r2`,
      that of the mean R2 over variables; `pooled_error`, which is `pooled_mse`.
    """
    return xr.Dataset(
        {
            "median_error": results["standardised_mse"].median("site"),
            "median_r2": results["r2"].mean("variable").median("site"),
            "pooled_error": results["pooled_mse"],
        }
    )


def remarks(results: xr.Dataset, reference: str) -> tuple[str, ...]:
    """Says in a sentence each what a reader of the headline could take wrongly.

    Args:
      results: as of `headline`.
      reference: strategy that the others are compared with.
    """
    found = headline(results)
    others = [str(name) for name in results["strategy"].values if name != reference]
    return (*_few_sites(results), *_contradictions(results, found, reference, others))


def _few_sites(results: xr.Dataset) -> Iterator[str]:
    errors = results["standardised_mse"].transpose("strategy", "site")
    scored = np.isfinite(errors.values).any(axis=0)
    if not 0 < scored.sum() <= FEW_SITES:
        return
    if scored.sum() == 1:
        yield f"Only {errors['site'].values[scored][0]} is scored: no median is over sites."
        return
    middle = {str(own["strategy"].item()): " and ".join(_middle(own)) for own in errors}
    whose = "one site" if scored.sum() % 2 else "the two middle sites"
    text = f"A median over {scored.sum()} sites is the value of {whose}"
    named = "; ".join(f"{name}: {sites}" for name, sites in middle.items() if sites)
    yield f"{text}, for the error {named}. Look at the sites."


def _middle(own: xr.DataArray) -> list[str]:
    # Names of the one or two sites whose values make the median.
    known = own.where(np.isfinite(own), drop=True).sortby(own.where(np.isfinite(own), drop=True))
    names, count = [str(name) for name in known["site"].values], known.sizes["site"]
    return names[(count - 1) // 2 : count // 2 + 1]


def _contradictions(
    results: xr.Dataset, found: xr.Dataset, reference: str, others: list[str]
) -> Iterator[str]:
    for name in others:
        old, new = (found.sel(strategy=one) for one in (reference, name))
        error, unexplained, pooled = (
            _fall(float(before), float(after))
            for before, after in (
                (old["median_error"], new["median_error"]),
                (1 - old["median_r2"], 1 - new["median_r2"]),
                (old["pooled_error"], new["pooled_error"]),
            )
        )
        if not _agree([error, unexplained, pooled]):
            yield (
                f"{name} against {reference}: the median error {_said(error)}, the median R2 goes "
                f"from {float(old['median_r2']):.3f} to {float(new['median_r2']):.3f}, the error "
                f"of all days together {_said(pooled)}.{_where(results, reference, name)}"
            )


def _fall(old: float, new: float) -> float:
    return 1 - new / old if old > 0 else np.nan


def _agree(falls: list[float]) -> bool:
    known = np.array([fall for fall in falls if np.isfinite(fall)])
    if known.size < 2 or np.ptp(known) < APART:
        return True
    sizes = np.abs(known)
    return len(set(np.sign(known).tolist())) == 1 and sizes.min() >= LEAST_SHARE * sizes.max()


def _said(fall: float) -> str:
    if not np.isfinite(fall):
        return "is not known"
    if abs(fall) < UNMOVED:
        return f"hardly moves ({0.0 - fall:+.1%})"
    return f"{'falls' if fall > 0 else 'rises'} by {abs(fall):.0%}"


def _where(results: xr.Dataset, reference: str, name: str) -> str:
    """Says between which two kinds of sites the change of the error differs most."""
    errors = results["standardised_mse"]
    old, new = (errors.sel(strategy=one).values for one in (reference, name))
    usable = np.isfinite(old) & np.isfinite(new)
    found = []
    for labels, kinds in _kinds_of_sites(results, reference, usable):
        falls = [_fall(old[rows].mean(), new[rows].mean()) for rows in kinds]
        found.append((abs(falls[0] - falls[1]), labels, falls))
    if not found or max(found)[0] < APART:
        return ""
    _, (first, second), falls = max(found)
    return f" The mean error {_said(falls[0])} at {first}, and {_said(falls[1])} at {second}."


def _kinds_of_sites(
    results: xr.Dataset, reference: str, usable: np.ndarray
) -> Iterator[tuple[tuple[str, str], tuple[np.ndarray, np.ndarray]]]:
    if "known" in results:
        known = results["known"].values == 1
        kinds = usable & known, usable & ~known
        if all(rows.any() for rows in kinds):
            yield ("known sites", "new ones"), kinds
    own = results.sel(strategy=reference)
    # 1 - R2 is the squared error over the variance of the observations.
    variance = own["mse"] / (1 - own["r2"]).where(own["r2"] < 1)
    spread = (variance / variance.mean("site")).mean("variable").values
    if (rows := np.flatnonzero(usable & np.isfinite(spread))).size >= 4:
        order = rows[np.argsort(spread[rows])]
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        yield ("the half of the sites whose fluxes vary least", "the half that varies most"), halves
