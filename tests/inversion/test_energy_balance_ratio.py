from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from inversion_toys import NAMES, RespiringModel, known_sites, problem
from toys import divided

from kgml_jax.bijections import unconstrain
from kgml_jax.cli.estimate import EstimateConfig, main
from kgml_jax.data.choices import DataChoice
from kgml_jax.models.measured import MeasuredModel, with_ratio
from kgml_jax.process.parameters import ENERGY_BALANCE_RATIO, parameter
from kgml_jax.workflows import estimation
from kgml_jax.workflows.estimation import EstimateSettings
from kgml_jax.workflows.estimation_tables import prediction_table

RATIOS = np.array([0.6, 0.95])
ALL = (*NAMES, ENERGY_BALANCE_RATIO)
STREAMS = ("NEE", "Reco", "ET")


@dataclass(frozen=True)
class TranspiringModel(RespiringModel):
    """ET follows the radiation, whatever the parameters."""

    def predict(self, weights, site, key=None):
        light = site.forcing.shortwave_radiation
        return {**super().predict(weights, site, key), "ET": light / 10}


def offsets(ratios):
    about = parameter(ENERGY_BALANCE_RATIO)
    return unconstrain(ratios, about) - unconstrain(np.asarray(about.default), about)


@pytest.fixture(scope="module")
def towers():
    """Two towers that measure less than all of the evapotranspiration."""
    task = problem(MeasuredModel(TranspiringModel()), ALL, streams=STREAMS)
    truth = np.concatenate([np.full((2, 3), 0.2), offsets(RATIOS)[:, None]], axis=1)
    return divided(known_sites(task, truth, noise=0.1))


def test_et_alone_is_what_the_tower_measures(towers):
    field = TranspiringModel()
    weights = with_ratio(field.init(jax.random.key(0)))
    weights["process"][ENERGY_BALANCE_RATIO] = jnp.asarray(offsets(np.asarray(0.6)))
    site = jax.tree.map(lambda leaf: leaf[0], towers.sites.site)
    true, measured = (model.predict(weights, site) for model in (field, MeasuredModel(field)))
    np.testing.assert_allclose(measured["ET"], 0.6 * true["ET"], rtol=1e-5)
    for name in ("NEE", "Reco", "GPP"):
        np.testing.assert_array_equal(measured[name], true[name])
    start = MeasuredModel(field).init(jax.random.key(0))
    prior = MeasuredModel(field).predict(start, site)["ET"] / true["ET"]
    np.testing.assert_allclose(prior, parameter(ENERGY_BALANCE_RATIO).default, rtol=1e-5)


def test_the_ratio_of_every_tower_is_found(towers):
    settings = EstimateSettings(
        NAMES, STREAMS, energy_balance_ratio=True, folds=2, consider=False, errors="independent"
    )
    model = MeasuredModel(TranspiringModel())
    weights = model.init(jax.random.key(0))
    found = estimation.estimate_from(model, weights, towers, 0, settings)
    own = found.parameters.sel(parameter=ENERGY_BALANCE_RATIO)
    np.testing.assert_allclose(own["value"], RATIOS, atol=0.02)
    assert own["identified"].values.all()
    assert (own["lower"] < RATIOS).all()
    assert (own["upper"] > RATIOS).all()
    # What is written is as measured, before and after, and says so.
    table = prediction_table(found)
    assert table["ET"].attrs["comment"].startswith("as the tower measures it")
    assert "comment" not in table["NEE"].attrs
    field = np.asarray(towers.sites.site.forcing.shortwave_radiation) / 10
    np.testing.assert_allclose(found.fluxes["prior"]["ET"], 0.84 * field, rtol=1e-4)
    expected = own["value"].to_numpy()[:, None] * field
    np.testing.assert_allclose(found.fluxes["estimated"]["ET"], expected, rtol=1e-4)


def test_a_ratio_needs_et_as_it_was_measured(towers, tmp_path):
    asked = EstimateSettings(NAMES, ("NEE", "Reco"), energy_balance_ratio=True)
    with pytest.raises(ValueError, match="needs observed ET among the streams"):
        estimation.make_problem(asked, MeasuredModel(TranspiringModel()), towers.sites)
    closed = DataChoice(energy_balance="closed")
    settings = EstimateSettings(energy_balance_ratio=True)
    with pytest.raises(ValueError, match="--energy-balance closed has corrected ET already"):
        main(EstimateConfig(run=tmp_path / "run", data=closed, settings=settings))
    assert not (tmp_path / "run").exists()
