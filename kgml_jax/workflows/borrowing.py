"""Whose parameters predict sites that were not calibrated: the pretrained model's, or others'."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import jax
import numpy as np

from kgml_jax.adaptation import Dense, Frozen
from kgml_jax.data.distance import great_circle
from kgml_jax.display import counted
from kgml_jax.errors import DataError, listed
from kgml_jax.runs.fitted import Calibrated, Pretrained
from kgml_jax.sites import Place, Sites
from kgml_jax.training.strategies import STRATEGIES

Unknown = Literal["pretrained", "nearest", "group"]
"""What predicts a site that was not calibrated: the pretrained model; what the nearest calibrated
site owns; what its group owns, or its calibrated sites own on average."""

PRETRAINED = "pretrained model"


@dataclass(frozen=True)
class Lenders:
    """Whose parameters each site takes.

    Attributes:
      fitted: the fitted model, which may own units beside those that were calibrated.
      unit_of: row of the unit that each site takes, by name; without one the pretrained model.
      names: of the lender of each site, for a reader, such as "its own" or "US-Ne1".
      distance: from each site to its lender, km, (site,); NaN where none is nearest.
      unlike: where the nearest lender is of another vegetation class, both, such as "GRA for CRO".
    """

    fitted: Pretrained | Calibrated
    unit_of: Mapping[str, int]
    names: tuple[str, ...]
    distance: np.ndarray
    unlike: tuple[str, ...]


def lenders(fitted: Pretrained | Calibrated, sites: Sites, unknown: Unknown) -> Lenders:
    """Returns whose parameters each site takes; a calibrated site takes its own.

    The mean of a group is that of `phi`, which is zero at the pretrained model: sites that kept it
    count. Weights from scratch and products of factors have no meaningful mean. A site whose group
    has no calibrated site takes the pretrained model.

    Args:
      fitted: a pretrained model, or calibrated sites.
      sites: to predict.
      unknown: what predicts a site that was not calibrated.

    Raises:
      DataError: the nearest site is asked for and it is not known where a site lies.
      ValueError: there is no such choice, or it is not possible with what was fitted.
    """
    if unknown not in get_args(Unknown):
        raise ValueError(f"no way {unknown!r}; there are {', '.join(get_args(Unknown))}")
    none, alike = np.full(len(sites), np.nan), ("",) * len(sites)
    if isinstance(fitted, Pretrained):
        if unknown != "pretrained":
            raise ValueError(
                f"a pretrained model holds no calibrated sites: {unknown} needs those of calibrate"
            )
        return Lenders(fitted, {}, (PRETRAINED,) * len(sites), none, alike)
    own = {name: fitted.unit_of[name] for name in sites.names if name in fitted.unit_of}
    names = tuple("its own" if name in own else PRETRAINED for name in sites.names)
    known = Lenders(fitted, own, names, none, alike)
    if unknown == "pretrained" or len(own) == len(sites):
        return known
    return _nearest(known, fitted, sites) if unknown == "nearest" else _group(known, fitted, sites)


def _nearest(known: Lenders, fitted: Calibrated, sites: Sites) -> Lenders:
    candidates = [name for name, place in fitted.places.items() if _lies(place) is not None]
    if not candidates:
        raise ValueError(
            "it is not known where the calibrated sites lie: calibrate again with lat and lon of "
            "the sites in sites.csv, or predict with another choice than nearest"
        )
    asked = [row for row, name in enumerate(sites.names) if name not in known.unit_of]
    if lost := [sites.names[row] for row in asked if _lies(sites.place(row)) is None]:
        raise DataError(
            "it is not known where the sites lie, so none is nearest",
            site=listed(lost),
            variable="latitude, longitude",
            expected="lat and lon in sites.csv or the table of --metadata",
        )
    points = np.array([_lies(fitted.places[name]) for name in candidates])
    unit_of, names, distance = dict(known.unit_of), list(known.names), known.distance.copy()
    unlike = [""] * len(sites)
    for row in asked:
        away = great_circle(*_lies(sites.place(row)), points)  # type: ignore[misc]
        best = int(np.argmin(away))
        unit_of[sites.names[row]] = fitted.unit_of[candidates[best]]
        names[row], distance[row] = candidates[best], away[best]
        lent, own = fitted.places[candidates[best]].vegetation, sites.place(row).vegetation
        if lent and own and lent != own:
            unlike[row] = f"{lent} for {own}"
    return replace(
        known, unit_of=unit_of, names=tuple(names), distance=distance, unlike=tuple(unlike)
    )


def _lies(place: Place) -> tuple[float, float] | None:
    if place.latitude is None or place.longitude is None:
        return None
    return place.latitude, place.longitude


def _group(known: Lenders, fitted: Calibrated, sites: Sites) -> Lenders:
    if not fitted.groups:
        raise ValueError(
            "the run does not say in which groups its sites are: calibrate again, or predict with "
            "another choice than group"
        )
    rows: dict[str, list[int]] = {}
    for name, group in fitted.groups.items():
        rows.setdefault(group, []).append(fitted.unit_of[name])
    wanted = [
        group
        for name, group in zip(sites.names, sites.groups, strict=True)
        if name not in known.unit_of and group in rows
    ]
    extended, unit_of_group = _with_groups(fitted, {group: rows[group] for group in wanted})
    unit_of, names = dict(known.unit_of), list(known.names)
    for row, (name, group) in enumerate(zip(sites.names, sites.groups, strict=True)):
        if name not in known.unit_of and group in unit_of_group:
            unit_of[name] = unit_of_group[group]
            names[row] = f"group {group} ({counted(len(rows[group]), 'site')})"
    return replace(known, fitted=extended, unit_of=unit_of, names=tuple(names))


def _with_groups(
    fitted: Calibrated, rows: Mapping[str, list[int]]
) -> tuple[Calibrated, dict[str, int]]:
    """Adds a unit for each group, which owns the mean of what the units at `rows` own."""
    way = STRATEGIES[fitted.strategy]
    if way.per == "group":
        return fitted, {group: units[0] for group, units in rows.items()}
    linear = all(isinstance(rule, Dense | Frozen) for _, rule in way.adaptation.rules)
    if way.scratch or not linear:
        raise ValueError(
            f"what sites own by {fitted.strategy} has no meaningful mean: predict with another "
            "choice than group, or with another strategy"
        )
    mean = lambda leaf: [np.asarray(leaf)[units].mean(axis=0) for units in rows.values()]
    extend: Any = lambda leaf: np.concatenate([np.asarray(leaf), np.stack(mean(leaf))])
    count = len(fitted.units)
    extended = replace(
        fitted,
        units=(*fitted.units, *((f"group {group}",) for group in rows)),
        phi=jax.tree.map(extend, fitted.phi) if rows else fitted.phi,
        moved=np.append(fitted.moved, [fitted.moved[units].any() for units in rows.values()]),
    )
    return extended, {group: count + row for row, group in enumerate(rows)}
