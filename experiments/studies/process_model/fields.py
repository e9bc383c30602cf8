"""Fields on which programs examine the process model: Champaign-like weather, plain management."""

import numpy as np

from kgml_jax.data.schema import NEUTRAL_FORCING
from kgml_jax.data.synthetic import climate, weather
from kgml_jax.data.synthetic.streams import generator
from kgml_jax.process.drivers import Attributes, Forcing

DAYS = 365
"""Of a year: 29 February is left out."""

CORN, SOYBEAN, FALLOW = 0, 1, -1
"""Rows of the crop table of `Forcing.crop`."""

LATITUDE, ELEVATION = 40.05, 222.0
MAXIMUM = (0.65, 3.25, 9.43, 17.02, 23.13, 28.19, 29.60, 28.63, 25.65, 18.75, 10.08, 2.92)
MINIMUM = (-7.91, -5.72, -0.73, 5.22, 11.01, 16.16, 18.18, 17.10, 12.82, 6.58, 0.60, -5.21)
"""Means of Champaign, Illinois, 1950-2009, degC; its rain is that of `climate.STATION`."""

SOIL = {
    "sand": 0.05,
    "clay": 0.30,
    "bulk_density": 1.35,
    "soil_organic_carbon": 22.0,
    "ph": 6.2,
    "cation_exchange_capacity": 24.0,
    "field_capacity": 0.32,
    "wilting_point": 0.17,
    "saturated_conductivity": 15.0,
}
"""A silty clay loam of the prairie; texture and carbon as in DayCent's runs of Champaign."""

PLANTING, HARVEST = (125, 138), (285, 277)
"""Day of the year on which corn and soybean are planted and harvested."""

AUTUMN_TILLAGE, SPRING_TILLAGE = 0.9, 0.3
"""Share of the plough layer mixed 10 days after harvest and 3 days before planting."""

FERTILISER, AMMONIUM_SHARE = 17.5, 0.85
"""Nitrogen that corn is given at planting, g N m-2, and how much of it is ammonium."""

CO2 = 375.0
"""umol mol-1 in every year, so that years differ by their weather alone."""


def attributes() -> Attributes:
    """Returns the attributes of the field, NumPy leaves `()`."""
    place = {
        "latitude": LATITUDE,
        "elevation": ELEVATION,
        "mean_annual_temperature": float(np.mean([MAXIMUM, MINIMUM])),
    }
    return Attributes(**{name: np.asarray(value) for name, value in (place | SOIL).items()})


def forcing(crops: np.ndarray, seed: int = 0) -> Forcing:
    """Returns weather and management of a field, NumPy leaves (365 years,).

    Args:
      crops: row of the crop table in each year, shape (years,); an unknown one is fallow.
      seed: of the weather; it does not depend on the crops.
    """
    days = np.tile(np.arange(1, DAYS + 1), len(crops))
    values = _weather(len(crops), seed) | _management(np.asarray(crops), days)
    rest = {name: np.full(len(days), value) for name, value in NEUTRAL_FORCING.items()}
    return Forcing(**(rest | values), day_of_year=days.astype(float))


def rotation(years: int, first: int = CORN) -> np.ndarray:
    """Returns corn and soybean in turn, shape (years,)."""
    return (first + np.arange(years)) % 2


def _weather(years: int, seed: int) -> dict[str, np.ndarray]:
    first = 1990
    dates = np.arange(f"{first}-01-01", f"{first + years}-01-01", dtype="datetime64[D]")
    months = dates.astype("datetime64[M]")
    leap_day = (months.astype(int) % 12 == 1) & ((dates - months).astype(int) == 28)
    owner = "Champaign"
    anomalies = climate.anomalies(
        generator(seed, "IL", "anomalies"), generator(seed, owner, "anomalies"), years
    )
    drawn = weather.generate(generator(seed, owner, "weather"), _champaign(), dates, anomalies)
    kept = {name: values[~leap_day] for name, values in drawn.items()}
    return kept | {"co2": np.full(DAYS * years, CO2)}


def _champaign() -> climate.SiteClimate:
    days = {name: np.asarray(row) for name, row in vars(climate.STATION).items()}
    dry, wet = days["wet_after_dry"], days["wet_after_wet"]
    wet_days = climate.DAYS_IN_MONTH * dry / (1.0 + dry - wet)
    return climate.SiteClimate(
        latitude=LATITUDE,
        elevation=ELEVATION,
        maximum=np.asarray(MAXIMUM),
        minimum=np.asarray(MINIMUM),
        maximum_sd=days["maximum_sd"],
        minimum_sd=days["minimum_sd"],
        wet_shift=days["wet_shift"],
        after_dry=dry,
        after_wet=wet,
        wet_depth=days["precipitation"] / wet_days,
        depth_shape=days["depth_shape"],
        clearness_dry=days["clearness_dry"] + climate.CLEARNESS_OFFSET,
        clearness_wet=days["clearness_wet"] + climate.CLEARNESS_OFFSET,
    )


def _management(crops: np.ndarray, days: np.ndarray) -> dict[str, np.ndarray]:
    crop = np.repeat(crops, DAYS)
    grown = crop >= 0
    planting, harvest = np.asarray(PLANTING)[crop], np.asarray(HARVEST)[crop]
    on = lambda day: grown * (days == day) * 1.0
    applied = FERTILISER * on(planting) * (crop == CORN)
    return {
        "crop": crop,
        "occupied": grown * ((days >= planting) & (days <= harvest)) * 1.0,
        "planting": on(planting),
        "harvest": on(harvest),
        "tillage": AUTUMN_TILLAGE * on(harvest + 10) + SPRING_TILLAGE * on(planting - 3),
        "fertiliser_ammonium": AMMONIUM_SHARE * applied,
        "fertiliser_nitrate": (1.0 - AMMONIUM_SHARE) * applied,
    }
