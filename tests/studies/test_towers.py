import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import toys
import xarray as xr
from inversion_toys import NAMES, RespiringModel, SlopeModel, known_sites, problem
from studies.measured_fields import readers
from studies.measured_fields.grasslands import GRASSLANDS, SELHAUSEN
from studies.measured_fields.management import FieldHistory, crop_years, management
from studies.measured_fields.readers import MeasuredField
from studies.towers import data, models, program, protocols, report, uncalibrated
from studies.towers.collection import EIGHT_DAILY, MONTHLY
from studies.towers.data import Towers
from studies.towers.folder import CROP, GRASS
from studies.towers.models import AFTER, BEFORE, Effort
from studies.towers.parameters import Search
from studies.towers.periods import EIGHT_DAYS, MONTH, PeriodModel, last_days, on_last_days, so_far

from kgml_jax.data.splits import last_years
from kgml_jax.errors import DataError
from kgml_jax.models.features import Scale, Scaling
from kgml_jax.process import crops
from kgml_jax.process.drivers import Forcing
from kgml_jax.records import quantities
from kgml_jax.sites import TEST, TRAIN, VALIDATION, Calendar
from kgml_jax.split import DividedSites

KINDS = (CROP, GRASS, MONTHLY)
TRUTH = np.array([[0.6, -0.3, 0.5], [-0.5, 0.4, -0.6], [0.4, 0.3, 0.4]])


def calendar_of(dates):
    stamps = pd.DatetimeIndex(dates)
    columns = (stamps.year, stamps.day_of_year, stamps.year - stamps.year[0])
    year, of_year, index = (jnp.asarray(np.asarray(one), jnp.int32) for one in columns)
    days = jnp.asarray((stamps - pd.Timestamp(0)).days, jnp.int32)
    return Calendar(date=days, year=year, day_of_year=of_year, year_index=index)


def test_the_mean_of_a_month_stands_on_its_last_day():
    # From within a month and over a leap year; 2000 is one, 1900 is none.
    spans = (("2003-11-20", "2005-03-05"), ("2000-01-01", "2000-12-31"))
    for first, last in (*spans, ("1900-01-01", "1900-12-31")):
        dates = pd.date_range(first, last)
        daily = np.random.default_rng(0).normal(3, 2, len(dates))
        found = np.asarray(so_far(jnp.asarray(daily), calendar_of(dates), MONTH))
        months = pd.Series(daily, dates).groupby([dates.year, dates.month])
        expected = months.expanding().mean().to_numpy()
        np.testing.assert_allclose(found, expected, atol=1e-3)  # float32 sum over 500 days


def test_eight_days_are_counted_from_new_year_and_the_last_are_fewer():
    dates = pd.date_range("2003-12-20", "2005-01-10")
    daily = np.random.default_rng(0).normal(3, 2, len(dates))
    found = np.asarray(so_far(jnp.asarray(daily), calendar_of(dates), EIGHT_DAYS))
    eights = pd.Series(daily, dates).groupby([dates.year, (dates.day_of_year - 1) // 8])
    np.testing.assert_allclose(found, eights.expanding().mean().to_numpy(), atol=1e-3)
    starts = np.array(["2004-01-01", "2004-12-18", "2004-12-26"], "datetime64[D]")
    expected = np.array(["2004-01-08", "2004-12-25", "2004-12-31"], "datetime64[D]")
    np.testing.assert_array_equal(last_days(starts, EIGHT_DAYS), expected)


def test_only_named_fluxes_of_sites_of_a_group_are_means():
    table = toys.sites(count=2, years=2)
    model = PeriodModel(SlopeModel(), ((1, (("Reco", MONTH),)),))
    weights = model.init(jax.random.key(0))
    weights["process"] = weights["process"] | {NAMES[0]: jnp.asarray(1.0)}
    own = table.site.replace(group=np.array([0, 1], np.int32))
    reported = jax.vmap(model.predict, in_axes=(None, 0))(weights, own)["Reco"]
    daily = jax.vmap(SlopeModel().predict, in_axes=(None, 0))(weights, own)["Reco"]
    np.testing.assert_array_equal(reported[0], daily[0])
    np.testing.assert_allclose(reported[1, 30], np.mean(daily[1, :31]), rtol=1e-5)
    assert not np.allclose(reported[1], daily[1])
    others = jax.vmap(PeriodModel(SlopeModel(), ((1, (("NEE", MONTH),)),)).predict, (None, 0))
    np.testing.assert_array_equal(others(weights, own)["Reco"], daily)


def test_means_of_months_become_observations_of_their_last_days():
    months = pd.date_range("2001-01-01", periods=24, freq="MS").to_numpy().astype("datetime64[D]")
    dates = np.arange("2001-01-01", "2002-11-16", dtype="datetime64[D]")
    found = on_last_days(np.arange(24.0), months, dates, MONTH)
    seen = np.isfinite(found)
    # November 2002 is not over.
    np.testing.assert_array_equal(
        dates[seen].astype("datetime64[M]").astype(int) % 12, [*range(12), *range(10)]
    )
    assert dates[seen][13] == np.datetime64("2002-02-28")
    np.testing.assert_array_equal(found[seen], np.arange(22))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"arms": ("recurrent-synthetic",), "protocol": "leave-site-out"},
            "--arms recurrent-synthetic: leave-site-out has climatology",
        ),
        ({"folds": 1}, "--folds, --seeds are 1, 5; expected"),
        ({"years": 1}, "--years is 1; expected"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        program.main(program.TowersConfig(run=tmp_path / "run", **change))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("history", [SELHAUSEN, *GRASSLANDS], ids=lambda history: history.site)
def test_histories_are_possible_management(history):
    first, last = history.seasons[0].planted[:4], history.seasons[-1].harvested[:4]
    dates = np.arange(f"{int(first) - 1}-01-01", f"{int(last) + 1}-01-01", dtype="datetime64[D]")
    fields = management(history, dates)
    for name, values in fields.items():
        low, high = quantities(Forcing)[name].bounds or (0, len(crops.NAMES) - 1)
        assert low <= values.min()
        assert values.max() <= high, name
    assert fields["planting"].sum() == fields["harvest"].sum() == len(history.seasons)
    assert len(crop_years(history, dates)) == len(history.seasons)


def test_grass_stands_all_year_and_is_never_scored_as_a_crop():
    for history in GRASSLANDS:
        assert all(season.left_out for season in history.seasons)
        dates = np.arange(history.seasons[0].planted, history.seasons[0].harvested, dtype="M8[D]")
        fields = management(history, dates)
        assert np.all(fields["occupied"] == 1.0)
        assert fields["cut"].sum() == len(history.cuts)


def toy_towers(noise=0.0):
    """A crop, a grassland and a monthly crop, of a model in which everything is linear."""
    names = tuple(sorted(KINDS))
    table = known_sites(problem(), TRUTH, noise)
    group = np.array([names.index(kind) for kind in KINDS], np.int32)
    sites = dataclasses.replace(
        table, groups=KINDS, group_names=names, site=table.site.replace(group=group)
    )
    remark = lambda name: FieldHistory(name, {}, (), remark="invented")
    fields = tuple(MeasuredField(remark(name), xr.Dataset(), ()) for name in sites.names)
    monthly = group == names.index(MONTHLY)
    return Towers(fields, toy_split(with_monthly_targets(sites, monthly)))


def with_monthly_targets(sites, rows):
    site = sites.site
    calendar = jax.tree.map(lambda leaf: leaf[0], site.calendar)
    of_month = pd.to_datetime(np.asarray(calendar.date), unit="D")
    targets, mask = {}, {}
    for name, values in site.targets.items():
        whole = jax.vmap(partial(so_far, period=MONTH), in_axes=(0, None))(
            jnp.asarray(truth_of(name)), calendar
        )
        targets[name] = np.where(rows[:, None], whole, values).astype(values.dtype)
        mask[name] = np.where(rows[:, None], of_month.is_month_end, site.mask[name])
    return dataclasses.replace(sites, site=site.replace(targets=targets, mask=mask))


def truth_of(name):
    table = toys.sites(count=len(TRUTH), years=3)
    task = problem()
    weights = task.model.init(jax.random.key(0))
    whole = jax.vmap(task.predict, in_axes=(None, 0, 0))
    return whole(weights, jnp.asarray(TRUTH, jnp.result_type(float)), table.site)[name]


def toy_split(sites):
    year = np.asarray(sites.site.calendar.year)
    roles = np.select([year == 2001, year == 2002], [TRAIN, VALIDATION], TEST)
    return DividedSites.of_roles(sites, roles)


EFFORT = Effort(1, 1, search=Search(parameters=NAMES, folds=2, site_batch=2))


def test_days_and_months_determine_the_parameters_of_every_site(tmp_path):
    towers = toy_towers()
    found = models.calibrate("process", towers, EFFORT, tmp_path, process=RespiringModel())
    assert found["accepted"].values.tolist() == [1, 1, 1]
    assert found["identified"].values.min() == 1
    network = invented(towers, 1.0, [0.5, 0.5, 0.5], [1.0, 1.0, 1.0])
    scores = report.score({"process": found, "recurrent": network}, towers)
    assert np.isnan(scores["identified"].sel(model="recurrent")).all()
    after = scores["rmse"].sel(strategy=AFTER, model="process")
    before = scores["rmse"].sel(strategy=BEFORE, model="process")
    for variable in ("NEE", "Reco"):
        # Days pull harder on the prior than the twelve means of a month do.
        assert (after < 0.1 * before).sel(variable=variable).all()
    assert scores["n_observed"].isel(model=0, strategy=1, site=2).sel(variable="NEE") == 12
    assert not scores["harmed"].any()
    tables = report.grids(scores)
    assert all(len(row) == len(grid.columns) for grid in tables for row in grid.rows)
    intervals = next(grid for grid in tables if "inside 90 % intervals" in grid.title)
    assert [row[:3] for row in intervals.rows] == [
        (kind, "process", stream) for kind in ("crops", "grasslands") for stream in ("NEE", "Reco")
    ]
    # What is observed is the truth: no day lies outside of any interval.
    assert {cell.split(" of")[0] for row in intervals.rows for cell in row[3:5]} == {"100%"}
    flags = next(grid for grid in tables if grid.title.startswith("Parameters identified"))
    assert {row[2] for row in flags.rows} == {"3, 0, 0"}
    overview = tables[0]
    kinds = [row[:2] for row in overview.rows]
    assert kinds == [(k, m) for k in ("crops", "grasslands") for m in ("process", "recurrent")]
    assert overview.rows[0][-4:] == ("2 of 2", "2 of 2", "0 of 2", "3.00")
    assert overview.rows[3][-4:] == ("1 of 1", "1 of 1", "0 of 1", "-")


def test_errors_of_the_uncalibrated_model_are_told_apart_by_years_and_by_the_cold():
    towers = toy_towers()
    site = towers.sites.site
    off = np.where(towers.data.roles == TEST, 1.0, 0.5)
    simulated = {name: np.asarray(site.targets[name]) + off for name in ("NEE", "Reco")}
    errors = uncalibrated.error_grid(towers, simulated)
    assert [row[:2] for row in errors.rows[:2]] == [
        ("NEE", "earlier years"),
        ("NEE", "last two years"),
    ]
    assert [set(row[2:]) for row in errors.rows] == [{"0.500"}, {"1.00"}] * 2
    leaves = np.where(np.arange(3) == 1, 1.0, 0.0)[:, None] * np.ones_like(off)
    cold = uncalibrated.respiration_grid(towers, simulated | {uncalibrated.LEAF_AREA: leaves})
    assert [row[0] for row in cold.rows] == ["below 0", "0 to 5", "5 to 10", "10 to 15"]
    # The second tower has leaves all year, the means of months are too few.
    assert all(row[2] == row[3] == "-" for row in cold.rows)
    observed, modelled = map(float, cold.rows[1][1].split(", "))
    assert 0.45 < modelled - observed < 1.05


def test_test_years_do_not_weigh_observations():
    towers = toy_towers()
    roles = towers.data.roles
    weighed = data.with_model_errors(towers, 0.5, 30.0)
    site = towers.sites.site
    seen = np.asarray(site.mask["NEE"]) & (roles == TRAIN)
    spread = np.array([np.std(t[m]) for t, m in zip(site.targets["NEE"], seen, strict=True)])
    persistence = np.array([30.0, 30.0, 1.0])
    expected = np.sqrt(persistence * (0.3**2 + 0.25 * spread**2))
    own = weighed.sites.site.uncertainty["NEE"]
    np.testing.assert_allclose(own[:, 0], expected, rtol=1e-5)
    loud = {name: np.where(roles == TEST, 99.0, v) for name, v in site.targets.items()}
    altered = dataclasses.replace(towers.sites, site=site.replace(targets=loud))
    other = data.with_model_errors(Towers(towers.fields, toy_split(altered)), 0.5, 30.0)
    np.testing.assert_array_equal(other.sites.site.uncertainty["NEE"], own)


def invented(found, before, after, accepted):
    """A model without process parameters that is off by `before` and `after` everywhere."""
    truth = np.asarray(found.sites.site.targets["NEE"])
    off = np.stack([truth + before, truth + np.asarray(after)[:, None]])
    columns = {"NEE": (("strategy", "site", "day"), off)}
    coordinates = {"strategy": [BEFORE, AFTER], "site": list(found.sites.names)}
    return xr.Dataset(columns, coordinates).assign(accepted=("site", accepted))


def test_harm_is_counted_on_the_test_years_and_what_the_gate_kept_is_marked():
    found = toy_towers()
    model = invented(found, 1.0, [1.005, 1.0, 1.5], [1.0, 0.0, 1.0])
    scores = report.score({"recurrent": model}, found)
    assert scores["harmed"].values.tolist() == [[0, 0, 1]]
    cells = [row[2] for row in report.error_grid(scores, "NEE").rows]
    assert cells == ["1.00 > 1.00", "1.00 =", "1.00 > 1.50!"]
    crops, grass = report.overview_grid(scores).rows
    assert crops[-4:] == ("2 of 2", "0 of 2", "1 of 2", "-")
    assert grass[-4:] == ("0 of 1", "0 of 1", "0 of 1", "-")
    # A prediction that is not finite is harm, not a gap.
    broken = invented(found, 1.0, [np.nan, 1.0, 1.0], [1.0, 1.0, 1.0])
    scores = report.score({"recurrent": broken}, found)
    assert scores["harmed"].values.tolist() == [[1, 0, 0]]


def test_a_stopped_run_goes_on_with_the_arms_it_lacks(tmp_path, capsys):
    towers, calls = toy_towers(), []

    def predict(name, trial, choices, folder):
        calls.append(name)
        return invented(towers, 1.0, [0.5, 0.5, 0.5], [1.0, 1.0, 1.0])

    config = program.TowersConfig(run=tmp_path / "run", arms=("climatology", "process"))
    program.run(config, towers, predict)
    assert calls == ["climatology", "process"]
    (tmp_path / "run" / "process.nc").unlink()
    program.run(config, towers, predict)
    assert calls == ["climatology", "process", "process"]
    # Further arms may be asked for, and stand beside those that are there.
    more = dataclasses.replace(config, arms=("mean",))
    program.run(more, towers, predict)
    assert calls[3:] == ["mean"]
    with xr.open_dataset(tmp_path / "run" / "scores.nc") as scores:
        assert scores["arm"].values.astype(str).tolist() == ["climatology", "process", "mean"]
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"scores.nc", "tables.md", "towers.png", "split.json"} <= written
    assert "+50%" in (tmp_path / "run" / "tables.md").read_text()
    printed = capsys.readouterr().out
    assert "RMSE of NEE" in printed
    assert "Median R2 over towers" in printed


@pytest.mark.slow
def test_a_network_is_calibrated_again_where_a_run_stopped_after_its_checkpoint(tmp_path):
    task = ("recurrent", toy_towers(noise=0.3), EFFORT, tmp_path)
    first, again = (models.calibrate(*task) for _ in range(2))
    xr.testing.assert_identical(first, again)
    assert np.isfinite(first["NEE"]).all()


def test_records_of_one_year_are_refused(tmp_path):
    short = toys.sites(count=3, years=1)
    towers = Towers(toy_towers().fields, last_years(short).divide(short))
    with pytest.raises(ValueError, match="no record has two years, the last to hold out"):
        program.run(program.TowersConfig(run=tmp_path / "run", arms=("process",)), towers)
    assert not (tmp_path / "run").exists()


def test_an_unknown_tower_is_named(tmp_path):
    for name in ("fluxnet2015/a.csv", readers.MEAD_FORCING):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match="no tower DE-Hai; there are US-CRT, "):
        data.read(tmp_path, 8, ("DE-Hai",))


def test_european_towers_are_observed_by_days_and_by_eight_days(data_folder):
    found = data.read(data_folder, None, ("DE-RuS", "DE-Seh"))
    assert found.sites.groups == (CROP, EIGHT_DAILY)
    site = found.sites.site
    of_year = np.asarray(site.calendar.day_of_year)[1]
    for name, daily in (("GPP", True), ("ET", True), ("NEE", False), ("Reco", False)):
        seen = np.asarray(site.mask[name])[1]
        assert seen.sum() > (1500 if daily else 150), name
        assert daily == bool((of_year[seen] % 8 != 0).mean() > 0.5), name
    # Half a kilometre apart, so left out together.
    assert protocols.places(found.sites).tolist() == [0, 0]
    with pytest.raises(DataError, match="all towers are of one place"):
        protocols.make("leave-site-out", found, 5)


def test_real_towers_have_crops_and_observations_in_every_role(data_folder):
    found = data.read(data_folder, 6, ("DE-Seh", "CN-Cng", "US-Ne3"))
    assert found.sites.groups == (CROP, GRASS, MONTHLY)
    roles = found.data.roles
    for name in data.STREAMS:
        mask = np.asarray(found.sites.site.mask[name])
        for role in (TRAIN, VALIDATION, TEST):
            assert (mask & (roles == role)).any(axis=1).all(), (name, role)
    # 2001 was seldom measured: five years of months are left.
    assert np.asarray(found.sites.site.mask["NEE"])[2].sum() == 60
    occupied = np.asarray(found.sites.site.forcing.occupied)
    assert (occupied.mean(axis=1) > 0.2).all()
    grid = data.split_grid(found)
    assert grid.rows[0][2:5] == ("2007", "2008", "2009-2010")


def test_places_far_from_those_that_were_learnt_from_are_told():
    found = toy_towers()
    scales = tuple(Scale(name, *at) for name, at in {"latitude": (40, 2), "sand": (0.3, 5)}.items())
    scaling = Scaling((*scales, Scale("wind_speed", 0.0, 0.001)), ())
    attributes = found.sites.site.attributes
    moved = dataclasses.replace(attributes, latitude=np.array([42.0, 50.0, -36.0], np.float32))
    sites = dataclasses.replace(found.sites, site=found.sites.site.replace(attributes=moved))
    grid = report.distance_grid(Towers(found.fields, toy_split(sites)), scaling)
    # The wind blows on one day and is no attribute.
    assert [row[1:] for row in grid.rows] == [
        ("latitude", "1.00"),
        ("latitude", "5.00"),
        ("latitude", "38.0"),
    ]
