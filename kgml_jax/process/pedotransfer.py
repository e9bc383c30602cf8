"""How soil holds and passes water, estimated from its texture and organic matter.

Saxton and Rawls (2006), Soil Sci. Soc. Am. J. 70, 1569: eqs. 1-5 and 16. The only place of their
coefficients; takes Python and NumPy numbers (at the door) as well as JAX arrays.
"""

import numpy as np

from kgml_jax import arrays
from kgml_jax.records import Field, record, var

# Factors of 1, S, C, OM, S*OM, C*OM, S*C, with sand and clay as fractions and OM in percent.
WILTING = (0.031, -0.024, 0.487, 0.006, 0.005, -0.013, 0.068)  # m3 m-3; eq. 1, at -1500 kPa
CAPACITY = (0.299, -0.251, 0.195, 0.011, 0.006, -0.027, 0.452)  # m3 m-3; eq. 2, at -33 kPa
DRAINABLE = (0.078, 0.278, 0.034, 0.022, -0.018, -0.027, -0.584)  # m3 m-3; eq. 3, from 0 to -33 kPa
ORGANIC_MATTER_PER_CARBON = 0.172  # % kg g-1; 1.72 g of organic matter hold 1 g of carbon
MOST_ORGANIC_MATTER = 8.0  # %; above it the regressions do not hold
MOST_CLAY = 0.6  # 1; as above
LEAST_WATER = 0.005  # m3 m-3; wilting point of pure sand, drainable water of heavy organic clay


@record
class Hydraulics:
    """Water contents that mark the soil's behaviour; the same in every layer."""

    saturation: Field = var(units="m3 m-3", doc="Water content at saturation")
    field_capacity: Field = var(units="m3 m-3", doc="Water content at -33 kPa")
    wilting_point: Field = var(units="m3 m-3", doc="Water content at -1500 kPa")
    conductivity: Field = var(units="mm h-1", doc="Saturated conductivity")


def saxton_rawls(sand: Field, clay: Field, organic_matter: Field) -> Hydraulics:
    """Returns the hydraulic properties of a soil, each of the shape of the arguments.

    Args:
      sand: fraction of the mineral soil.
      clay: fraction of the mineral soil; more than 0.6 counts as 0.6.
      organic_matter: percent by weight, up to about 8.
    """
    xp = arrays.library(sand, clay, organic_matter)
    s, c, om = sand, xp.minimum(clay, MOST_CLAY), organic_matter
    terms = (1.0, s, c, om, s * om, c * om, s * c)
    wilting, capacity, drainable = (
        sum(factor * term for factor, term in zip(factors, terms, strict=True))
        for factors in (WILTING, CAPACITY, DRAINABLE)
    )
    wilting = xp.maximum(1.14 * wilting - 0.02, LEAST_WATER)
    capacity = capacity + 1.283 * capacity**2 - 0.374 * capacity - 0.015
    drainable = xp.maximum(1.636 * drainable - 0.107 - 0.097 * s + 0.043, LEAST_WATER)
    slope = np.log(1500.0 / 33.0) / xp.log(capacity / wilting)
    return Hydraulics(
        saturation=capacity + drainable,
        field_capacity=capacity,
        wilting_point=wilting,
        conductivity=1930.0 * drainable ** (3.0 - 1.0 / slope),
    )


def from_carbon(sand: Field, clay: Field, soil_organic_carbon: Field) -> Hydraulics:
    """Returns `saxton_rawls` of a soil whose organic carbon (g kg-1) is known."""
    xp = arrays.library(sand, clay, soil_organic_carbon)
    organic_matter = ORGANIC_MATTER_PER_CARBON * soil_organic_carbon
    return saxton_rawls(sand, clay, xp.minimum(organic_matter, MOST_ORGANIC_MATTER))
