import numpy as np
import pytest
import xarray as xr
from conventions_check import assert_time
from studies.callmip import program
from studies.callmip.variables import VARIABLES

from kgml_jax.data import conventions
from kgml_jax.errors import DataError
from kgml_jax.runs import files
from kgml_jax.sites import PREDICTABLE

DATES = np.arange("2003-12-30", "2004-01-04", dtype="datetime64[D]")


@pytest.fixture
def predictions():
    """Two sites and strategies; the record of the second site lacks the first two days."""
    values = {"NEE": -2.0, "GPP": 10.0, "ET": 3.0}
    dims = ("strategy", "site", "time")
    dataset = xr.Dataset(
        {
            name: (
                dims,
                np.full((2, 2, len(DATES)), value, np.float32)
                * np.array([1.0, 2.0])[:, None, None],
                conventions.described(name, PREDICTABLE[name], daily=True),
            )
            for name, value in values.items()
        },
        coords={
            "site": ["DK-Sor", "US-Ha1"],
            "strategy": ["pretrained", "ftbsc"],
            "latitude": ("site", [55.5, 42.5]),
            "longitude": ("site", [11.6, -72.2]),
        },
    ).assign(conventions.days(DATES))
    return dataset.where((dataset["site"] == "DK-Sor") | (dataset["time"] >= DATES[2]))


def exported(predictions, folder, **options):
    files.write_dataset(folder / "predictions.nc", predictions)
    config = program.CallmipConfig(folder / "predictions.nc", folder / "callmip", **options)
    program.main(config)
    return {path.name: path for path in config.out.glob("*.nc")}


def test_each_site_and_stage_is_a_file_named_by_the_protocol(predictions, tmp_path):
    written = exported(predictions, tmp_path, model="ours.v1", validation=("US-Ha1",))
    assert set(written) == {
        f"ours.v1_Phase1b_Scen1_{site}_{stage}.nc"
        for site in ("DK-Sor_Cal", "US-Ha1_Val")
        for stage in ("Prior", "Posterior")
    }
    with xr.open_dataset(written["ours.v1_Phase1b_Scen1_US-Ha1_Val_Prior.nc"]) as one:
        assert one.attrs["Model"] == "ours.v1"
        assert one.attrs["Cal_Val"] == "Validation"
        assert one.attrs["Calibration_stage"] == "Prior"
        assert set(VARIABLES) <= set(one)


def test_a_field_that_gains_carbon_has_a_positive_production(predictions, tmp_path):
    path = exported(predictions, tmp_path)
    (posterior,) = [one for name, one in path.items() if "DK-Sor_Cal_Posterior" in name]
    with xr.open_dataset(posterior) as one:
        # NEE of -4 g C m-2 d-1; 6 mm of water a day hold 170 W m-2. Float32.
        np.testing.assert_allclose(one["nep"], 4e-3 / 86_400, rtol=1e-6)
        np.testing.assert_allclose(one["hfls"], 6 * 2.45e6 / 86_400, rtol=1e-6)
        assert one["nep"].attrs["units"] == "kgC m-2 s-1"
        assert one["nep"].dims == ("time", "lat", "lon")
        assert one["hfss"].isnull().all()


def test_a_file_holds_the_days_of_its_site_and_none_beyond(predictions, tmp_path):
    written = exported(predictions, tmp_path)
    (late,) = [one for name, one in written.items() if "US-Ha1_Cal_Prior" in name]
    with xr.open_dataset(late, decode_cf=False) as raw:
        assert_time(raw)
        assert raw["time"].attrs["units"] == "days since 2004-01-01 00:00:00"
        assert raw["time"].values.tolist() == [0.5, 1.5, 2.5]


def test_predictions_in_other_units_or_of_no_place_are_refused(predictions, tmp_path):
    wrong = predictions.copy()
    wrong["NEE"].attrs |= {"units": "umol m-2 s-1"}
    with pytest.raises(DataError, match="umol m-2 s-1"):
        exported(wrong, tmp_path)
    with pytest.raises(DataError, match=r"longitude.*sites\.csv"):
        exported(predictions.drop_vars("longitude"), tmp_path)
    assert not (tmp_path / "callmip").exists()
