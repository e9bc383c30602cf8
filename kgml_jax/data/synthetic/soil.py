"""Soils of the Corn Belt: texture and carbon are drawn, the rest follows from them.

Means and spreads are those of the soils of about 100 counties of Illinois, Iowa and Indiana on
which KGML-ag was pretrained (Liu et al. 2024).
"""

import numpy as np

from kgml_jax.data.synthetic.streams import within

ORGANIC_MATTER_PER_CARBON = 0.172
"""Percent of organic matter per g of carbon a kg of soil."""

MOST_ORGANIC_MATTER = 8.0
"""Percent; above it the regressions of Saxton and Rawls do not hold."""

# Columns: 1, S, C, OM, S*OM, C*OM, S*C; S and C as fractions, OM in percent.
WILTING = (0.031, -0.024, 0.487, 0.006, 0.005, -0.013, 0.068)
CAPACITY = (0.299, -0.251, 0.195, 0.011, 0.006, -0.027, 0.452)
DRAINABLE = (0.078, 0.278, 0.034, 0.022, -0.018, -0.027, -0.584)


def sample(random: np.random.Generator) -> dict[str, float]:
    """Draws the soil of a site.

    Returns:
      The soil fields of `Attributes`, in canonical units.
    """
    clay = within(random, 0.08, 0.42, mean=0.243, sd=0.07)
    sand = _sand(random, clay)
    carbon = np.exp(within(random, np.log(2.0), np.log(45.0), mean=np.log(15.0), sd=0.45))
    organic_matter = min(ORGANIC_MATTER_PER_CARBON * carbon, MOST_ORGANIC_MATTER)
    wilting, capacity, conductivity = saxton_rawls(sand, clay, organic_matter)
    # The regressions hold more water at field capacity, and pass it on more slowly, than these
    # soils are reported to.
    capacity = capacity * np.exp(random.normal(np.log(0.87), 0.06))
    wilting = min(wilting * np.exp(random.normal(0.0, 0.08)), 0.75 * capacity)
    conductivity = conductivity * np.exp(random.normal(np.log(1.4), 1.0))
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


def saxton_rawls(sand: float, clay: float, organic_matter: float) -> tuple[float, float, float]:
    """Water at -1500 and -33 kPa (m3 m-3) and saturated conductivity (mm h-1).

    Saxton and Rawls (2006), eqs. 1-5 and 16.

    Args:
      sand: fraction of the mineral soil.
      clay: fraction of the mineral soil.
      organic_matter: percent by weight, up to about 8.
    """
    s, c, om = sand, clay, organic_matter
    terms = np.array([1.0, s, c, om, s * om, c * om, s * c])
    first, second, third = np.array([WILTING, CAPACITY, DRAINABLE]) @ terms
    wilting = 1.14 * first - 0.02
    capacity = second + 1.283 * second**2 - 0.374 * second - 0.015
    drainable = 1.636 * third - 0.107 - 0.097 * s + 0.043
    slope = np.log(1500.0 / 33.0) / np.log(capacity / wilting)
    conductivity = 1930.0 * drainable ** (3.0 - 1.0 / slope)
    return float(wilting), float(capacity), float(conductivity)


def _sand(random: np.random.Generator, clay: float) -> float:
    while not 0.02 <= (sand := random.gamma(1.0, 0.166)) <= min(0.75, 0.97 - clay):
        pass
    return float(sand)
