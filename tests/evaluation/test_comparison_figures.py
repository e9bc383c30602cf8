import numpy as np
import pytest

from kgml_jax.evaluation import comparison_figures, scores
from kgml_jax.sites import TEST

SCALE = {"GPP": 4.0, "Reco": 2.0, "NEE": 3.0}


@pytest.fixture
def results(sites, roles, predictions):
    found = scores.score(predictions, sites, roles == TEST)
    return found.assign(standardised_mse=scores.standardised_mse(found, SCALE))


def texts(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_scatter_is_drawn_though_a_prediction_failed(sites, roles, predictions):
    failed = {"NEE": np.full(roles.shape, np.nan)}
    arms = {**predictions, "failed": failed, "ftbsc": predictions["calibrated"], "more": failed}
    figure = comparison_figures.scatter(sites, arms, "NEE", roles == TEST)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert [title.split("\n")[0] for title in titles] == [*arms]
    assert titles[2].endswith("R² -, RMSE -")
    # Two rows of at most four panels, three of them empty, and the bar of colours.
    assert len(figure.axes) == 9
    with pytest.raises(ValueError, match="nothing to draw"):
        comparison_figures.scatter(sites, predictions, "NEE", roles == 9)


@pytest.mark.parametrize("metric", ["rmse", "r2", "bias"])
def test_gains_are_sorted_and_counted_whatever_the_direction(results, metric):
    values = results[metric].sel(variable="GPP").copy()
    values[1, 0] = np.nan
    figure = comparison_figures.gain_per_site(values, "pretrained", "calibrated")
    (axes,) = figure.axes
    assert axes.get_title() == "sites without a value, not drawn: 1"
    old, new = (line.get_xdata() for line in axes.get_lines())
    gains = {"rmse": old - new, "r2": new - old, "bias": abs(old) - abs(new)}[metric]
    assert (np.diff(gains) >= 0).all()
    worse, better = (gains < 0).sum(), (gains > 0).sum()
    assert texts(figure)[-1] == f"worse at {worse}, better at {better} of 3 sites"


def test_new_sites_are_marked(results):
    values = results["standardised_mse"].assign_coords(known=("site", [1, 0, 1, 1]))
    figure = comparison_figures.gain_per_site(values, "pretrained", "calibrated")
    names = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    assert names == {"US-00", "US-01 (new)", "US-02", "US-03"}


def test_errors_of_known_and_new_sites_stand_apart(results):
    together = comparison_figures.errors_by_strategy(results)
    assert [axes.get_title() for axes in together.axes] == ["4 sites"]
    found = results.assign(known=("site", [1.0, 0.0, 1.0, 1.0]))
    apart = comparison_figures.errors_by_strategy(found)
    assert [axes.get_title() for axes in apart.axes] == ["3 known sites", "1 new sites"]
    labels = [label.get_text() for label in apart.axes[0].get_xticklabels()]
    assert labels == ["pretrained", "calibrated"]
    known = results["standardised_mse"].sel(site=["US-00", "US-02", "US-03"])
    drawn = np.sort(apart.axes[0].get_lines()[0].get_ydata())
    np.testing.assert_allclose(drawn, np.sort(known.sel(strategy="pretrained")))
