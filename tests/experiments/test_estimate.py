from dataclasses import replace

import estimate
import estimate_report
import inputs
import jax
import numpy as np
import pytest
import run_directory
import toys
import xarray as xr
from estimate import EstimateConfig
from inputs import Data
from inversion_toys import NAMES, RespiringModel, known_sites, problem

from kgml_jax.data.schema import DataError
from kgml_jax.sites import TRAIN

TRUTH = np.array([[0.6, -0.3, 0.5], [0.5, -0.2, 0.4], [-0.5, 0.4, -0.6], [-0.4, 0.3, -0.5]])
CONFIG = EstimateConfig(parameters=NAMES, streams=("NEE", "Reco", "ET"), site_batch=2)


@pytest.fixture
def toy(monkeypatch):
    """Four sites of two groups, of a model in which everything is linear."""
    sites = known_sites(problem(), TRUTH, noise=0.3)
    sites = replace(sites, site=sites.site.replace(group=np.array([0, 0, 1, 1], np.int32)))
    monkeypatch.setattr(inputs, "load", lambda config, further=(): inputs.Loaded(sites))
    monkeypatch.setattr(estimate, "ProcessModel", lambda **options: RespiringModel())
    monkeypatch.setattr(estimate_report.reporting, "draw", lambda *some: None)
    return sites


@pytest.fixture
def short():
    return replace(CONFIG, split=inputs.SplitChoice(test_years=1))


def opened(path):
    with xr.open_dataset(path) as found:
        return found.load()


def test_parameters_come_with_units_bounds_intervals_and_flags(toy, short, tmp_path, capsys):
    estimate.main(replace(short, run=tmp_path / "run"))
    assert "no site observes ET" in capsys.readouterr().err
    table = opened(tmp_path / "run" / "parameters.nc")
    assert table.sizes == {"site": 4, "parameter": 3}
    curve_number = table.sel(parameter="curve_number")
    assert curve_number["lower_bound"] == 60
    assert curve_number["upper_bound"] == 92
    assert table["units"].values.tolist() == ["1", "d-1", "1"]
    assert (table["lower"] < table["value"]).all()
    assert (table["value"] < table["upper"]).all()
    assert (table["identified"] == 1).all()
    assert (curve_number["value"][:2] > 80).all()
    assert (curve_number["value"][2:] < 80).all()
    results = opened(tmp_path / "run" / "sites.nc")
    assert (results["standardised_mse"].sel(strategy="estimated") < 0.5).all()
    assert not results["harmed"].any()
    summary = run_directory.read_json(tmp_path / "run" / "summary.json")
    assert summary["sites_accepted"] == 4
    assert summary["identified"] == dict.fromkeys(NAMES, 1.0)


def test_predictions_have_intervals_that_cover(toy, short, tmp_path):
    estimate.main(replace(short, run=tmp_path / "run"))
    table = opened(tmp_path / "run" / "predictions.nc")
    error = np.abs(table["NEE"].values - np.asarray(toy.site.targets["NEE"]))
    seen = np.asarray(toy.site.mask["NEE"])
    inside = error <= 1.645 * table["NEE_sd"].values
    assert 0.85 < inside[seen].mean() < 0.95
    assert str(table["date"].values[0, 0])[:10] == "2001-01-01"
    assert "coverage" in (tmp_path / "run" / "tables.md").read_text()


def test_groups_pull_their_sites_together(toy, short):
    weights, roles = RespiringModel().init(jax.random.key(0)), toys.roles(toy)
    task = problem(RespiringModel())
    left, base, spent = estimate.from_groups(short, task, weights, toy, roles)
    assert all(0.5 / np.sqrt(2) < sd < 0.5 for sd in left.prior_sd)
    assert (np.sign(base[0]) == np.sign(TRUTH[1])).all()
    assert (np.sign(base[2]) == np.sign(TRUTH[3])).all()
    outcome = estimate.calibrated(replace(short, base="groups"), task, weights, toy, roles)
    assert (outcome.simulations == spent + outcome.found.evaluations).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"streams": ("N2O",)}, "no site observes N2O; there are"),
        ({"streams": ("carbon",)}, "no variable 'carbon'"),
        ({"parameters": ("colour",)}, "no parameter colour"),
    ],
)
def test_what_is_not_there_is_named(toy, short, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        estimate.main(replace(short, run=tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "change",
    [{"base": "groups"}, {"data": Data(synthetic_sites=9)}, {"streams": ("NEE", "yield")}],
)
def test_what_a_pretrained_run_decides_cannot_be_asked_for(tmp_path, change):
    with pytest.raises(ValueError, match="are those of the pretraining run; leave out"):
        estimate.main(EstimateConfig(from_run=tmp_path, **change))


def test_sites_where_nothing_grows_are_refused(toy, short, tmp_path):
    bare = replace(toy.site.forcing, crop=np.where(np.arange(4)[:, None] == 2, -1, 0))
    sites = replace(toy, site=toy.site.replace(forcing=bare))
    with pytest.raises(
        DataError, match=rf"no crop calendar.*{toy.names[2]}|{toy.names[2]}.*no crop"
    ):
        inputs.require_crops(sites)
    inputs.require_crops(toy)


def test_a_site_that_keeps_the_prior_has_the_uncertainty_of_the_prior(toy, short):
    weights, roles = RespiringModel().init(jax.random.key(0)), toys.roles(toy)
    shifted = {name: np.array(values) for name, values in toy.site.targets.items()}
    # Validation and test years of the first site contradict its training years.
    other = (roles[0] != TRAIN)[None] & (np.arange(4) == 0)[:, None]
    shifted = {name: np.where(other, -values, values) for name, values in shifted.items()}
    sites = replace(toy, site=toy.site.replace(targets=shifted))
    outcome = estimate.calibrated(short, problem(RespiringModel()), weights, sites, roles)
    assert outcome.found.accepted.tolist() == [False, True, True, True]
    np.testing.assert_allclose(outcome.known.posterior.sd[0], 0.5, rtol=1e-5)
    assert not outcome.known.identification.identified[0].any()
    assert outcome.known.identification.identified[1:].all()


@pytest.mark.slow
def test_the_embedded_sites_gain_and_their_intervals_cover(tmp_path):
    data = Data(synthetic_sites=4, synthetic_years=5)
    estimate.main(EstimateConfig(run=tmp_path / "run", data=data, spin_up_cycles=1))
    results = opened(tmp_path / "run" / "sites.nc")["standardised_mse"]
    assert results.sel(strategy="estimated").mean() < 0.8 * results.sel(strategy="prior").mean()
    table = opened(tmp_path / "run" / "parameters.nc")
    sure = table.sel(parameter="vcmax_multiplier")
    assert (sure["identified"] == 1).all()
    assert float(xr.corr(sure["value"], sure["truth"])) > 0.9
    assert (tmp_path / "run" / "figures" / "gain_estimated.png").is_file()
