"""Scores of data sets, by the names that models and observations give their variables."""

import numpy as np
import pytest
import toys
import xarray as xr

from kgml_jax.workflows.scoring import score_datasets


@pytest.fixture(scope="module")
def data():
    return toys.divided()


def daily(data, **values):
    dates = np.asarray(data.sites.site.calendar.date[0]).astype("datetime64[D]")
    coords = {"site": list(data.sites.names), "time": dates.astype("datetime64[ns]")}
    return xr.Dataset({name: (("site", "time"), array) for name, array in values.items()}, coords)


def test_what_the_process_model_calls_its_fluxes_is_scored_as_the_observed_variable(data):
    targets = {name: np.asarray(values) for name, values in data.sites.site.targets.items()}
    predicted = daily(data, NEE=targets["NEE"] + 0.5, Reco=targets["Reco"])
    simulated = daily(
        data,
        net_ecosystem_exchange=targets["NEE"] + 0.5,
        ecosystem_respiration=targets["Reco"],
        transpiration=targets["Reco"],
    )
    scores = score_datasets({"network": predicted, "process": simulated}, data)
    assert scores["variable"].values.tolist() == ["Reco", "NEE"]
    bias = scores["bias"].sel(variable="NEE")
    np.testing.assert_allclose(bias, 0.5, rtol=1e-5)  # float32
    np.testing.assert_array_equal(scores["rmse"].sel(variable="Reco"), 0.0)


def test_a_data_set_without_what_can_be_observed_is_refused_with_what_it_holds(data):
    stored = daily(data, transpiration=np.ones(data.roles.shape))
    with pytest.raises(ValueError, match=r"process holds no daily GPP.*only transpiration"):
        score_datasets({"process": stored}, data)
