"""Whether the radiation of a site has its summer where the latitude says."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kgml_jax.data import estimates, seasons
from kgml_jax.data.draft import Draft
from kgml_jax.data.schema import ATTRIBUTES, POTENTIAL_RADIATION

CLEAR_SEASON = 0.15
"""Amplitude of the annual course of radiation, as a share of the mean, from which it tells the
hemisphere; at the top of the atmosphere it is reached at about 18 degrees of latitude."""

OPPOSITE = -0.5
"""Alignment below which two courses have their summers in different halves of the year."""

FAR = 2.0
"""Degrees by which the latitude may miss that of the radiation at the top of the atmosphere."""

_POLAR = 65.0


def refuse_wrong(draft: Draft, attrs: Mapping[str, Any]) -> None:
    """Refuses a default latitude of the other hemisphere; warns of a given one that cannot be.

    Args:
      draft: of one site, with the attribute `latitude`, forcing filled.
      attrs: of its data set; `latitude` is NaN where it was not given.

    Raises:
      DataError: the latitude is not given, and the radiation has its summer in the other half of
        the year than the default.
    """
    fallback = float(ATTRIBUTES["latitude"].default or 0.0)
    latitude = float(draft.values.get("latitude", np.asarray(fallback)))
    given = "latitude" in draft.values and np.isfinite(attrs.get("latitude", latitude))
    potential = draft.values.get(POTENTIAL_RADIATION)
    guess = None if potential is None else latitude_of(potential, draft)
    for name in (POTENTIAL_RADIATION, "shortwave_radiation"):
        if name in draft.values:
            _tell_opposite(draft, name, latitude, given, guess)
    if given and guess is not None and abs(guess - latitude) > FAR and abs(latitude) < _POLAR:
        message = f"{latitude:.4g} is given, SW_IN_POT of the file is that of {guess:.0f}"
        draft.note("latitude", "warning", 1, message)


def latitude_of(potential: np.ndarray, draft: Draft) -> float | None:
    """Returns the latitude at which the sun brings this radiation; None if the year is not whole.

    Args:
      potential: radiation at the top of the atmosphere, MJ m-2 d-1, shape `(time,)`.
      draft: of the site, for its days.
    """
    known = np.isfinite(potential)
    if seasons.mean_of_months(potential, draft.time) is None:
        return None
    day = draft.time.day_of_year.to_numpy()
    climate = np.bincount(day[known], potential[known], 367) / np.maximum(
        np.bincount(day[known], minlength=367), 1
    )
    days = np.unique(day[known])
    degrees = np.arange(-80.0, 80.5, 0.5)
    misfit = [
        float(np.mean((estimates.extraterrestrial_radiation(one, days) - climate[days]) ** 2))
        for one in degrees
    ]
    return float(degrees[int(np.argmin(misfit))])


def _tell_opposite(
    draft: Draft, name: str, latitude: float, given: bool, guess: float | None
) -> None:
    values, day = draft.values[name], draft.time.day_of_year.to_numpy()
    sun = estimates.extraterrestrial_radiation(latitude, day)
    course, expected = seasons.harmonic(values, draft.time), seasons.harmonic(sun, draft.time)
    if course is None or expected is None:
        return
    weak = abs(course) < CLEAR_SEASON * np.nanmean(values)
    if weak or abs(expected) < CLEAR_SEASON * sun.mean():
        return
    if seasons.alignment(course, expected) > OPPOSITE:
        return
    column = "SW_IN_POT" if name == POTENTIAL_RADIATION else name
    lies = "" if guess is None else f", as at {guess:.0f}"
    found = f"{latitude:.4g}, but {column} is largest in {seasons.peak(course)}{lies}"
    if given:
        # What somebody said is used as it is: the radiation may be what is wrong.
        draft.note("latitude", "warning", 1, f"of the other hemisphere than the radiation: {found}")
        return
    line = f"    site,lat\n    {draft.site},{'LATITUDE' if guess is None else f'{guess:.0f}'}"
    raise draft.error(
        "is not given, and the default is of the other hemisphere than the radiation",
        "latitude",
        found=found,
        expected=f"a latitude {'south' if latitude > 0 else 'north'} of the equator",
        recipe=f"{line}   # exact value, in sites.csv beside the data or by --metadata",
    )
