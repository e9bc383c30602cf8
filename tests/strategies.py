"""Random and deterministic inputs of the process model, drawn from its declared metadata."""

import jax.numpy as jnp
import numpy as np

from kgml_jax.process import crops
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Params
from kgml_jax.records import quantities


def random_params(seed: int) -> Params:
    """Parameters drawn evenly within their bounds (of their logarithm if so declared)."""
    generator = np.random.default_rng(seed)
    values = {}
    for name, quantity in quantities(Params).items():
        low, high = quantity.bounds or (0.0, 1.0)
        share = generator.uniform(0.001, 0.999)
        if quantity.transform == "log":
            values[name] = low * (high / low) ** share
        else:
            values[name] = low + (high - low) * share
    return Params(**{name: jnp.asarray(value) for name, value in values.items()})


def random_attributes(seed: int) -> Attributes:
    """Attributes of soils and places where crops are grown."""
    generator = np.random.default_rng(seed)
    clay = generator.uniform(0.03, 0.6)
    field_capacity = generator.uniform(0.1, 0.45)
    values = {
        "latitude": generator.uniform(-55.0, 62.0),
        "elevation": generator.uniform(-50.0, 2500.0),
        "mean_annual_temperature": generator.uniform(-2.0, 25.0),
        "sand": generator.uniform(0.02, 0.97 - clay),
        "clay": clay,
        "bulk_density": generator.uniform(0.8, 1.8),
        "soil_organic_carbon": np.exp(generator.uniform(np.log(1.0), np.log(150.0))),
        "ph": generator.uniform(4.5, 8.5),
        "cation_exchange_capacity": generator.uniform(2.0, 50.0),
        "field_capacity": field_capacity,
        "wilting_point": field_capacity * generator.uniform(0.2, 0.8),
        "saturated_conductivity": np.exp(generator.uniform(np.log(0.1), np.log(300.0))),
    }
    return Attributes(**{name: jnp.asarray(value) for name, value in values.items()})


def _forcing(weather: dict[str, np.ndarray]) -> Forcing:
    whole = {"crop"}
    return Forcing(
        **{
            name: jnp.asarray(values.astype(int)) if name in whole else jnp.asarray(1.0 * values)
            for name, values in weather.items()
        }
    )


def _management(day: np.ndarray, crop: np.ndarray, planting: float, harvest: float) -> dict:
    return {
        "crop": crop,
        "occupied": ((day >= planting) & (day <= harvest)) * 1.0,
        "planting": (day == planting) * 1.0,
        "harvest": (day == harvest) * 1.0,
        "cut": np.zeros(len(day)),
        "grazing": np.zeros(len(day)),
        "tillage": (day == harvest + 14) * 1.0,
        "residue_removal": np.zeros(len(day)),
        "fertiliser_ammonium": (day == planting) * (crop != 1) * 15.0,
        "fertiliser_nitrate": (day == planting) * (crop != 1) * 2.5,
        "manure_carbon": np.zeros(len(day)),
        "manure_nitrogen": np.zeros(len(day)),
        "prescribed_gpp": np.zeros(len(day)),
        "day_of_year": day,
    }


def random_forcing(seed: int, days: int) -> Forcing:
    """Adversarial weather: -40 to 45 degC, storms of 300 mm, droughts, calm, gales, dry air.

    Crops alternate with years of an unknown one; one harvest in four is forgotten, some years two
    years go without rain, some without nitrogen, some have several events on one day.
    """
    generator = np.random.default_rng(seed)
    number = np.arange(days)
    day, year = number % 365 + 1, number // 365
    slow = np.repeat(generator.normal(0.0, 6.0, days // 10 + 1), 10)[:days]
    mean = 8.0 - 20.0 * np.cos(2 * np.pi * (day - 20) / 365) + slow
    mean = np.clip(mean + generator.normal(0.0, 5.0, days), -38.0, 40.0)
    mean = np.where(generator.random(days) < 0.01, generator.choice([-40.0, 45.0], days), mean)
    half = generator.uniform(0.0, 10.0, days)
    rain = np.where(generator.random(days) < 0.3, generator.gamma(0.6, 12.0, days), 0.0)
    rain = np.where(generator.random(days) < 0.01, 300.0, rain)
    rain = np.where(np.repeat(generator.random(days // 90 + 1), 90)[:days] < 0.25, 0.0, rain)
    if generator.random() < 0.3:
        rain = np.where(year % 4 < 2, 0.0, rain)
    weather = {
        "shortwave_radiation": generator.uniform(0.0, 32.0, days),
        "air_temperature_mean": mean,
        "air_temperature_max": mean + half,
        "air_temperature_min": mean - half,
        "vapour_pressure_deficit": generator.gamma(1.0, 1.0, days),
        "precipitation": np.minimum(rain, 300.0),
        "wind_speed": generator.gamma(1.5, 2.0, days),
        # Measured on two days of three; more than a sky radiates, and less.
        "longwave_radiation": np.where(day % 3 == 0, 0.0, 25.0 + 15.0 * np.sin(day)),
        "co2": generator.uniform(280.0, 1000.0, days),
        "irrigation": np.where(generator.random(days) < 0.02, 50.0, 0.0),
    }
    years = year.max() + 1
    rows = generator.integers(-1, len(crops.TABLE), years)
    management = _management(day, rows[year], 120, 285)
    chance = lambda share: generator.random(years)[year] < share
    management["harvest"] = management["harvest"] * ~chance(0.25)
    management["residue_removal"] = generator.uniform(0.0, 1.0, years)[year]
    for name in ("fertiliser_ammonium", "fertiliser_nitrate"):
        management[name] = management[name] * np.where(chance(0.3), 0.0, 2.0)
    mown = np.isin(day, (150, 199, 200, 240)) & chance(0.6)
    management["cut"] = np.where(mown, generator.choice([0.4, 0.9, 1.0], days), 0.0)
    grazed = chance(0.3) & (day > 130) & (day < 290)
    management["grazing"] = np.where(grazed, generator.uniform(0.0, 0.2, days), 0.0)
    spread = np.isin(day, (100, 200)) & chance(0.4)
    management["manure_carbon"] = np.where(spread, generator.uniform(0.0, 400.0, days), 0.0)
    ratio = generator.choice([0.0, 0.03, 0.1], days)  # some without nitrogen
    management["manure_nitrogen"] = ratio * management["manure_carbon"]
    # Some stands outlast the winter, and some are harvested after it.
    stays = chance(0.3)
    management["occupied"] = np.where(stays, 1.0, management["occupied"])
    # Everything on one day: planted again, harvested, tilled and fertilised; and half a planting.
    double = (day == 200) & chance(0.3)
    for name in ("planting", "harvest", "tillage"):
        management[name] = np.where(double, 1.0, management[name])
    management["planting"] = np.where((day == 121) & chance(0.3), 0.5, management["planting"])
    return _forcing(weather | management)


def corn_soy_forcing(years: int, first: int = 0) -> Forcing:
    """A smooth Midwest climate with corn (`first`=0) and soybean in turn; rain every fourth day."""
    number = np.arange(365 * years)
    day, year = number % 365 + 1, number // 365
    season = -np.cos(2 * np.pi * (day - 20) / 365)
    mean = 11.0 + 13.5 * season
    depth = 2.7 + 1.0 * season
    weather = {
        "shortwave_radiation": 14.5 + 8.0 * -np.cos(2 * np.pi * (day + 10) / 365),
        "air_temperature_mean": mean,
        "air_temperature_max": mean + 5.5,
        "air_temperature_min": mean - 5.5,
        "vapour_pressure_deficit": 0.55 + 0.40 * season,
        "precipitation": np.where(number % 4 == 0, 4.0 * depth, 0.0),
        "wind_speed": 3.0 - 0.5 * season,
        "longwave_radiation": np.zeros(len(day)),
        "co2": np.full(len(day), 390.0),
        "irrigation": np.zeros(len(day)),
    }
    return _forcing(weather | _management(day, (year + first) % 2, 125, 285))
