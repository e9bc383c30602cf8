"""What the process model predicts: names of variables, and the fields of its fluxes they are."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from kgml_jax.process.state import Fluxes
from kgml_jax.records import Field

NAMES = {
    "GPP": "gross_primary_productivity",
    "Ra": "autotrophic_respiration",
    "Rh": "heterotrophic_respiration",
    "Reco": "ecosystem_respiration",
    "NEE": "net_ecosystem_exchange",
    "ET": "evapotranspiration",
}
"""Fields of the process model's fluxes by the names of the variables they predict."""

YIELD = "yield"

EXTINCTION = 0.5
"""Of light from above by green leaves whose angles are spherical (Campbell and Norman 1998)."""


def soil_respiration(day: Fluxes) -> Field:
    """Returns heterotrophic respiration and the roots' part of autotrophic, g C m-2 d-1.

    The roots have their share of the carbon of the plants.
    """
    roots = 1.0 - day.above_ground_carbon / (day.plant_carbon + 1e-9)
    return day.heterotrophic_respiration + roots * day.autotrophic_respiration


def green_cover(day: Fluxes) -> Field:
    """Returns the share of the ground under green leaves, by Beer's law of light from above."""
    return 1.0 - jnp.exp(-EXTINCTION * day.leaf_area_index)


FURTHER_NAMES: dict[str, str | Callable[[Fluxes], Field]] = {
    YIELD: "grain_carbon_harvested",
    "soil_carbon_stock": "soil_organic_carbon",
    "soil_water_content": "soil_water_content",
    "nitrate": "nitrate",
    "ammonium": "ammonium",
    "N2O": "nitrous_oxide",
    "harvested_carbon": "harvested_carbon",
    "leaf_area_index": "leaf_area_index",
    "green_cover": green_cover,
    "soil_respiration": soil_respiration,
}
"""What is predicted where asked for, names of `sites.FURTHER`: a field of the fluxes, or what is
computed of them; yield is summed."""


def observed(names: Sequence[str], day: Fluxes) -> dict[str, Field]:
    """Returns of the fluxes of a day the variables of `NAMES`, and the further `names`."""
    found = {name: getattr(day, field) for name, field in NAMES.items()}
    for name in names:
        how = FURTHER_NAMES[name]
        found[name] = getattr(day, how) if isinstance(how, str) else how(day)
    return found


def require_observables(names: Sequence[str]) -> None:
    """Refuses what the process model cannot predict.

    Raises:
      ValueError: a name is none of `FURTHER_NAMES`.
    """
    if unknown := sorted(set(names) - set(FURTHER_NAMES)):
        known = ", ".join(FURTHER_NAMES)
        raise ValueError(f"no observable {', '.join(unknown)}; there are {known}")


def over_the_year(daily: Field, day_of_year: Field) -> Field:
    """Returns for each day the sum over its calendar year, as far as the record holds it, (time,).

    A year begins where the day of the year falls: a window may show the same year twice.
    """
    index = jnp.cumsum(jnp.diff(day_of_year, prepend=day_of_year[:1]) < 0)
    years = -(-daily.shape[0] // 365) + 1
    return jax.ops.segment_sum(daily, index, num_segments=years)[index]
