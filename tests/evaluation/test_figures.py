import sys

import numpy as np
import pytest

from kgml_jax.evaluation import figures, scores
from kgml_jax.sites import TEST

PNG = b"\x89PNG"


def is_a_figure(path):
    return path.read_bytes()[:4] == PNG and path.stat().st_size > 5_000


def test_time_series_is_drawn_with_and_without_a_split(tmp_path, sites, roles, predictions):
    whole = figures.time_series(
        tmp_path / "new" / "series.png", sites, predictions, "US-01", "NEE", roles=roles
    )
    year = figures.time_series(
        tmp_path / "year.png",
        sites,
        {**predictions, "other": {}},
        "US-01",
        "NEE",
        period=("2005-01-01", "2005-12-31"),
    )
    assert is_a_figure(whole)
    assert is_a_figure(year)


def test_unknown_site_is_refused(tmp_path, sites, predictions):
    with pytest.raises(KeyError, match="US-00"):
        figures.time_series(tmp_path / "series.png", sites, predictions, "FR-01", "NEE")


def test_scatter_is_drawn_though_a_prediction_failed(tmp_path, sites, roles, predictions):
    failed = {"NEE": np.full(roles.shape, np.nan)}
    path = tmp_path / "scatter.png"
    figures.scatter(path, sites, {**predictions, "failed": failed}, "NEE", roles == TEST)
    assert is_a_figure(path)
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.scatter(path, sites, predictions, "NEE", roles == 9)


@pytest.mark.parametrize("metric", ["rmse", "nse", "bias"])
def test_gain_per_site_is_drawn_whatever_the_direction(tmp_path, sites, roles, predictions, metric):
    values = scores.score(predictions, sites, roles == TEST)[metric].sel(variable="GPP")
    values[1, 0] = np.nan
    path = figures.gain_per_site(tmp_path / "gain.png", values, "pretrained", "calibrated")
    assert is_a_figure(path)


def test_learning_curves_take_one_loss_or_one_per_site(tmp_path):
    losses = np.exp(-np.arange(20) / 5)
    pooled = [{"step": step, "train_loss": float(loss)} for step, loss in enumerate(losses)]
    pooled[-1]["validation_loss"] = 0.3
    spread = np.array([0.5, 1.0, 2.0, np.nan])
    per_site = [
        {"step": step, "train_loss": loss * spread, "validation_loss": None}
        for step, loss in enumerate(losses)
    ]
    assert is_a_figure(figures.learning_curves(tmp_path / "pooled.png", pooled))
    assert is_a_figure(figures.learning_curves(tmp_path / "sites.png", per_site))


def test_absent_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"kgml_jax\[plot\]"):
        figures.learning_curves(tmp_path / "curves.png", [{"step": 0, "train_loss": 1.0}])


def test_an_empty_period_is_refused(tmp_path, sites, predictions):
    with pytest.raises(ValueError, match="no day in"):
        figures.time_series(
            tmp_path / "series.png",
            sites,
            predictions,
            "US-00",
            "NEE",
            period=("1990-01-01", "1990-12-31"),
        )
