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

TRUTH = np.array([[0.6, -0.3, 0.5], [0.5, -0.2, 0.4], [-0.5, 0.4, -0.6], [-0.4, 0.3, -0.5]])
CONFIG = EstimateConfig(parameters=NAMES, streams=("NEE", "Reco", "ET"), site_batch=2)


@pytest.fixture
def toy(monkeypatch):
    """Four sites of two groups, of a model in which everything is linear."""
    sites = known_sites(problem(), TRUTH, noise=0.3)
    sites = replace(sites, site=sites.site.replace(group=np.array([0, 0, 1, 1], np.int32)))
    monkeypatch.setattr(inputs, "load", lambda config: inputs.Loaded(sites))
    monkeypatch.setattr(estimate, "ProcessModel", lambda spin_up_cycles: RespiringModel())
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
    left, base = estimate.from_groups(short, task, weights, toy, roles)
    np.testing.assert_allclose(left.prior_sd, 0.5 / np.sqrt(2), rtol=1e-6)
    np.testing.assert_array_equal(base[0], base[1])
    assert (np.sign(base[0]) == np.sign(TRUTH[0])).all()
    assert (np.sign(base[2]) == np.sign(TRUTH[2])).all()


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


def test_two_means_of_one_prior_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two means of the same priors"):
        estimate.main(EstimateConfig(base="groups", from_run=tmp_path))


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
