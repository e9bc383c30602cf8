import sys
from dataclasses import dataclass, replace

import estimate
import estimate_check
import estimate_report
import estimate_start
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
from kgml_jax.sites import TEST, TRAIN

TRUTH = np.array([[0.6, -0.3, 0.5], [0.5, -0.2, 0.4], [-0.5, 0.4, -0.6], [-0.4, 0.3, -0.5]])
CONFIG = EstimateConfig(parameters=NAMES, streams=("NEE", "Reco", "ET"), site_batch=2)


@pytest.fixture
def toy(monkeypatch):
    """Four sites of two groups, of a model in which everything is linear."""
    sites = known_sites(problem(), TRUTH, noise=0.3)
    sites = replace(sites, site=sites.site.replace(group=np.array([0, 0, 1, 1], np.int32)))
    monkeypatch.setattr(inputs, "load", lambda config, further=(): inputs.Loaded(sites))
    monkeypatch.setattr(estimate_start, "ProcessModel", lambda **options: RespiringModel())
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
    np.testing.assert_array_equal(table["calendar_year"][0], [2001, 2002, 2003])
    sums, last = table["NEE_year"].values, np.asarray(toy.site.calendar.year) == 2003
    assert np.isnan(sums[:, :2]).all()
    np.testing.assert_allclose(sums[:, 2], (table["NEE"].values * last).sum(axis=1), rtol=1e-4)
    assert (table["NEE_year_sd"][:, 2] > 0).all()
    tables = (tmp_path / "run" / "tables.md").read_text()
    assert "| NEE | observed days, observed | 100.0% |" in tables
    # No truth is known of these sites.
    assert "all days, true" not in tables


def test_what_has_no_test_day_is_not_drawn(toy):
    days = toys.roles(toy) == TEST
    seen = toy.site.mask["Reco"] & ~days
    once = replace(toy, site=toy.site.replace(mask=toy.site.mask | {"Reco": seen}))
    assert estimate_report.drawable(np.array(["NEE", "Reco"]), once, days) == ["NEE"]
    assert estimate_report.drawable(np.array(["NEE", "Reco"]), toy, days) == ["NEE", "Reco"]


@pytest.mark.slow
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
        ({"updates": ("colour@2001-05-01",)}, "no pool 'colour' to update"),
        (
            {"updates": ("litter@1999-05-01",)},
            "no record has that day; they lie between 2001-01-01",
        ),
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
def test_draws_are_compared_at_sites_whose_estimate_was_kept(toy, short, tmp_path, capsys):
    pytest.importorskip("blackjax", reason="extra `bayes` is not installed")
    folder = tmp_path / "run"
    estimate.main(replace(short, run=folder, check_sites=2, check_draws=100))
    first = np.argsort(toy.site.identity)[:2]
    table = opened(folder / "parameters.nc")
    checked = np.isfinite(table["sampled_sd_ratio"]).all("parameter").values
    assert sorted(np.flatnonzero(checked)) == sorted(first)
    # The toy is linear: its posterior is the Gaussian.
    found = table.isel(site=first)
    assert (np.abs(found["sampled_mean_shift"]) < 4 * found["sampled_mean_shift_error"]).all()
    np.testing.assert_allclose(found["sampled_sd_ratio"], 1, atol=0.25)
    assert (found["sampled_rhat"] < estimate_check.MIXED).all()
    assert (found["sampled_divergent"] == 0).all()
    text = (folder / "tables.md").read_text()
    assert "chains mixed for 100% of parameters" in text
    assert "agree with the Gaussian for 100%" in text
    out = capsys.readouterr().out
    assert out.index("A gradient of all chains takes") < out.index("NUTS against the Gaussian")


def test_chains_that_have_not_mixed_agree_with_nothing():
    both = ("site", "parameter")
    columns = {"sampled_mean_shift": 0.1, "sampled_sd_ratio": 1.1}
    found = xr.Dataset({name: (both, np.full((1, 4), value)) for name, value in columns.items()})
    found["sampled_rhat"] = (both, [[1.0, 1.2, 1.0, 1.0]])
    found["sampled_sd_ratio"][0, 3] = 2.0
    assert estimate_check.agreement(found) == (0.75, 0.5)


def test_a_check_that_cannot_be_made_is_refused_at_once(toy, short, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(ImportError, match=r"kgml_jax\[bayes\]"):
        estimate.main(replace(short, run=tmp_path / "run", check_sites=1))
    with pytest.raises(ValueError, match="--check-sites 1 --check-draws 3; expected"):
        estimate.main(replace(short, run=tmp_path / "run", check_sites=1, check_draws=3))
    assert not (tmp_path / "run").exists()


@dataclass(frozen=True)
class MovingModel(RespiringModel):
    """A network moves one parameter from day to day."""

    moved_daily = (NAMES[0],)


def test_parameters_that_move_daily_are_called_bases():
    names = ("site", "parameter")
    table = xr.Dataset(
        {
            name: (names, np.full((2, 3), 0.5))
            for name in ("value", "shrinkage", "identified", "at_bound")
        },
        {"parameter": list(NAMES)},
    )
    estimate_report.describe(table, problem(MovingModel()))
    assert table["moves_daily"].values.tolist() == [1, 0, 0]
    assert table["units"].values.tolist() == ["1", "d-1", "1"]
    title = estimate_report.parameter_grid(table).title
    assert f"A network moves {NAMES[0]} from day to day: these are bases" in title
    estimate_report.describe(table, problem(RespiringModel()))
    assert "bases" not in estimate_report.parameter_grid(table).title


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
