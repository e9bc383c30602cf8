import sys

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_hex

from kgml_jax.evaluation import canvas, figures
from kgml_jax.evaluation.styles import SHADES, STYLES
from kgml_jax.sites import TEST, TRAIN, VALIDATION
from kgml_jax.split import DividedSites

PNG = b"\x89PNG"


@pytest.fixture
def data(sites, roles):
    return DividedSites.of_roles(sites, roles)


def legend(figure):
    (found,) = figure.legends
    return [text.get_text() for text in found.get_texts()]


def lines(axes):
    return {line.get_label(): line for line in axes.get_lines()}


def test_a_figure_becomes_a_file_in_a_new_folder(tmp_path, data, predictions):
    figure = figures.time_series(data, predictions, "US-01", "NEE")
    path = canvas.save(figure, tmp_path / "new" / "series.png")
    assert path.read_bytes()[:4] == PNG
    assert path.stat().st_size > 5_000


def test_every_year_has_a_panel_with_the_days_of_that_year(data, predictions):
    figure = figures.time_series(data, predictions, "US-01", "NEE", smoothing=1)
    panels = [axes for axes in figure.axes if axes.has_data()]
    assert [axes.texts[0].get_text() for axes in panels] == ["2004", "2005", "2006"]
    second = lines(panels[1])
    x, y = second["calibrated"].get_data()
    np.testing.assert_array_equal(x, np.arange(1, 366))
    np.testing.assert_array_equal(y, predictions["calibrated"]["NEE"][1, 366:731])
    seen = np.asarray(data.sites.site.mask["NEE"])[1, 366:731]
    dots_x, dots_y = second["observed days"].get_data()
    np.testing.assert_array_equal(dots_x, np.flatnonzero(seen) + 1)
    np.testing.assert_array_equal(
        dots_y, np.asarray(data.sites.site.targets["NEE"])[1, 366:731][seen]
    )


def test_roles_are_shaded_and_named_where_a_split_is_given(data, predictions):
    figure = figures.time_series(data, predictions, "US-01", "NEE")
    named = [SHADES[role][0] for role in (TRAIN, VALIDATION, TEST)]
    assert legend(figure) == ["pretrained", "calibrated", "observed days", *named]
    bare = figures.time_series(data.sites, predictions, "US-01", "NEE")
    assert legend(bare) == ["pretrained", "calibrated", "observed days"]


def test_a_strategy_has_its_colour_and_observations_are_black_dots(data, predictions):
    figure = figures.time_series(data, {**predictions, "other": {}}, "US-01", "NEE")
    drawn = lines(figure.axes[0])
    for name in ("pretrained", "calibrated"):
        assert to_hex(drawn[name].get_color()).lower() == STYLES[name].colour.lower()
    assert drawn["observed days"].get_color() == "black"
    assert drawn["observed days"].get_linestyle() == "None"
    assert "other" not in drawn


def test_lines_are_running_means_over_known_days(data):
    days = data.roles.shape[1]
    steps = np.tile(np.arange(days, dtype=float), (len(data), 1))
    steps[:, 100] = np.nan
    year = ("2005-01-01", "2005-12-31")
    figure = figures.time_series(
        data, {"mine": {"NEE": steps}}, "US-01", "NEE", period=year, smoothing=5
    )
    _, drawn = lines(figure.axes[0])["mine"].get_data()
    # The mean of a straight line is its middle, but where the window meets the end of the period.
    np.testing.assert_allclose(drawn[2:-2], np.arange(368, 729))
    np.testing.assert_allclose(drawn[[0, -1]], [367.0, 729.0])
    whole = figures.time_series(data, {"mine": {"NEE": steps}}, "US-01", "NEE", smoothing=5)
    _, first = lines(whole.axes[0])["mine"].get_data()
    np.testing.assert_allclose(
        first[[98, 99]], np.array([96 + 97 + 98 + 99, 97 + 98 + 99 + 101]) / 4
    )
    assert np.isnan(first[100])


def test_intervals_are_drawn_where_they_are_known(data, predictions):
    shape = data.roles.shape
    fluxes = {
        "estimated": {"NEE": np.zeros(shape), "NEE_sd": np.full(shape, 2.0)},
        "mine": {
            "NEE": np.ones(shape),
            "NEE_lower": np.zeros(shape),
            "NEE_upper": np.full(shape, 3),
        },
        "pretrained": predictions["pretrained"],
    }
    figure = figures.time_series(data, fluxes, "US-01", "NEE")
    bands = {band.get_label(): band for band in figure.axes[0].collections}
    assert set(bands) == {"estimated, 90 % interval of a day", "mine, 90 % interval of a day"}
    ends = [
        (band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max())
        for band in bands.values()
    ]
    # 1.645 standard deviations of a Gaussian hold 90 %.
    np.testing.assert_allclose(ends, [(-3.29, 3.29), (0.0, 3.0)])


def test_a_data_set_is_drawn_by_its_dates(data, predictions):
    dates = np.asarray(data.sites.site.calendar.date)[0].astype("datetime64[D]")
    later = xr.Dataset(
        {"NEE": (("site", "time"), predictions["calibrated"]["NEE"][[2, 1]][:, 366:])},
        {"site": ["US-02", "US-01"], "time": dates[366:].astype("datetime64[ns]")},
    )
    figure = figures.time_series(data, {"calibrated": later}, "US-01", "NEE", smoothing=1)
    first, second = (lines(axes)["calibrated"].get_data()[1] for axes in figure.axes[:2])
    assert np.isnan(first).all()
    np.testing.assert_array_equal(second, predictions["calibrated"]["NEE"][1, 366:731])


def test_unknown_site_is_refused(sites, predictions):
    with pytest.raises(KeyError, match="US-00"):
        figures.time_series(sites, predictions, "FR-01", "NEE")


def test_an_empty_period_is_refused(sites, predictions):
    with pytest.raises(ValueError, match="no day in"):
        figures.time_series(sites, predictions, "US-00", "NEE", period=("1990-01-01", "1990-12-31"))


def test_learning_curves_take_one_loss_or_one_per_site():
    losses = np.exp(-np.arange(20) / 5)
    pooled = [{"step": step, "train_loss": float(loss)} for step, loss in enumerate(losses)]
    pooled[-1]["validation_loss"] = 0.3
    spread = np.array([0.5, 1.0, 2.0, np.nan])
    per_site = [
        {"step": step, "train_loss": loss * spread, "validation_loss": None}
        for step, loss in enumerate(losses)
    ]
    one = lines(figures.learning_curves(pooled).axes[0])
    np.testing.assert_allclose(one["training"].get_ydata(), losses)
    assert one["validation"].get_xdata().tolist() == [19]
    figure = figures.learning_curves(per_site, "ftbsc")
    np.testing.assert_allclose(lines(figure.axes[0])["training"].get_ydata(), losses)
    assert legend(figure) == ["training", "training, quartiles of sites"]


def test_absent_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"kgml_jax\[plot\]"):
        figures.learning_curves([{"step": 0, "train_loss": 1.0}])
