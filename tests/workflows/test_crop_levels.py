"""Estimation on the level of crops: twins of known means and spread."""

from dataclasses import dataclass, replace

import inversion_toys
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from kgml_jax.cli import estimate_report
from kgml_jax.inversion.problem import default_prior_sd
from kgml_jax.models.control import by_crop
from kgml_jax.process.crops import NAMES
from kgml_jax.sites import TEST
from kgml_jax.split import DividedSites
from kgml_jax.workflows import crop_levels, estimation
from kgml_jax.workflows.estimation import EstimateSettings
from kgml_jax.workflows.level_tables import level_table

CROPS = ("corn", "soybean")
TRAIT = "vcmax_multiplier"
PARAMETERS = (TRAIT, "albedo")
LEVEL, SPREAD = np.array([0.7, -0.5, 0.3]), 0.15
SITES = 12
SETTINGS = EstimateSettings(
    parameters=PARAMETERS,
    streams=("NEE", "Reco"),
    errors="independent",
    consider=False,
    gate="validation",
    base="crops",
)


@dataclass(frozen=True)
class CropModel(inversion_toys.RespiringModel):
    """NEE follows the radiation by a trait of the crop of the day, Reco the air by the site's."""

    def predict(self, weights, site, key=None):
        controller = by_crop(weights, site.forcing.crop)
        own = controller.inputs or {TRAIT: controller.params.vcmax_multiplier}
        reco = controller.params.albedo * site.forcing.air_temperature_mean
        gpp = own[TRAIT] * site.forcing.shortwave_radiation / 10
        return {"Reco": reco, "GPP": gpp, "NEE": reco - gpp, "Ra": reco / 2, "Rh": reco / 2}


@pytest.fixture(scope="module")
def twin():
    """Sites that grow corn and soybean in turn, the last corn alone, and their true offsets."""
    rng = np.random.default_rng(3)
    truth = LEVEL + SPREAD * rng.normal(size=(SITES, 3))
    table = toys.sites(count=SITES, years=4)
    year = np.asarray(table.site.calendar.year)
    crop = np.where(year % 2 == 1, NAMES.index("corn"), NAMES.index("soybean")).astype(np.int32)
    crop[-1] = NAMES.index("corn")
    site = table.site.replace(forcing=table.site.forcing.replace(crop=crop))
    model = CropModel()
    task = estimation.make_problem(SETTINGS, model, replace(table, site=site))
    weights = crop_levels.with_crops(model.init(jax.random.key(0)), task)
    assert task.names == (*(f"{TRAIT}:{crop}" for crop in CROPS), "albedo")
    fluxes = jax.jit(jax.vmap(task.predict, in_axes=(None, 0, 0)))(
        weights, jnp.asarray(truth, jnp.float32), site
    )
    noise = lambda values: np.asarray(values) + 0.3 * rng.normal(size=values.shape)
    mask = {name: table.site.mask[name] for name in ("NEE", "Reco")}
    targets = {n: np.where(m, noise(fluxes[n]), 0).astype(np.float32) for n, m in mask.items()}
    site = site.replace(mask=mask, targets=targets)
    return replace(table, site=site), truth


@pytest.fixture(scope="module")
def found(twin):
    # The first site is left out whole: it has no day to learn from.
    sites, _ = twin
    roles = toys.roles(sites)
    roles[0] = TEST
    model = CropModel()
    data = DividedSites.of_roles(sites, roles)
    return estimation.estimate_from(model, model.init(jax.random.key(0)), data, 0, SETTINGS)


def test_the_levels_of_crops_and_the_spread_of_sites_come_back(found):
    levels = found.levels
    sd = np.sqrt(np.diagonal(levels.covariance))
    assert (np.abs(levels.mean - LEVEL) < 3 * sd).all()
    # The mean of eleven sites that spread by 0.15.
    assert (sd < 0.1).all()
    assert levels.informed.tolist() == [SITES - 1, SITES - 2, SITES - 1]
    # Standard deviations of 11 and 21 departures are known to 21 and 15 %; twice that.
    np.testing.assert_allclose(levels.spread[[0, 2]], SPREAD, rtol=0.5)
    assert levels.spread[0] == levels.spread[1]


def test_a_site_left_out_gets_the_crops_level_with_its_uncertainty(found, twin):
    _, truth = twin
    levels = found.levels
    given = found.found.base[0] + found.found.offsets[0]
    np.testing.assert_allclose(given, levels.mean, atol=1e-5)
    assert (np.abs(given - truth[0]) < np.abs(truth[0])).all()
    # As uncertain as the level and a site about it; declared was 0.5.
    sd = found.known.posterior.sd[0]
    np.testing.assert_allclose(sd, levels.new_sd, rtol=0.1)
    assert (sd < 0.5 * np.array(default_prior_sd(PARAMETERS))[0]).all()


def test_every_other_site_finds_its_own(found, twin):
    _, truth = twin
    error = found.found.base + found.found.offsets - truth
    # 700 days of noise 0.3 on a signal of about 1 per unit of offset.
    assert np.abs(error[1:-1]).max() < 0.12
    # What it never grew it has from the others.
    assert abs(found.found.base[-1, 1] - LEVEL[1]) < 0.2
    np.testing.assert_allclose(found.found.offsets[-1, 1], 0.0, atol=1e-4)


def test_flags_are_those_of_the_data_of_each_site(found):
    flags = found.known.identification
    assert not flags.identified[0].any()
    assert not flags.identified[-1, 1]
    assert flags.identified[1:-1, 0].any()
    table = found.parameters
    assert table["identified"].shape == (SITES, 3)
    assert found.found.accepted.dtype == bool


def test_levels_are_told_in_the_units_of_each_parameter(found):
    table = level_table(found.levels, found.found.problem)
    grid = estimate_report.level_grid(table)
    assert [row[0] for row in grid.rows] == list(found.found.problem.names)
    assert table["crop"].values.tolist() == ["corn", "soybean", ""]
    corn = table.sel(parameter=f"{TRAIT}:corn")
    # A multiplier with the prior 1; the level lies above it, and inside of what a new site has.
    assert 1 < corn["lower"] < corn["value"] < corn["upper"] < 1.8
    assert table["sites"].values.tolist() == [SITES - 1, SITES - 2, SITES - 1]
