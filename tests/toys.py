"""Small sites and a small model for tests of training and evaluation."""

import zlib
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.sites import TEST, TRAIN, VALIDATION, Calendar, Site, Sites
from kgml_jax.split import DividedSites


def forcing(rng: np.random.Generator, shape: tuple[int, int], day_of_year: np.ndarray) -> Forcing:
    season = np.cos(2 * np.pi * (day_of_year - 200) / 365.25)
    temperature = 10 + 12 * season + rng.normal(0, 3, shape)
    zeros = np.zeros(shape)
    values = {
        "shortwave_radiation": 14 + 8 * season + rng.normal(0, 2, shape),
        "air_temperature_mean": temperature,
        "air_temperature_max": temperature + 5,
        "air_temperature_min": temperature - 5,
        "vapour_pressure_deficit": 0.6 + 0.4 * season + rng.uniform(0, 0.2, shape),
        "precipitation": rng.exponential(3, shape) * (rng.uniform(size=shape) < 0.3),
        "wind_speed": rng.uniform(1, 4, shape),
        "longwave_radiation": zeros,
        "co2": np.full(shape, 390.0),
        "irrigation": zeros,
        "crop": np.zeros(shape, np.int32),
        "occupied": (season > 0.2) * 1.0,
        "planting": zeros,
        "harvest": zeros,
        "cut": zeros,
        "grazing": zeros,
        "tillage": zeros,
        "residue_removal": zeros,
        "fertiliser_ammonium": zeros,
        "fertiliser_nitrate": zeros,
        "manure_carbon": zeros,
        "manure_nitrogen": zeros,
        "prescribed_gpp": zeros,
        "day_of_year": day_of_year.astype(float),
    }
    as_stored = lambda v: v if v.dtype == np.int32 else v.astype(jnp.result_type(float))
    return Forcing(**{name: as_stored(value) for name, value in values.items()})


def sites(count: int = 4, years: int = 4, seed: int = 0, noise: float = 0.1) -> Sites:
    """Sites whose NEE and Reco depend on the weather through site-specific slopes."""
    rng = np.random.default_rng(seed)
    dates = np.arange("2001-01-01", f"{2001 + years}-01-01", dtype="datetime64[D]")
    year = dates.astype("datetime64[Y]").astype(int) + 1970
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(int) + 1
    shape = (count, len(dates))
    spread = lambda values: np.broadcast_to(np.asarray(values, np.int32), shape).copy()
    drivers = forcing(rng, shape, spread(day_of_year))
    real = drivers.shortwave_radiation.dtype
    slope = rng.uniform(0.1, 0.5, (count, 1))
    reco = np.exp(0.06 * np.asarray(drivers.air_temperature_mean)) + 0.5
    gpp = slope * np.asarray(drivers.shortwave_radiation) * np.asarray(drivers.occupied)
    targets = {"Reco": reco, "GPP": gpp, "NEE": reco - gpp}
    targets = {n: (v + noise * rng.normal(size=shape)).astype(real) for n, v in targets.items()}
    mask = {name: rng.uniform(size=shape) < 0.7 for name in targets}
    names = tuple(f"IL-{i:02d}" if i % 2 else f"IA-{i:02d}" for i in range(count))
    defaults = jax.tree.map(lambda leaf: np.full(count, leaf, real), Attributes())
    return Sites(
        names=names,
        group_names=("IA", "IL"),
        groups=tuple(name[:2] for name in names),
        site=Site(
            forcing=drivers,
            attributes=defaults,
            targets={n: np.where(mask[n], v, 0).astype(real) for n, v in targets.items()},
            mask=mask,
            uncertainty={n: np.full(shape, 0.3, real) for n in targets},
            calendar=Calendar(
                date=spread(dates.astype(int)),
                year=spread(year),
                day_of_year=spread(day_of_year),
                year_index=spread(year - 2001),
            ),
            valid=np.ones(shape, bool),
            identity=np.array([zlib.crc32(n.encode()) for n in names], np.uint32),
            group=np.array([n.startswith("IL") for n in names], np.int32),
        ),
    )


def roles(table: Sites) -> np.ndarray:
    """Last year test, the one before validation, the rest training."""
    index = np.asarray(table.site.calendar.year_index)
    last = index.max()
    return np.where(index == last, TEST, np.where(index == last - 1, VALIDATION, TRAIN))


def divided(table: Sites | None = None) -> DividedSites:
    """Toy sites divided as `roles` says."""
    table = sites() if table is None else table
    return DividedSites.of_roles(table, roles(table))


@dataclass(frozen=True)
class ToyModel:
    """Reco and GPP linear in temperature and radiation; a stand-in with the layout of real ones."""

    def init(self, key):
        draws = jax.random.normal(key, (2,), jnp.result_type(float)) * 0.1
        return {
            "to_flux": {"kernel": draws, "bias": jnp.ones(2)},
            "calibration": {"output_scale": jnp.ones(2), "output_shift": jnp.zeros(2)},
        }

    def predict(self, weights, site, key=None):
        drivers = jnp.stack(
            [site.forcing.air_temperature_mean / 10, site.forcing.shortwave_radiation / 10], -1
        )
        raw = drivers * weights["to_flux"]["kernel"] + weights["to_flux"]["bias"]
        raw = raw * weights["calibration"]["output_scale"] + weights["calibration"]["output_shift"]
        reco, gpp = raw[..., 0], raw[..., 1] * site.forcing.occupied
        return {"Ra": 0.5 * reco, "Rh": 0.5 * reco, "Reco": reco, "GPP": gpp, "NEE": reco - gpp}


@dataclass(frozen=True)
class BrittleModel(ToyModel):
    """Is not finite beyond a bound of its weights, which a descent at a high rate leaps over."""

    most: float = 1.3

    def predict(self, weights, site, key=None):
        fluxes = super().predict(weights, site, key)
        beyond = jnp.max(jnp.abs(weights["to_flux"]["kernel"])) > self.most
        return {name: jnp.where(beyond, jnp.nan, value) for name, value in fluxes.items()}


def spoilt(windows, identity, value, where="targets"):
    """Gives one training day of a site, observed there, a value that no site has; and its date."""
    training = windows.training
    mine = np.flatnonzero(training.identity == identity)[1]
    day = np.flatnonzero(training.mask["NEE"][mine])[5]

    def changed(values):
        values = np.array(values)
        values[mine, day] = value
        return values

    if where == "targets":
        targets = {**training.targets, "NEE": changed(training.targets["NEE"])}
        bad = training.replace(targets=targets)
    else:
        drivers = training.forcing
        warm = changed(drivers.air_temperature_mean)
        bad = training.replace(forcing=drivers.replace(air_temperature_mean=warm))
    date = np.datetime64(int(training.calendar.date[mine, day]), "D")
    return windows.replace(training=bad), date


OBJECTIVE = Total(
    terms=(Term("error", MaskedError(scales=(("NEE", 2.0), ("Reco", 1.0), ("GPP", 2.0)))),)
)
