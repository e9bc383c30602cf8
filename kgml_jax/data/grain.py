"""Grain as it is sold in the United States: what a bushel of a crop holds of carbon.

A bushel is a mass by law, 56 pounds of corn and 60 of soybean or wheat. Grain carbon, g C m-2 =
bushels per acre x g m-2 per bushel per acre x dry share x carbon share: 2.387 for corn, 3.101 for
soybean, 2.618 for winter wheat.
"""

from typing import NamedTuple

import numpy as np

POUND = 453.59237
"""g."""

ACRE = 4046.8564224
"""m2."""

SOURCE_UNITS = "BU / ACRE"
MOST_BUSHELS = 400.0
"""Per acre. No county has reached it; more means another unit."""


class Grain(NamedTuple):
    """What a bushel of a crop holds; `process.crops` has the same moisture and carbon."""

    row: int
    """Row of the crop table."""
    bushel: float
    """Pounds."""
    moisture: float
    """Water per mass of grain as it is sold."""
    carbon: float
    """Carbon per dry matter."""


GRAINS: dict[str, Grain] = {
    "corn": Grain(0, 56.0, 0.155, 0.45),
    "soybean": Grain(1, 60.0, 0.13, 0.53),
    "winter wheat": Grain(2, 60.0, 0.135, 0.45),
}


def grain_carbon(crop: str, bushels_per_acre: np.ndarray) -> np.ndarray:
    """Returns the carbon of grain, g C m-2, of a yield in bushels per acre at market moisture."""
    grain = GRAINS[crop]
    mass = grain.bushel * POUND / ACRE
    return np.asarray(bushels_per_acre) * mass * (1.0 - grain.moisture) * grain.carbon
