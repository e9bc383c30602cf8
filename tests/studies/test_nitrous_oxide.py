from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import xarray as xr
from studies.nitrous_oxide import plots as n2o_plots
from studies.nitrous_oxide import program as nitrous_oxide
from studies.nitrous_oxide import report as n2o_report
from studies.nitrous_oxide import training

from kgml_jax.data.synthetic import SyntheticConfig
from kgml_jax.errors import DataError
from kgml_jax.models.features import fit_scaling
from kgml_jax.models.nitrous_oxide import EMISSION, INPUTS, NitrousOxideModel
from kgml_jax.sites import TEST, TRAIN, VALIDATION
from kgml_jax.training.fit import Settings
from kgml_jax.training.strategies import STRATEGIES
from kgml_jax.training.watch import unwatched

FIRST, YEARS = 2003, 2  # 2004 is a leap year
PERIOD = {"years": YEARS, "first_year": FIRST, "spin_up_years": 1}
MEANS = dict(zip(n2o_plots.TARGETS, (1.5, 8.0, 2.0, 0.3, 1e-3), strict=True))


def drawn_values(plots):
    """Values in place of simulated ones, (plot, time)."""
    random = np.random.default_rng(1)
    kept = plots.dates >= np.datetime64(f"{FIRST}-01-01")
    shape = (len(plots.names), int(kept.sum()))
    return {name: mean * random.uniform(0.2, 1.8, shape) for name, mean in MEANS.items()}


@pytest.fixture(scope="module")
def plots():
    return n2o_plots.lay_out(SyntheticConfig(sites=4, **PERIOD), (0.0, 1.0, 2.0))


@pytest.fixture(scope="module")
def sites(plots):
    return n2o_plots.to_sites(plots, drawn_values(plots), FIRST)


@pytest.fixture(scope="module")
def data(sites):
    return n2o_plots.divide_fields(sites, 1, 1)


@pytest.fixture(scope="module")
def model(data):
    return NitrousOxideModel(fit_scaling(INPUTS, data), hidden=4)


@pytest.fixture(scope="module")
def bare_chambers():
    config = SyntheticConfig(sites=4, seed=1, states=(("IL", 1),), **PERIOD)
    return {one: n2o_plots.lay_out_chambers(config, one) for one in (True, False)}


def measured(plots):
    dates = plots.dates[plots.dates >= np.datetime64(f"{FIRST}-01-01")]
    values = n2o_plots.measure(plots.names, dates, drawn_values(plots), 40, 0)
    return n2o_plots.to_sites(plots, values, FIRST)


@pytest.fixture(scope="module")
def chambers(bare_chambers):
    return measured(bare_chambers[False])


@pytest.fixture(scope="module")
def fit_data(chambers):
    return training.leave_one_out(chambers)


def test_plots_of_a_field_differ_in_their_nitrogen_alone(plots):
    for name, values in plots.forcing.items():
        none, once, twice = (values[row::3] for row in range(3))
        if name in n2o_plots.FERTILISER:
            assert not np.any(none)
            np.testing.assert_array_equal(twice, 2 * once)
        else:
            np.testing.assert_array_equal(none, once)
            np.testing.assert_array_equal(twice, once)
    assert np.any(plots.forcing["fertiliser_nitrate"] + plots.forcing["fertiliser_ammonium"])
    assert len(set(plots.names)) == 12
    assert len(set(plots.fields)) == 4


def test_all_plots_of_a_field_have_one_role(data):
    fields, roles = np.array(data.sites.groups), data.roles
    for field in set(fields):
        assert len(np.unique(roles[fields == field])) == 1
    found = [len(set(fields[(roles == role).any(axis=1)])) for role in (TRAIN, VALIDATION, TEST)]
    assert found == [2, 1, 1]


def test_chambers_of_one_station_share_their_soil_but_not_their_weather(bare_chambers):
    shared, own = bare_chambers[True], bare_chambers[False]
    assert len(np.unique(shared.attributes["sand"])) == 1
    assert len(np.unique(own.attributes["sand"])) == 4
    np.testing.assert_array_equal(shared.forcing["precipitation"], own.forcing["precipitation"])
    assert len(np.unique(own.forcing["precipitation"].sum(axis=1))) == 4


def test_the_process_model_at_its_priors_knows_no_true_parameter(bare_chambers):
    own = bare_chambers[False]
    priors = n2o_plots.at_priors(own)
    undrawn = n2o_plots.lay_out(
        SyntheticConfig(sites=4, spread=0.0, states=(("IL", 1),), **PERIOD), (1.0,)
    )
    for name, values in priors.parameters.items():
        np.testing.assert_allclose(values, undrawn.parameters[name], rtol=1e-6)  # float32 priors
    moved = [np.any(v != priors.parameters[name]) for name, v in own.parameters.items()]
    assert sum(moved) > 5


def test_chambers_are_measured_in_season_and_have_initial_values(chambers):
    mask = {name: np.asarray(seen) for name, seen in chambers.site.mask.items()}
    day = np.asarray(chambers.site.calendar.day_of_year)
    assert np.all(mask[EMISSION].sum(axis=1) == 40 * YEARS)
    low, high = n2o_plots.SEASON
    assert np.all((day[mask[EMISSION]] >= low) & (day[mask[EMISSION]] <= high))
    for name in n2o_plots.INTERMEDIATE:
        assert np.all(mask[name][day == 1])
    assert np.all(mask["nitrate"].sum(axis=1) == (14 + 1) * YEARS)


def test_a_chamber_left_out_is_in_no_window(fit_data, chambers):
    left_out = np.asarray(fit_data.identity)[:, None]
    np.testing.assert_array_equal(left_out[:, 0], chambers.site.identity)
    for windows, others in ((fit_data.training, 2), (fit_data.validation, 1)):
        held = np.asarray(windows.identity)
        assert not np.any(held == left_out)
        assert all(len(set(row)) == others for row in held)
        assert all(np.all(mask.any(axis=2)) for mask in windows.mask.values())
    for row in range(len(chambers)):
        assert not {*fit_data.training.identity[row]} & {*fit_data.validation.identity[row]}


def test_what_is_measured_at_a_chamber_does_not_reach_its_own_fit(fit_data, chambers):
    targets = {name: np.array(values) for name, values in chambers.site.targets.items()}
    for values in targets.values():
        values[1] += 100.0
    other = replace(chambers, site=chambers.site.replace(targets=targets))
    changed = training.leave_one_out(other)
    same = lambda row: all(
        np.array_equal(new[row], old[row])
        for new, old in zip(jax.tree.leaves(changed), jax.tree.leaves(fit_data), strict=True)
    )
    assert [same(row) for row in range(4)] == [False, True, False, False]


@pytest.mark.slow
def test_the_first_phase_leaves_the_module_of_the_emission_untouched(model, data):
    weights = model.init(jax.random.key(0))
    settings = Settings(steps=3, batch=2, learning_rate=1e-2, validate_every=3)
    first, _ = training.two_phases(settings, 4.0)
    data = training.pretraining_data(data)
    after, history = training.pretrain_phases(
        model, weights, data, (first,), jax.random.key(1), unwatched
    )
    assert history["intermediate variables"]["best_step"] == 3
    for part in ("gru_n2o", "to_n2o"):
        jax.tree.map(np.testing.assert_array_equal, after[part], weights[part])
    for part in ("gru_intermediate", "to_intermediate"):
        moved = jax.tree.map(lambda new, old: np.any(new != old), after[part], weights[part])
        assert all(jax.tree.leaves(moved))


@pytest.mark.slow
def test_the_second_phase_looks_at_the_emission(model, data):
    weights = model.init(jax.random.key(0))
    windows = training.pretraining_data(data).training
    window = jax.tree.map(lambda leaf: leaf[0], windows)

    def emission_share(weight):
        total = training.objective(model.scaling, weight)
        loss = lambda weights: total(model.predict(weights, window), window)[0]
        gradient = jax.jit(jax.grad(loss))(weights)
        return [np.any(leaf != 0.0) for leaf in jax.tree.leaves(gradient["gru_n2o"])]

    assert not any(emission_share(0.0))
    assert all(emission_share(4.0))


def test_a_phase_starts_from_the_best_of_the_one_before(model, monkeypatch):
    met = []

    def pretrain(model, objective, weights, *rest):
        met.append((weights, len(objective.terms[0].objective.scales)))
        return weights + 1, SimpleNamespace(step=5, best_step=4, best_error=0.5)

    monkeypatch.setattr(training, "pretrain", pretrain)
    phases = training.two_phases(Settings(steps=5), 4.0)
    key = jax.random.key(0)
    after, history = training.pretrain_phases(model, 0, None, phases, key, unwatched)
    assert (met, after) == ([(0, 4), (1, 5)], 2)
    assert list(history) == ["intermediate variables", "all with N2O"]


@pytest.mark.slow
def test_every_chamber_is_fitted_its_own_copy(model, fit_data):
    arm = training.Arm(model, model.init(jax.random.key(0)), STRATEGIES["full"])
    settings = Settings(steps=4, validate_every=2)
    fit = training.tune(arm, fit_data, settings, 4.0, jax.random.key(0))
    owned = fit.phi["to_n2o/kernel"]["shift"]
    assert np.all(fit.healthy)
    assert np.all(fit.best_error <= fit.start_error)
    assert len(np.unique(owned[:, 0])) == len(fit_data.identity)


def test_years_are_joined_to_the_record(model, chambers):
    weights = jax.tree.map(lambda leaf: 2.0 * leaf, model.init(jax.random.key(0)))
    joined = training.predict_years(model, weights, chambers)[EMISSION]
    assert joined.shape == chambers.site.valid.shape == (4, 365 + 366)
    assert np.all(np.isfinite(joined))
    one = jax.tree.map(lambda leaf: leaf[2], chambers.site)
    second = jax.tree.map(lambda leaf: leaf[365:] if np.ndim(leaf) else leaf, one)
    predict = jax.jit(lambda site: model.predict(weights, site)[EMISSION])
    for days, site in ((slice(0, 365), one), (slice(365, None), second)):
        length = days.stop or 731
        expected = predict(site)[: length - days.start]
        np.testing.assert_allclose(joined[2, days], expected, rtol=1e-4)  # float32, other batches


def test_scores_are_in_milligrams_and_of_measured_days(chambers):
    observed = np.asarray(chambers.site.targets[EMISSION])
    mask = np.asarray(chambers.site.mask[EMISSION])
    off = np.where(mask, observed + 2e-3, np.nan)
    found = n2o_report.n2o_scores(chambers, off)
    assert found["rmse"] == pytest.approx(2.0, rel=1e-4)
    assert found["bias"] == pytest.approx(2.0, rel=1e-4)
    assert found["pearson_r2"] == pytest.approx(1.0, abs=1e-4)
    assert n2o_report.chamber_r2(chambers, np.where(mask, observed, 0.0)) == [1.0] * 4


def test_results_are_drawn_and_tabulated(chambers, tmp_path):
    series = {"one": np.full(chambers.site.valid.shape, 1e-3), "two": chambers.site.targets["N2O"]}
    results = n2o_report.daily(["own"], [chambers], [series])
    assert results["N2O_predicted"].attrs["units"] == "mg N m-2 d-1"
    assert int(results["N2O_observed"].notnull().sum()) == 4 * 40 * YEARS
    np.testing.assert_allclose(results["N2O_predicted"].sel(soil="own", arm="one"), 1.0)
    grid = n2o_report.chamber_grid("own", chambers, series)
    assert [row[:2] for row in grid.rows][1] == ("two", "1.00")
    path = n2o_report.draw(tmp_path / "figure.png", results, "own", ("one", "two"))
    assert path.read_bytes().startswith(b"\x89PNG")


def test_chambers_that_cannot_be_left_out_are_refused(chambers, sites):
    with pytest.raises(DataError, match=r"too few chambers.*found 2.*at least 3"):
        training.leave_one_out(chambers.take([0, 1]))
    with pytest.raises(DataError, match="two chambers of one field"):
        training.leave_one_out(sites)
    with pytest.raises(DataError, match=r"found 3 and 1 of 4"):
        n2o_plots.divide_fields(sites, 3, 1)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--rates", 1, "--rates 1; expected at least 2"),
        ("--chambers", 2, "--chambers 2; expected at least 3"),
        ("--measured-days", 154, "found 154; expected 1 to 153"),
        ("--dropout", 1.0, "--dropout 1.0; expected 0 to below 1"),
        ("--seed", -1, "--seed -1; expected at least 0"),
        ("--learning-rate", "nan", "--learning-rate nan; expected above 0"),
        ("--emission-weight", 0, "--emission-weight 0.0; expected above 0"),
        ("--test-fields", 40, "found 6 and 40 of 40"),
        ("--stations", "nowhere.csv", "nowhere.csv"),
    ],
)
def test_wrong_options_are_one_line(run_program, tmp_path, option, value, says):
    program = (nitrous_oxide, nitrous_oxide.NitrousOxideConfig)
    status, _, error = run_program(*program, "--run", tmp_path / "run", option, value)
    assert status == 2
    assert error.startswith("error: ")
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_the_program_writes_tables_predictions_and_figures(run_program, tmp_path):
    program, folder = (nitrous_oxide, nitrous_oxide.NitrousOxideConfig), tmp_path / "run"
    size = {"fields": 4, "validation-fields": 1, "test-fields": 1, "rates": 2, "years": 1}
    size |= {"spin-up-years": 0, "chambers": 3, "hidden": 4, "steps": 10, "tune-steps": 10}
    options = [text for name, value in size.items() for text in (f"--{name}", value)]
    status, printed, _ = run_program(*program, "--run", folder, *options)
    assert status == 0
    assert printed.count("| pretrained |") == 2
    assert (folder / "tables.md").read_text().strip() in printed
    with xr.open_dataset(folder / "predictions.nc") as results:
        assert dict(results.sizes) == {"soil": 2, "arm": 6, "chamber": 3, "time": 365, "bnds": 2}
        assert float(results["N2O_predicted"].min()) >= 0.0
    for soil in ("shared", "own"):
        assert (folder / "figures" / f"chambers_{soil}_soil.png").is_file()
    assert run_program(*program, "--run", folder, *options)[0] == 2
