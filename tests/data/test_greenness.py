"""An index of greenness becomes the cover of green leaves, whatever the scale of its sensor."""

import gzip

import numpy as np
import pytest

from kgml_jax.data.formats import phenocam
from kgml_jax.data.quality import finish
from kgml_jax.data.schema import ReadOptions
from kgml_jax.errors import DataError


def seen(site, index):
    site["vegetation_index"] = ("time", np.asarray(index, float), {"units": "1"})
    done, notes = finish(site, ReadOptions())
    return done, [note for note in notes if note.variable in ("green_cover", "vegetation_index")]


@pytest.fixture
def site(per_site):
    return per_site(("north",))[0]


@pytest.fixture
def season(site):
    return np.clip(np.sin(np.linspace(0, 4 * np.pi, site.sizes["time"])), 0, None)


@pytest.mark.parametrize(("offset", "slope"), [(0.15, 0.7), (0.33, 0.12)])
def test_the_scale_of_a_sensor_does_not_matter(site, season, offset, slope):
    done, notes = seen(site, offset + slope * season)
    cover = done["green_cover"].to_numpy()
    assert cover[season == 0] == pytest.approx(0, abs=1e-9)
    full = np.percentile(season, 98)
    np.testing.assert_allclose(cover, np.clip(0.95 * season / full, 0, 1), atol=1e-6)
    assert "vegetation_index" not in done
    assert notes[0].kind == "estimated"


def test_days_without_an_image_are_missing_and_others_have_an_uncertainty(site, season):
    season[100:120] = np.nan
    done, _ = seen(site, season)
    np.testing.assert_array_equal(np.isnan(done["green_cover"]), np.isnan(season))
    known = np.isfinite(season)
    assert np.unique(done["green_cover_uncertainty"].to_numpy()[known]) == pytest.approx(0.1)


@pytest.mark.parametrize("values", [slice(0, 20), slice(None)])
def test_few_values_or_one_show_no_scale(site, values):
    index = np.full(site.sizes["time"], np.nan)
    index[values] = 0.5
    done, notes = seen(site, index)
    assert "green_cover" not in done
    assert notes[0].kind == "left out"


def product(path, lines, columns="date,gcc_90,outlierflag_gcc_90"):
    text = "#\n# 1-day summary product time series\n#\n" + columns + "\n" + "\n".join(lines) + "\n"
    with gzip.open(path, "wt") as file:
        file.write(text)
    return path


def test_a_camera_gives_its_greenness_without_outliers_and_empty_days(tmp_path):
    lines = ["2012-01-07,NA,NA", "2012-01-08,0.36,0", "2012-01-09,0.50,1"]
    index = phenocam.load(product(tmp_path / "a_1day.csv.gz", lines))
    np.testing.assert_array_equal(index, [np.nan, 0.36, np.nan])
    assert str(index["time"][1].to_numpy())[:10] == "2012-01-08"


def test_another_table_is_no_product_of_a_camera(tmp_path):
    path = product(tmp_path / "b_1day.csv.gz", ["2012-01-07,0.4"], columns="date,ndvi")
    with pytest.raises(DataError, match=r"b_1day.*gcc_90.*no daily product of PhenoCam"):
        phenocam.load(path)
