import sys
from dataclasses import dataclass, replace
from pathlib import Path

import jax
import numpy as np
import pytest
import toys
import xarray as xr
from conventions_check import assert_follows_conventions, grave_faults, needs_checker
from inversion_toys import NAMES, RespiringModel, known_sites, problem

from kgml_jax.cli import drawings, estimate, estimate_report, posterior_check
from kgml_jax.cli.estimate import EstimateConfig
from kgml_jax.data import choices
from kgml_jax.data.choices import DataChoice
from kgml_jax.errors import DataError
from kgml_jax.runs import files, saved
from kgml_jax.runs.directory import Run
from kgml_jax.sites import TEST, TRAIN
from kgml_jax.split import DividedSites
from kgml_jax.workflows import estimation, estimation_tables
from kgml_jax.workflows.estimation import EstimateSettings

STORED_RUN = Path(__file__).parents[1] / "stored_runs" / "82928d3" / "pretrain"
TRUTH = np.array([[0.6, -0.3, 0.5], [0.5, -0.2, 0.4], [-0.5, 0.4, -0.6], [-0.4, 0.3, -0.5]])
SETTINGS = EstimateSettings(parameters=NAMES, streams=("NEE", "Reco", "ET"), site_batch=2)


@pytest.fixture(scope="module")
def toy():
    """Four sites of two groups, of a model in which everything is linear."""
    sites = known_sites(problem(), TRUTH, noise=0.3)
    sites = replace(sites, site=sites.site.replace(group=np.array([0, 0, 1, 1], np.int32)))
    return DividedSites.of_roles(sites, toys.roles(sites))


@pytest.fixture(scope="module")
def last_year(toy):
    return choices.make_split(choices.SplitChoice(test_years=1), toy.sites).divide(toy.sites)


def estimated(data, settings=SETTINGS):
    model = RespiringModel()
    return estimation.estimate_from(model, model.init(jax.random.key(0)), data, 0, settings)


@pytest.fixture(scope="module")
def written(last_year, tmp_path_factory):
    folder = tmp_path_factory.mktemp("estimate")
    # The noise of these sites is that of each day by itself.
    fitted = estimated(last_year, replace(SETTINGS, errors="independent"))
    estimate_report.write(Run(folder, folder), fitted, draw=last_year.sites.names[:1])
    return folder


def opened(path):
    with xr.open_dataset(path) as found:
        return found.load()


def test_parameters_come_with_units_bounds_intervals_and_flags(written):
    table = opened(written / "parameters.nc")
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
    results = opened(written / "sites.nc")
    assert (results["standardised_mse"].sel(strategy="estimated") < 0.5).all()
    assert not results["harmed"].any()
    summary = files.read_json(written / "summary.json")
    assert summary["sites_accepted"] == 4
    assert summary["identified"] == dict.fromkeys(NAMES, 1.0)


def test_the_files_of_an_estimate_follow_the_conventions(written):
    for path in written.glob("*.nc"):
        assert_follows_conventions(path, of_run=False)
    with xr.open_dataset(written / "parameters.nc") as table:
        assert table["accepted"].attrs["flag_meanings"] == "no yes"
        assert table["value"].attrs["units_in_full"] == "as in the coordinate units"


@pytest.mark.slow
@needs_checker
def test_the_checker_of_ioos_finds_no_grave_fault_in_an_estimate(written):
    assert grave_faults(list(written.glob("*.nc"))) == ""


def test_predictions_have_intervals_that_cover(toy, written):
    table, toy = opened(written / "predictions.nc"), toy.sites
    error = np.abs(table["NEE"] - table["NEE_observed"]).values
    seen = np.asarray(toy.site.mask["NEE"])
    inside = error <= 1.645 * table["NEE_sd"].values
    assert 0.85 < inside[seen].mean() < 0.95
    assert str(table["time"].values[0])[:10] == "2001-01-01"
    assert table["NEE_year"].dims == ("site", "year")
    np.testing.assert_array_equal(table["year"], [2001, 2002, 2003])
    assert not table["scored"].sel(time=slice("2001", "2002")).any()
    assert table["scored"].sel(time="2003").all()
    sums, last = table["NEE_year"].values, np.asarray(toy.site.calendar.year) == 2003
    assert np.isnan(sums[:, :2]).all()
    np.testing.assert_allclose(sums[:, 2], (table["NEE"].values * last).sum(axis=1), rtol=1e-4)
    assert (table["NEE_year_sd"][:, 2] > 0).all()
    tables = (written / "tables.md").read_text()
    assert "| NEE | observed days, observed | 100.0% |" in tables
    # No truth is known of these sites.
    assert "all days, true" not in tables


@pytest.mark.slow
def test_intervals_that_are_drawn_are_the_conformal_ones(last_year):
    fitted = estimated(last_year)
    drawn = estimate_report.with_intervals(fitted)
    one = fitted.predictions["NEE"]
    half_width = (drawn["NEE_upper"] - drawn["NEE_lower"]) / 2
    np.testing.assert_allclose(half_width, one.factor[:, None] * one.sd, rtol=1e-4)  # float32
    np.testing.assert_array_equal(drawn["NEE"], fitted.fluxes["estimated"]["NEE"])
    few = replace(one, factor=np.full_like(one.factor, np.inf))
    unsure = replace(fitted)
    vars(unsure)["predictions"] = {"NEE": few}  # made when first read
    drawn = estimate_report.with_intervals(unsure)
    assert np.isnan(drawn["NEE_upper"]).all()


def test_what_has_no_test_day_is_not_drawn(toy):
    seen = toy.sites.site.mask["Reco"] & (toy.roles != TEST)
    mask = toy.sites.site.mask | {"Reco": seen}
    once = replace(toy, sites=replace(toy.sites, site=toy.sites.site.replace(mask=mask)))
    assert drawings.seen_on_test_days(np.array(["NEE", "Reco"]), once) == ["NEE"]
    assert drawings.seen_on_test_days(np.array(["NEE", "Reco"]), toy) == ["NEE", "Reco"]


@pytest.mark.slow
def test_groups_pull_their_sites_together(toy):
    model = RespiringModel()
    weights, task = model.init(jax.random.key(0)), problem(model)
    settings = replace(SETTINGS, base="groups")
    left, base, spent, _ = estimation.from_others(settings, task, weights, toy, 0)
    assert all(0.5 / np.sqrt(2) < sd < 0.5 for sd in left.prior_sd)
    assert (np.sign(base[0]) == np.sign(TRUTH[1])).all()
    assert (np.sign(base[2]) == np.sign(TRUTH[3])).all()
    fitted = estimated(toy, replace(SETTINGS, base="groups", errors="independent"))
    assert (fitted.simulations == spent + fitted.found.evaluations).all()


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
def test_what_is_not_there_is_named(toy, change, message):
    with pytest.raises(ValueError, match=message):
        estimation.estimate(toy, None, 0, replace(SETTINGS, **change))


def test_a_stream_that_no_site_observes_informs_nothing(toy):
    assert estimation.informing(("NEE", "Reco", "ET"), toy.sites) == ("NEE", "Reco")


@pytest.mark.parametrize("change", [{"base": "groups"}, {"streams": ("NEE", "yield")}])
def test_what_a_pretrained_model_decides_cannot_be_asked_for(toy, change):
    model = RespiringModel()
    base = saved.Pretrained(model, model.init(jax.random.key(0)), None, None, 1.0, "equal", 60)
    with pytest.raises(ValueError, match="the priors and the streams are its own; leave out"):
        estimation.estimate(toy, base, 0, replace(SETTINGS, **change))


def test_the_data_of_a_pretrained_run_cannot_be_changed_but_for_their_place():
    config = EstimateConfig(from_run=STORED_RUN, data=DataChoice(synthetic_sites=9))
    with pytest.raises(ValueError, match="are those of the pretraining run; leave them out"):
        estimate.divided(config, saved.load_pretrained(STORED_RUN))


def test_a_model_without_process_parameters_has_none_to_estimate(tmp_path):
    with pytest.raises(ValueError, match="a pretrained RecurrentModel has no process parameters"):
        estimate.main(EstimateConfig(from_run=STORED_RUN, run=tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_sites_where_nothing_grows_are_refused(toy):
    toy = toy.sites
    bare = replace(toy.site.forcing, crop=np.where(np.arange(4)[:, None] == 2, -1, 0))
    sites = replace(toy, site=toy.site.replace(forcing=bare))
    with pytest.raises(
        DataError, match=rf"no crop calendar.*{toy.names[2]}|{toy.names[2]}.*no crop"
    ):
        choices.require_crops(sites)
    choices.require_crops(toy)


def test_a_site_that_keeps_the_prior_has_the_uncertainty_of_the_prior(toy):
    targets = toy.sites.site.targets
    shifted = {name: np.array(values) for name, values in targets.items()}
    # Validation and test years of the first site contradict its training years.
    other = (toy.roles[0] != TRAIN)[None] & (np.arange(4) == 0)[:, None]
    shifted = {name: np.where(other, -values, values) for name, values in shifted.items()}
    sites = replace(toy.sites, site=toy.sites.site.replace(targets=shifted))
    fitted = estimated(replace(toy, sites=sites))
    assert fitted.found.accepted.tolist() == [False, True, True, True]
    np.testing.assert_allclose(fitted.known.posterior.sd[0], 0.5, rtol=1e-5)
    # What its training days identify they do, whether or not the estimate is kept.
    assert fitted.known.identification.identified.all()
    assert not fitted.known.identification.conflicting[0].any()


@pytest.mark.slow
def test_draws_are_compared_at_sites_whose_estimate_was_kept(last_year, tmp_path, capsys):
    pytest.importorskip("blackjax", reason="extra `bayes` is not installed")
    fitted = estimated(last_year)
    estimate_report.write(Run(tmp_path, tmp_path), fitted, figures=False)
    posterior_check.run(tmp_path, fitted, count=2, draws=100, seed=0)
    first = np.argsort(last_year.sites.site.identity)[:2]
    table = opened(tmp_path / "parameters.nc")
    checked = np.isfinite(table["sampled_sd_ratio"]).all("parameter").values
    assert sorted(np.flatnonzero(checked)) == sorted(first)
    # The toy is linear: its posterior is the Gaussian.
    found = table.isel(site=first)
    assert (np.abs(found["sampled_mean_shift"]) < 4 * found["sampled_mean_shift_error"]).all()
    np.testing.assert_allclose(found["sampled_sd_ratio"], 1, atol=0.25)
    assert (found["sampled_rhat"] < posterior_check.MIXED).all()
    assert (found["sampled_divergent"] == 0).all()
    text = (tmp_path / "tables.md").read_text()
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
    assert posterior_check.agreement(found) == (0.75, 0.5)


def test_a_check_that_cannot_be_made_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(ImportError, match=r"kgml_jax\[bayes\]"):
        estimate.main(EstimateConfig(run=tmp_path / "run", check_sites=1))
    with pytest.raises(ValueError, match="--check-sites 1 --check-draws 3; expected"):
        estimate.main(EstimateConfig(run=tmp_path / "run", check_sites=1, check_draws=3))
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
            for name in ("value", "shrinkage", "identified", "conflicting", "at_bound")
        },
        {"parameter": list(NAMES)},
    )
    estimation_tables.describe(table, problem(MovingModel()))
    assert table["moves_daily"].values.tolist() == [1, 0, 0]
    assert table["units"].values.tolist() == ["1", "d-1", "1"]
    title = estimate_report.parameter_grid(table).title
    assert f"A network moves {NAMES[0]} from day to day: these are bases" in title
    estimation_tables.describe(table, problem(RespiringModel()))
    assert "bases" not in estimate_report.parameter_grid(table).title


@pytest.mark.slow
def test_the_embedded_sites_gain_and_their_intervals_cover(tmp_path):
    data = DataChoice(synthetic_sites=4, synthetic_years=5)
    settings = EstimateSettings(spin_up_cycles=1)
    estimate.main(EstimateConfig(run=tmp_path / "run", data=data, settings=settings))
    results = opened(tmp_path / "run" / "sites.nc")["standardised_mse"]
    assert results.sel(strategy="estimated").mean() < 0.8 * results.sel(strategy="prior").mean()
    table = opened(tmp_path / "run" / "parameters.nc")
    sure = table.sel(parameter="vcmax_multiplier")
    assert (sure["identified"] == 1).all()
    assert float(xr.corr(sure["value"], sure["truth"])) > 0.9
    assert (tmp_path / "run" / "figures" / "gain_estimated.png").is_file()
