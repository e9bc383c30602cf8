from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from kgml_jax.cli import drawings, report
from kgml_jax.errors import DataError
from kgml_jax.models.features import Scale, Scaling
from kgml_jax.split import DividedSites
from kgml_jax.workflows import evaluation, prediction_file

SCALING = Scaling(
    inputs=(), targets=(Scale("GPP", 0.0, 4.0), Scale("Reco", 0.0, 2.0), Scale("NEE", 0.0, 3.0))
)


@pytest.fixture
def data(sites, roles):
    return DividedSites.of_roles(sites, roles)


@pytest.fixture
def found(data, predictions):
    return evaluation.assess(predictions, data, SCALING)


def silenced(data, name, variables=("GPP", "Reco", "NEE")):
    """The sites with no observation of some variables at one of them."""
    row = data.sites.names.index(name)
    mask = {key: np.array(days) for key, days in data.sites.site.mask.items()}
    for variable in variables:
        mask[variable][row] = False
    site = data.sites.site.replace(mask=mask)
    return replace(data, sites=replace(data.sites, site=site))


def row_of(strategy, known):
    own = {"median_mse": 0.5, "median_mse_known_sites": known, "median_mse_new_sites": float("nan")}
    return {
        **own,
        "median_r2": 0.8,
        "pooled_mse": 0.6,
        "balance_residual": 1e-7,
        "sites_accepted": 3 if strategy == "ftbsc" else None,
        "sites_harmed_on_test": 1,
        "sites_not_finite": 0,
        "seconds": 2.0,
    }


def test_what_has_no_meaning_for_a_strategy_is_a_dash():
    names = ("pretrained", "ftbsc", "site-only")
    grid = report.outcome_grid({name: row_of(name, 0.4) for name in names}, "pretrained")
    cells = {row[0]: dict(zip(grid.columns, row, strict=True)) for row in grid.rows}
    assert [cells[name]["accepted"] for name in names] == ["-", "3", "-"]
    assert [cells[name]["worse than pretrained"] for name in names] == ["-", "1", "1"]
    # No site is new, and no number is a bare nan.
    assert {cells[name]["mse, new sites"] for name in names} == {"-"}
    assert not any("nan" in cell for row in grid.rows for cell in row)
    assert cells["ftbsc"]["mse of all days"] == "0.600"


def test_only_sites_and_days_with_observations_are_said_to_be_scored(data, predictions):
    quiet = silenced(data, "US-02")
    found = evaluation.assess(predictions, quiet, SCALING)
    assert found.scored_sites == ["US-00", "US-01", "US-03"]
    seen = np.any([quiet.sites.site.mask[name] for name in ("GPP", "Reco", "NEE")], axis=0)
    assert found.scored_days == (seen & quiet.test_days).sum()
    assert found.scored_days < quiet.test_days.sum()
    table = report.site_grid(found.results)
    assert all(row[table.columns.index("US-02")] == "-" for row in table.rows)


def test_sites_to_draw_are_checked_by_name(data):
    drawings.require_sites(("all",), data)
    drawings.require_sites(("US-01", "US-03"), data)
    with pytest.raises(DataError, match=r"FR-01.*--draw names sites that are not there.*US-00"):
        drawings.require_sites(("US-01", "FR-01"), data)


def test_sites_are_drawn_by_name_or_all_or_the_telling_ones(data, found, tmp_path):
    assert drawings.drawn_sites(found, ("US-02",)) == ["US-02"]
    assert drawings.drawn_sites(found, ("all",)) == list(data.sites.names)
    errors = found.results["standardised_mse"].sel(strategy="calibrated").to_series()
    telling = drawings.drawn_sites(found, ())
    assert telling[0] == errors.idxmin()
    assert telling[-1] == errors.idxmax()
    rows = '{"step": 1, "train_loss": 1, "validation_loss": 1}\n' * 2
    (tmp_path / "metrics.jsonl").write_text(rows)
    drawings.draw(tmp_path / "figures", found, ("US-02",))
    variables = [str(name) for name in found.results["variable"].values]
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        *(f"scatter_{name}.png" for name in variables),
        "errors.png",
        "gain_calibrated.png",
        "learning_pretraining.png",
        "series_NEE_US-02.png",
        "series_Reco_US-02.png",
    }


def test_few_lines_are_drawn_the_reference_among_them(data, predictions):
    errors = [0.9, 0.5, 0.2, 0.4, 0.1, 0.3]
    names = ["pretrained", "a", "b", "c", "d", "e"]
    results = xr.Dataset(
        {"standardised_mse": (("strategy", "site"), np.tile(errors, (2, 1)).T)},
        {"strategy": names, "site": ["x", "y"]},
    )
    assert drawings.telling_strategies(results, "pretrained") == ["pretrained", "b", "d", "e"]


def test_a_file_of_predictions_stands_on_dates(data, predictions, tmp_path):
    short = np.array(data.sites.site.valid)
    short[1, 800:] = False
    sites = replace(data.sites, site=data.sites.site.replace(valid=short))
    cut = DividedSites.of_roles(sites, data.roles)
    arms = {**predictions, "partly": {"NEE": predictions["calibrated"]["NEE"]}}
    table = prediction_file.of_strategies(arms, cut)
    assert table["NEE"].dims == ("strategy", "site", "time")
    assert table["NEE_observed"].dims == ("site", "time")
    assert str(table["time"].values[0])[:10] == "2004-01-01"
    assert table["time"].attrs["standard_name"] == "time"
    assert np.isnan(table["NEE"].sel(site="US-01")[:, 800:]).all()
    assert np.isnan(table["GPP"].sel(strategy="partly")).all()
    np.testing.assert_array_equal(
        table["NEE"].sel(strategy="calibrated", site="US-02"),
        predictions["calibrated"]["NEE"][2].astype(np.float32),
    )
    np.testing.assert_array_equal(table["scored"], cut.test_days)
    seen = np.isfinite(table["NEE_observed"].values)
    np.testing.assert_array_equal(seen, cut.sites.site.mask["NEE"] & short)
    table.to_netcdf(tmp_path / "predictions.nc")
    with xr.open_dataset(tmp_path / "predictions.nc") as read:
        xr.testing.assert_equal(read, table)
