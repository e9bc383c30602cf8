"""Towers of which the fluxes follow the radiation, for tests of `experiments/studies/towers`."""

import dataclasses

import numpy as np
import pandas as pd
import toys
import xarray as xr
from studies.measured_fields.management import FieldHistory
from studies.measured_fields.readers import MeasuredField
from studies.towers import ablation
from studies.towers.data import Towers
from studies.towers.folder import CROP, GRASS

from kgml_jax.data.splits import last_years
from kgml_jax.sites import Place

COUNT = 4


def towers(years=4, noise=0.3):
    """Three crops, two of them a kilometre apart, and a grassland; fluxes follow the radiation."""
    table = toys.sites(count=COUNT, years=years)
    groups, names = (CROP, CROP, CROP, GRASS), (CROP, GRASS)
    rng = np.random.default_rng(0)
    light = np.asarray(table.site.forcing.shortwave_radiation)
    gpp = 0.4 * light + noise * rng.normal(size=light.shape)
    fluxes = {"GPP": gpp, "Reco": 0.2 * light, "NEE": 0.2 * light - gpp, "ET": 0.1 * light}
    targets = {name: values.astype(np.float32) for name, values in fluxes.items()}
    mask = {name: np.asarray(table.site.valid) for name in targets}
    site = table.site.replace(
        targets=targets,
        mask=mask,
        uncertainty={name: np.full_like(light, 0.5) for name in targets},
        group=np.array([names.index(group) for group in groups], np.int32),
    )
    places = tuple(Place(at, -90.0) for at in (41.0, 41.01, 45.0, 48.0))
    sites = dataclasses.replace(table, groups=groups, group_names=names, site=site, places=places)
    fields = tuple(
        field(name, np.asarray(site.valid)[row].sum()) for row, name in enumerate(sites.names)
    )
    return Towers(fields, last_years(sites).divide(sites))


def field(name, days):
    stamps = pd.date_range("2001-01-01", periods=days)
    values = {f"GPP{ablation.DAYTIME}": ("time", np.linspace(0.0, 9.0, days))}
    values["NEE_uncertainty"] = ("time", np.full(days, 0.5))
    return MeasuredField(
        FieldHistory(name, {}, (), "invented"), xr.Dataset(values, {"time": stamps}), ()
    )


def altered(data, row):
    site = data.sites.site
    targets = {name: values.copy() for name, values in site.targets.items()}
    for values in targets.values():
        values[row] = values[row] + 5.0
    sites = dataclasses.replace(data.sites, site=site.replace(targets=targets))
    return dataclasses.replace(data, sites=sites)
