"""Soils of the Corn Belt: texture and carbon are drawn, the rest follows from them.

Means and spreads are those of the soils of about 100 counties of Illinois, Iowa and Indiana on
which KGML-ag was pretrained (Liu et al. 2024).
"""

import numpy as np

from kgml_jax.data.synthetic.streams import within
from kgml_jax.process import pedotransfer


def sample(random: np.random.Generator) -> dict[str, float]:
    """Draws the soil of a site.

    Returns:
      The soil fields of `Attributes`, in canonical units.
    """
    clay = within(random, 0.08, 0.42, mean=0.243, sd=0.07)
    sand = _sand(random, clay)
    carbon = np.exp(within(random, np.log(2.0), np.log(45.0), mean=np.log(15.0), sd=0.45))
    estimate = pedotransfer.from_carbon(sand, clay, carbon)
    # The regressions hold more water at field capacity, and pass it on more slowly, than these
    # soils are reported to.
    capacity = estimate.field_capacity * np.exp(random.normal(np.log(0.87), 0.06))
    wilting = estimate.wilting_point * np.exp(random.normal(0.0, 0.08))
    wilting = min(wilting, 0.75 * capacity)
    conductivity = estimate.conductivity * np.exp(random.normal(np.log(1.4), 1.0))
    exchange = 50.0 * clay + 0.2 * carbon + random.normal(4.7, 8.0)
    return {
        "sand": sand,
        "clay": clay,
        "bulk_density": within(random, 1.1, 1.7, mean=1.385, sd=0.10),
        "soil_organic_carbon": float(carbon),
        "ph": within(random, 4.8, 8.0, mean=6.24, sd=0.48),
        "cation_exchange_capacity": float(np.clip(exchange, 4.0, 50.0)),
        "field_capacity": float(capacity),
        "wilting_point": float(wilting),
        "saturated_conductivity": float(np.clip(conductivity, 0.5, 400.0)),
    }


def _sand(random: np.random.Generator, clay: float) -> float:
    while not 0.02 <= (sand := random.gamma(1.0, 0.166)) <= min(0.75, 0.97 - clay):
        pass
    return float(sand)
