"""Green cover from an index of greenness, whose scale is the instrument's."""

import numpy as np

from kgml_jax.data.draft import Draft
from kgml_jax.data.schema import VEGETATION_INDEX

BARE, FULL = 5.0, 98.0
"""Percentiles of the index of a site that are taken as no leaves and as full cover."""

FULL_COVER = 0.95
"""Green cover at the upper percentile: a leaf area index of 6."""

LEAST_VALUES = 60
"""Values from which percentiles say something."""

UNCERTAINTY = 0.1
"""Standard deviation of a day's green cover: what soil, haze and angles make of an index."""


def complete(draft: Draft) -> None:
    """Turns the vegetation index of a site into the target `green_cover`, changed in place.

    Between bare ground and full cover the share of green leaves is the index on a line (Gutman and
    Ignatov 1998, eq. 3), which takes out what sets sensors and cameras apart.
    """
    index = draft.values.pop(VEGETATION_INDEX, None)
    if index is None:
        return
    known = np.isfinite(index)
    if "green_cover" in draft.values:
        draft.note(VEGETATION_INDEX, "left out", known.sum(), "green_cover is given")
        return
    if known.sum() < LEAST_VALUES:
        message = f"fewer than {LEAST_VALUES} values do not show its scale"
        draft.note(VEGETATION_INDEX, "left out", known.sum(), message)
        return
    bare, full = np.percentile(index[known], (BARE, FULL))
    if not full > bare:
        message = "it does not vary: no scale of green cover"
        draft.note(VEGETATION_INDEX, "left out", known.sum(), message)
        return
    cover = FULL_COVER * (index - bare) / (full - bare)
    draft.values["green_cover"] = np.clip(cover, 0.0, 1.0)
    draft.values["green_cover_uncertainty"] = np.where(known, UNCERTAINTY, np.nan)
    message = f"vegetation index, from bare ground at {bare:.3g} to full cover at {full:.3g} "
    message += f"(percentiles {BARE:g} and {FULL:g} of all its values)"
    draft.note("green_cover", "estimated", known.sum(), message)
