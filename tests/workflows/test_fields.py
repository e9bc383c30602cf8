"""Fields are predicted by their own parameters or by others', and what is doubtful is flagged."""

from dataclasses import replace

import jax
import numpy as np
import pytest
import toys

from kgml_jax.errors import DataError
from kgml_jax.models import envelope
from kgml_jax.models.features import DYNAMIC_INPUTS, fit_scaling
from kgml_jax.models.process import ProcessModel
from kgml_jax.runs.fitted import Calibrated, Pretrained
from kgml_jax.sites import Place, Sites
from kgml_jax.training.strategies import STRATEGIES
from kgml_jax.workflows.annual import annual_sums
from kgml_jax.workflows.field_tables import field_table
from kgml_jax.workflows.fields import FLAGS, predict_fields

PLACES = (Place(40.0, -90.0), Place(42.0, -93.0), Place(50.0, 8.0), Place(40.5, -90.0))


@pytest.fixture(scope="module")
def data():
    """Four sites, alternately of the groups IA and IL; the last lies near the first."""
    return toys.divided(replace(toys.sites(count=4, years=3), places=PLACES))


@pytest.fixture(scope="module")
def base(data):
    model = toys.ToyModel()
    weights = jax.tree.map(np.asarray, model.init(jax.random.key(0)))
    scaling = fit_scaling(DYNAMIC_INPUTS, data)
    seen = envelope.of_training(DYNAMIC_INPUTS, data)
    return Pretrained(model, weights, scaling, data.split, 1.0, "equal", 60, envelope=seen)


@pytest.fixture(scope="module")
def fitted(base, data):
    """The first three sites, shifted by 1, 2 and 3; the third found nothing better."""
    shift = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]], np.float32)
    names = data.sites.names[:3]
    return Calibrated(
        base=base,
        strategy="bias",
        units=tuple((name,) for name in names),
        phi={"calibration/output_shift": {"shift": shift}},
        moved=np.array([True, True, False]),
        places=dict(zip(names, PLACES, strict=False)),
        groups=dict(zip(names, data.sites.groups, strict=False)),
    )


def reco_above_pretrained(fitted, sites, unknown):
    """By how much Reco is shifted from the pretrained model, (site,)."""
    found = predict_fields(fitted, sites, unknown)
    pretrained = predict_fields(fitted.base, sites)
    shift = found.daily["Reco"] - pretrained.daily["Reco"]
    return found, np.asarray(shift.mean("time"))


def test_calibrated_sites_take_their_own_and_others_the_pretrained_model(fitted, data):
    found, shift = reco_above_pretrained(fitted, data.sites, "pretrained")
    np.testing.assert_allclose(shift, [1.0, 2.0, 0.0, 0.0], atol=1e-5)  # float32
    assert found.lenders.names == ("its own", "its own", "its own", "pretrained model")
    assert np.isnan(found.lenders.distance).all()


def test_a_new_field_takes_what_the_nearest_site_owns(fitted, data):
    found, shift = reco_above_pretrained(fitted, data.sites, "nearest")
    np.testing.assert_allclose(shift, [1.0, 2.0, 0.0, 1.0], atol=1e-5)
    assert found.lenders.names[3] == data.sites.names[0]
    # Half a degree of latitude on a sphere of 6371 km.
    assert found.lenders.distance[3] == pytest.approx(55.6, abs=0.05)
    assert found.daily["parameters_from"].values[3] == data.sites.names[0]
    assert found.daily["distance"].attrs["units"] == "km"


def test_a_lender_of_another_vegetation_is_told(fitted, data):
    places = {name: replace(place, vegetation="GRA") for name, place in fitted.places.items()}
    field = tuple(replace(place, vegetation="CRO") for place in data.sites.places)
    found = predict_fields(
        replace(fitted, places=places), replace(data.sites, places=field), "nearest"
    )
    assert found.lenders.unlike == ("", "", "", "GRA for CRO")
    remarks = field_table(found)["remarks"].tolist()
    assert [text == "parameters of GRA for CRO" for text in remarks] == [False, False, False, True]


def test_a_new_field_takes_the_mean_of_its_group(fitted, data):
    groups = dict.fromkeys(fitted.groups, data.sites.groups[3])
    everyone = replace(fitted, groups=groups, moved=np.array([True, True, True]))
    found, shift = reco_above_pretrained(everyone, data.sites, "group")
    assert shift[3] == pytest.approx(2.0, abs=1e-5)
    assert found.lenders.names[3] == f"group {data.sites.groups[3]} (3 sites)"


def test_a_field_whose_group_has_no_calibrated_site_takes_the_pretrained_model(fitted, data):
    found, shift = reco_above_pretrained(
        replace(fitted, groups=dict.fromkeys(fitted.groups, "elsewhere")), data.sites, "group"
    )
    assert shift[3] == 0.0
    assert found.lenders.names[3] == "pretrained model"


def test_a_group_that_was_fitted_as_one_lends_what_it_owns(fitted, data):
    together = replace(
        fitted,
        strategy="group-only",
        units=((data.sites.names[0], data.sites.names[2]), (data.sites.names[1],)),
        phi=jax.tree.map(lambda leaf: np.stack([leaf] * 2), zeros(fitted.base.weights)),
        start=fitted.base.weights,
    )
    found = predict_fields(together, data.sites, "group")
    assert found.lenders.unit_of[data.sites.names[3]] == 1
    assert data.sites.groups[3] == data.sites.groups[1]


def zeros(weights):
    way = STRATEGIES["group-only"].adaptation
    return jax.tree.map(np.asarray, way.init(weights))


@pytest.mark.parametrize("strategy", ["site-only", "low-rank"])
def test_what_has_no_meaningful_mean_is_not_averaged(fitted, data, strategy):
    with pytest.raises(ValueError, match=f"by {strategy} has no meaningful mean"):
        predict_fields(replace(fitted, strategy=strategy), data.sites, "group")


def test_without_places_no_site_is_nearest(fitted, data):
    nowhere = replace(data.sites, places=())
    with pytest.raises(DataError, match=rf"{data.sites.names[3]}.*lat and lon"):
        predict_fields(fitted, nowhere, "nearest")
    with pytest.raises(ValueError, match="where the calibrated sites lie"):
        predict_fields(replace(fitted, places={}), data.sites, "nearest")


def test_a_pretrained_model_has_no_site_to_lend(base, data):
    with pytest.raises(ValueError, match="holds no calibrated sites"):
        predict_fields(base, data.sites, "nearest")


def test_an_unknown_choice_is_named(fitted, data):
    with pytest.raises(ValueError, match="there are pretrained, nearest, group"):
        predict_fields(fitted, data.sites, "best")  # type: ignore[arg-type]


def test_the_process_model_needs_a_calendar(base, data):
    bare = without_calendar(data.sites, 1)
    process = replace(base, model=ProcessModel(), stored_fingerprint="process")
    with pytest.raises(DataError, match=rf"{data.sites.names[1]}.*no crop calendar"):
        predict_fields(process, bare)


def without_calendar(sites: Sites, row: int) -> Sites:
    occupied = np.array(sites.site.forcing.occupied)
    occupied[row] = 0.0
    forcing = sites.site.forcing.replace(occupied=occupied)
    return replace(sites, site=sites.site.replace(forcing=forcing))


def test_days_say_what_of_them_lies_outside(fitted, data):
    daily = predict_fields(fitted, without_calendar(data.sites, 1)).daily
    flags = daily["outside"].values
    assert daily["outside"].attrs["flag_meanings"].split() == list(FLAGS)
    assert (flags[:, :60] & FLAGS["start_of_record"]).all()
    assert not (flags[:, 60:] & FLAGS["start_of_record"]).any()
    assert not (flags & FLAGS["no_record"]).any()
    assert daily["site_outside"].values.tolist() == [0, 4, 0, 0]


def shortened(sites: Sites, row: int, days: int) -> Sites:
    valid = np.array(sites.site.valid)
    valid[row, days:] = False
    return replace(sites, site=sites.site.replace(valid=valid))


def test_annual_sums_count_their_days(fitted, data):
    daily = predict_fields(fitted, shortened(data.sites, 2, 400)).daily
    annual = annual_sums(daily)
    assert annual["time"].dt.year.values.tolist() == [2001, 2002, 2003]
    assert annual["days"].values[2].tolist() == [365, 35, 0]
    meanings = annual["year_status"].attrs["flag_meanings"].split()
    status = [[meanings[code] for code in row] for row in annual["year_status"].values]
    assert status[0] == ["whole_from_start_of_record", "whole", "whole"]
    assert status[2] == ["whole_from_start_of_record", "partial", "none"]
    expected = daily["NEE"].values[0, 365:730].sum(dtype=np.float64)
    assert annual["NEE"].values[0, 1] == pytest.approx(expected, rel=1e-6)  # float32
    assert annual["NEE"].attrs["units"] == "g m-2"
    assert annual["NEE"].attrs["cell_methods"] == "time: sum"
    assert np.isnan(annual["NEE"].values[2, 2])
    bounds = annual["time_bnds"].values.astype("datetime64[D]").astype(str)
    assert bounds[1].tolist() == ["2002-01-01", "2003-01-01"]


def test_days_outside_of_a_year_are_counted_without_its_first_days(fitted, data):
    hot = np.array(data.sites.site.forcing.air_temperature_mean)
    hot[0, 10:14] = 70.0
    forcing = data.sites.site.forcing.replace(air_temperature_mean=hot)
    sites = replace(data.sites, site=data.sites.site.replace(forcing=forcing))
    usual = annual_sums(predict_fields(fitted, data.sites).daily)["days_outside"].values
    annual = annual_sums(predict_fields(fitted, sites).daily)
    assert (annual["days_outside"].values - usual)[0].tolist() == [4, 0, 0]
