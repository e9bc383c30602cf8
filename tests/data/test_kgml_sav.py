"""Dictionaries of KGML-ag come back as sites of the schema: units, signs, days, masks."""

import numpy as np
import pandas as pd
import pytest
import refusals
import torch_writer as writer
from kgml_ag_inputs import X_SCALER, Y_SCALER, benchmark, inputs, outputs, scores
from torch_writer import tensor

from kgml_jax.data.assemble import assemble
from kgml_jax.data.formats.kgml_sav import INPUTS, load
from kgml_jax.data.read import read
from kgml_jax.errors import DataError


def towers(parts, missing=()):
    """The towers' dictionary: sites in one sequence, the last years of each kept for testing."""
    early = np.concatenate([x[: -2 * 365] for x in parts])
    late = np.concatenate([x[-2 * 365 :] for x in parts])

    def observed(x):
        theirs = outputs(x)
        y = np.stack([theirs[:, 2], -(theirs[:, 0] + theirs[:, 1])], axis=1)
        y[list(missing)] = 0.0
        return tensor(y[None].astype(np.float32))

    return {
        "X_train": tensor(scores(early, X_SCALER)[None]),
        "X_test": tensor(scores(late, X_SCALER)[None]),
        "Y_train": observed(early),
        "Y_test": observed(late),
        "x_scaler": X_SCALER,
        "input_features": list(INPUTS),
        "output_features": ["NEE", "RECO"],
    }


@pytest.fixture
def save(tmp_path):
    def save(dictionary, name="co2_pretrain_data.sav"):
        return writer.save(tmp_path / name, dictionary)

    return save


def notes(reading, variable, kind):
    return [note for note in reading.notes if note.variable == variable and note.kind == kind]


def refused(path, *words):
    refusals.refused(read, path, path.name, *words)


def test_values_come_back_in_the_units_and_signs_of_the_schema(save):
    x = inputs((2001, 2002))
    reading = read(save(benchmark([x], [inputs((2001, 2002), 300.0)])))
    assert [site.attrs["site"] for site in reading.sites] == [
        "co2_pretrain_data-001",
        "co2_pretrain_data-002",
    ]
    site = reading.sites[0]
    column = dict(zip(INPUTS, x.T, strict=True))
    low = column["TMAX_AIR"] - column["TDIF_AIR"]
    theirs = outputs(x)
    expected = {
        "shortwave_radiation": column["RADN"],
        "air_temperature_max": column["TMAX_AIR"],
        "air_temperature_min": low,
        "air_temperature_mean": (column["TMAX_AIR"] + low) / 2,
        "wind_speed": column["WIND"] / 86.4,
        "precipitation": column["PRECN"],
        "prescribed_gpp": column["GPP"],
        "GPP": column["GPP"],
        "Ra": -theirs[:, 0],
        "Rh": -theirs[:, 1],
        "NEE": theirs[:, 2],
        "crop": np.repeat([0.0, -1.0], 365) + np.repeat([0.0, 2.0], 365),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(site[name], values, atol=3e-5, err_msg=name)
    attributes = {
        "bulk_density": 1.4,
        "sand": 0.16,
        "clay": 0.25,
        "field_capacity": 0.3,
        "wilting_point": 0.16,
        "saturated_conductivity": 31.0,
        "soil_organic_carbon": 17.0,
        "ph": 6.2,
        "cation_exchange_capacity": 20.0,
    }
    for name, value in attributes.items():
        assert site[name].item() == pytest.approx(value, rel=1e-5), name


def test_net_exchange_is_what_respiration_leaves_of_gpp(save):
    site = read(save(benchmark([inputs()], [inputs(sand=300.0)]))).sites[0]
    balance = site["Ra"] + site["Rh"] - site["GPP"] - site["NEE"]
    assert float(np.abs(balance).max()) < 1e-4
    assert float(site["Ra"].min()) > -1e-4
    assert float(site["NEE"].sel(time="2003-07-15")) < 0


def test_vapour_pressure_deficit_is_saturation_less_vapour(save):
    x = inputs((2001, 2002))
    x[10, 3] = 9.0
    reading = read(save(benchmark([x], [inputs(sand=300.0)])))
    deficit = reading.sites[0]["vapour_pressure_deficit"].to_numpy()

    def saturation(temperature):
        return 0.6108 * np.exp(17.27 * temperature / (temperature + 237.3))

    high, low = x[:, 1], x[:, 1] - x[:, 2]
    vapour = x[:, 3] - x[:, 4] / 2
    expected = np.maximum((saturation(high) + saturation(low)) / 2 - vapour, 0.0)
    np.testing.assert_allclose(deficit, expected, atol=1e-5)
    assert deficit[10] == 0.0
    (note, *_) = notes(reading, "vapour_pressure_deficit", "estimated")
    assert "assumed" in note.message
    assert notes(reading, "vapour_pressure_deficit", "converted")[0].count >= 1


def test_the_last_day_of_a_leap_year_is_no_target_and_its_weather_is_filled(save):
    reading = read(save(benchmark([inputs((2003, 2004, 2005))], [inputs(sand=300.0)])))
    site = reading.sites[0]
    days = pd.DatetimeIndex(site["time"].to_numpy())
    assert len(days) == 365 + 366 + 365
    leap = site.sel(time="2004-12-31")
    before, after = site.sel(time="2004-12-30"), site.sel(time="2005-01-01")
    for name in ("Ra", "Rh", "NEE", "GPP"):
        assert np.isnan(leap[name])
        assert int(site[name].isnull().sum()) == 1
    middle = (before["wind_speed"] + after["wind_speed"]) / 2
    assert leap["wind_speed"].item() == pytest.approx(middle.item())
    assert leap["precipitation"] == 0
    assert leap["crop"] == before["crop"] == 1
    assert after["crop"] == 0
    # The 60th day of a leap year is 29 February.
    x = inputs((2003, 2004, 2005))
    assert site["air_temperature_max"].sel(time="2004-02-29").item() == pytest.approx(
        x[365 + 59, 1], abs=1e-4
    )
    assert notes(reading, "time", "masked")[0].count == 1


def test_a_record_that_ends_in_a_leap_year_ends_a_day_early(save):
    site = read(save(benchmark([inputs((2003, 2004))], [inputs(sand=300.0)]))).sites[0]
    assert str(site["time"].to_numpy()[-1])[:10] == "2004-12-30"


def test_towers_in_one_sequence_are_parted_and_joined_to_their_last_years(save):
    parts = [
        inputs(tuple(range(2001, 2006)), 160.0),
        inputs(tuple(range(2003, 2007)), 160.0),
        inputs(tuple(range(2006, 2009)), 300.0),
    ]
    path = save(towers(parts), "co2_finetune_data.sav")
    sites = read(path).sites
    spans = [str(site["time"].to_numpy()[0])[:4] for site in sites]
    ends = [str(site["time"].to_numpy()[-1])[:4] for site in sites]
    assert (spans, ends) == (["2001", "2003", "2006"], ["2005", "2006", "2008"])
    assert [round(site["sand"].item(), 3) for site in sites] == [0.16, 0.16, 0.3]
    assert sites[0].attrs["split"] == "train, test from 2004"
    assert {"NEE", "Reco", "GPP"} <= set(sites[0])


def test_days_on_which_both_tower_fluxes_are_zero_count_as_missing(save):
    path = save(towers([inputs(tuple(range(2001, 2005)))], missing=range(40, 50)))
    reading = read(path)
    site = reading.sites[0]
    gone = site["NEE"].isnull().to_numpy()
    assert gone[40:50].all()
    assert int(gone.sum()) == 10 + 10  # in the training and in the test years
    np.testing.assert_array_equal(site["Reco"].isnull(), gone)
    np.testing.assert_array_equal(site["GPP"].isnull(), gone)
    assert site["prescribed_gpp"].notnull().all()
    assert notes(reading, "Reco, NEE", "masked")[0].count == 20
    assert "holds the targets" in notes(reading, "prescribed_gpp", "warning")[0].message


def test_gpp_of_another_product_is_no_target_of_a_tower(save):
    dictionary = towers([inputs(tuple(range(2001, 2005)))])
    for part in ("train", "test"):
        dictionary[f"X_{part}"].storage[8::19] += 1.0
    reading = read(save(dictionary))
    assert "GPP" not in reading.sites[0]
    assert "another product" in notes(reading, "GPP", "warning")[0].message


def test_a_test_sample_of_another_place_is_a_site_of_its_own(save):
    late = inputs((2005, 2006), 300.0)
    sites = read(save(benchmark([inputs((2003, 2004))], [late]))).sites
    assert [site.attrs["split"] for site in sites] == ["train", "test"]


def test_missing_names_and_scalers_are_assumed_and_noted(save):
    x = inputs()
    y = tensor(outputs(x)[None])
    path = save(
        benchmark(
            [x],
            [inputs((2010, 2011))],
            Y_train=y,
            Y_test=y,
            y_scaler=None,
            input_features=None,
            output_features=None,
        )
    )
    reading = read(path)
    np.testing.assert_allclose(reading.sites[0]["Ra"], -outputs(x)[:, 0], atol=1e-4)
    messages = " ".join(note.message for note in reading.notes)
    assert "no input_features" in messages
    assert "no output_features" in messages
    assert "no y_scaler" in messages


@pytest.mark.parametrize("names", [3, "Ra", [["Ra"]] * 3, {"Ra": 1}])
def test_names_that_are_no_list_of_texts_are_refused(save, names):
    path = save(benchmark([inputs()], [inputs((2010, 2011))], output_features=names))
    with pytest.raises(DataError, match=r"variable output_features: is no list"):
        read(path)


def simulations(codes=(17001, 17001, 19153), years=3):
    x = np.stack([inputs(tuple(range(2001, 2001 + years)), 100.0 + 10 * row) for row in range(3)])
    daily = np.concatenate([x[:, :, :9], np.stack([outputs(one)[:, :2] for one in x])], axis=2)
    grain = np.zeros(x.shape[:2])
    grain[:, 363::365] = 200.0 + np.arange(3)[:, None]
    daily = np.swapaxes(np.concatenate([daily, grain[..., None]], axis=2), 0, 1)
    scaler = np.concatenate([X_SCALER[:9], Y_SCALER[:2], [(50.0, 20.0)]])
    return {
        "X": tensor(scores(daily, scaler)),
        "X_scaler": scaler,
        "Xsp": tensor(scores(x[:, 0, 10:], X_SCALER[10:])),
        "Xsp_scaler": X_SCALER[10:],
        "FIPS_ref": np.asarray(codes),
    }


def test_simulations_by_county_bring_state_yield_and_net_exchange(save):
    sites = read(save(simulations(), "recotest_data_scaled_v4_100sample.sav")).sites
    assert [site.attrs["site"] for site in sites] == ["17001-1", "17001-2", "19153"]
    assert [site.attrs["group"] for site in sites] == ["IL", "IL", "IA"]
    assert str(sites[0]["time"].to_numpy()[0])[:10] == "2001-01-01"
    grain = sites[2]["yield"].dropna("time")
    assert [str(day)[:10] for day in grain["time"].to_numpy()] == [
        f"{year}-12-30" for year in (2001, 2002, 2003)
    ]
    np.testing.assert_allclose(grain, 202.0, atol=1e-3)
    x = inputs((2001, 2002, 2003))
    np.testing.assert_allclose(sites[0]["NEE"], outputs(x)[:, 2], atol=1e-4)
    assert sites[1]["sand"].item() == pytest.approx(0.11)


def nitrous_oxide(differences):
    x = inputs((2001, 2002))
    column = dict(zip(INPUTS, x.T, strict=True))
    for name, high in (("TMIN_AIR", "TMAX_AIR"), ("HMIN_AIR", "HMAX_AIR")):
        span = column[name.replace("MIN", "DIF")]
        column[name] = span if differences else column[high] - span
    column |= {"TCSAND": column["TSAND"], "TCSILT": column["TSILT"], "PLANTT": column["Crop_Type"]}
    column |= {"PDOY": np.full(730, 120.0), "FERTZR_N": np.where(column["PRECN"] > 0, 5.0, 0.0)}
    names = ["FERTZR_N", "RADN", "TMAX_AIR", "TMIN_AIR", "HMAX_AIR", "HMIN_AIR", "WIND", "PRECN"]
    names += ["PDOY", "PLANTT", "TBKDS", "TCSAND", "TCSILT", "TPH", "TCEC", "TSOC"]
    values = np.stack([column[name] for name in names], axis=1)[None]
    y = np.tile([-2e-3, -1.5, 0.3, 4.0, 9.0], (1, 730, 1))
    return {
        **{f"X_{part}": tensor(values) for part in ("train", "test")},
        **{f"Y_{part}": tensor(y) for part in ("train", "test")},
        "input_features": names,
        "output_features": ["N2O_FLUX", "CO2_FLUX", "WTR_3", "NH4_3", "NO3_3"],
    }


@pytest.mark.parametrize("differences", [False, True])
def test_nitrous_oxide_dictionaries_are_read(save, differences):
    reading = read(save(nitrous_oxide(differences), "n2o_pretrain_data.sav"))
    site = reading.sites[0]
    x = inputs((2001, 2002))
    np.testing.assert_allclose(site["air_temperature_min"], x[:, 1] - x[:, 2], atol=1e-5)
    np.testing.assert_allclose(site["N2O"], 2e-3)
    np.testing.assert_allclose(site["fertiliser_ammonium"].max(), 5.0)
    assert bool(notes(reading, "TMIN_AIR", "warning")) == differences
    left = [note.variable for note in reading.notes if "left out" in note.message]
    assert {"co2_flux, wtr_3, nh4_3, no3_3", "PDOY"} <= set(left)


def test_seasons_of_chambers_are_refused(save):
    dictionary = nitrous_oxide(False)
    for name in ("X_train", "Y_train"):
        stored = dictionary[name]
        dictionary[name] = tensor(stored.storage.reshape(stored.size)[:, :366])
    refused(save(dictionary), "X_train", "366 days", "chambers")


def test_wrong_arrays_and_dictionaries_are_named(save):
    good = benchmark([inputs()], [inputs(sand=300.0)])
    refused(save({"a": 1, "b": 2}), "a, b", "X_train")
    refused(save([1]), "no dictionary", "list")
    refused(save(good | {"X_train": "text"}), "X_train", "str")
    refused(save(good | {"output_features": ["Ra"]}), "do not fit")
    refused(save(good | {"x_scaler": X_SCALER[:3]}), "x_scaler", "(3, 2)")
    refused(save(good | {"x_scaler": None}), "Year", "calendar year")
    refused(save(good | {"input_features": ["RADNX", *INPUTS[1:]]}), "RADN", "missing")


def test_the_wrong_sign_of_respiration_is_refused(save):
    scaler = Y_SCALER * [[-1, -1], [-1, -1], [1, 1]]
    refused(save(benchmark([inputs()], [inputs(sand=300.0)], y_scaler=scaler)), "NEE", "balance")


def test_soil_that_changes_within_a_year_is_refused(save):
    x = inputs()
    x[100:200, 11] += 50.0
    refused(save(benchmark([x], [inputs(sand=300.0)])), "TSAND", "changes with time")


def test_sites_can_be_assembled(save):
    sites = assemble(read(save(simulations())), targets=("Ra", "Rh", "NEE", "yield"))
    assert set(sites.site.targets) == {"Ra", "Rh", "NEE", "yield"}
    assert int(sites.site.mask["yield"].sum()) == 9
    assert sites.group_names == ("IA", "IL")


def test_a_folder_may_hold_such_files(save):
    path = save(benchmark([inputs()], [inputs(sand=300.0)]))
    assert len(read(path.parent).sites) == len(load(path)) == 2
