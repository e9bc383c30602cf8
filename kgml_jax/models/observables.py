"""What the process model predicts: names of variables, and the fields of its fluxes they are."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

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

FURTHER_NAMES = {
    YIELD: "grain_carbon_harvested",
    "soil_carbon_stock": "soil_organic_carbon",
    "soil_water_content": "soil_water_content",
    "nitrate": "nitrate",
    "ammonium": "ammonium",
    "N2O": "nitrous_oxide",
}
"""The same for what is predicted where asked for, names of `sites.FURTHER`; yield is summed."""


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
