"""Whether a year and its hemisphere can be."""

import numpy as np
import pandas as pd
import pytest

from kgml_jax.data import seasons
from kgml_jax.data.estimates import extraterrestrial_radiation
from kgml_jax.data.quality import finish
from kgml_jax.data.read import collect, read
from kgml_jax.data.schema import ReadOptions
from kgml_jax.errors import DataError

OPTIONS = ReadOptions()


@pytest.fixture
def site(per_site):
    return per_site(("north",))[0]


def warnings(site, variable):
    _, notes = finish(site, OPTIONS)
    return [n.message for n in notes if n.kind == "warning" and n.variable == variable]


def test_a_temperate_year_is_plausible(site):
    _, notes = finish(site, OPTIONS)
    assert not [note for note in notes if note.kind == "warning"]


def test_eight_times_the_rain_is_doubted_and_kept(site):
    site["precipitation"] = site["precipitation"] * 8
    done, _ = finish(site, OPTIONS)
    np.testing.assert_array_equal(done["precipitation"], site["precipitation"])
    assert any("not plausible" in message for message in warnings(site, "precipitation"))


def test_twenty_one_times_the_rain_cannot_be(site):
    site["precipitation"] = site["precipitation"] * 21
    with pytest.raises(DataError, match=r"precipitation.*cannot be.*mm a year"):
        finish(site, OPTIONS)


def test_rain_in_inches_is_doubted(site):
    site["precipitation"] = site["precipitation"] / 25.4
    assert any(
        "36 mm a year" in text or "not plausible" in text
        for text in warnings(site, "precipitation")
    )


def test_rain_of_one_year_in_other_units_is_doubted(site):
    site["precipitation"][365:] = site["precipitation"][365:] / 25.4
    # The median of two years is their mean: each is doubted that is far from it.
    assert any("in 2002" in message for message in warnings(site, "precipitation"))


def test_rain_on_all_days_is_doubted(site):
    site["precipitation"] = site["precipitation"] + 0.2
    assert any("rain on 100% of the days" in text for text in warnings(site, "precipitation"))
    site["precipitation"] = site["precipitation"] - 0.15
    assert not warnings(site, "precipitation")


@pytest.mark.parametrize("name", ["Ra", "Rh"])
@pytest.mark.parametrize(("factor", "doubted"), [(1.0, False), (1e-3, True), (20.0, True)])
def test_respiration_of_the_plants_or_the_soil_that_no_field_has_is_doubted(
    site, name, factor, doubted
):
    site[name] = site["vapour_pressure_deficit"] * factor
    assert any("respiration of" in text for text in warnings(site, name)) is doubted


def test_air_that_is_much_drier_or_moister_than_its_temperature_lets_it_be_is_doubted(site):
    for factor in (0.1, 2.5):
        other = site.assign(vapour_pressure_deficit=site["vapour_pressure_deficit"] * factor)
        (message,) = warnings(other, "vapour_pressure_deficit")
        assert "of the saturation pressure at the air temperature is not plausible" in message


def test_more_evaporation_than_water_or_energy_brings_is_doubted_or_refused(site):
    site["ET"] = site["shortwave_radiation"] / 2.45 * 0.5
    site["precipitation"] = site["precipitation"] / 4
    assert any("groundwater" in message for message in warnings(site.copy(), "ET"))
    site["ET"] = site["ET"] * 3
    with pytest.raises(DataError, match=r"ET.*cannot be.*energy"):
        finish(site, OPTIONS)


def test_more_radiation_than_the_sun_sends_cannot_be(site):
    site["shortwave_radiation"] = site["shortwave_radiation"] + 18.0
    with pytest.raises(DataError, match=r"shortwave_radiation.*cannot be"):
        finish(site, OPTIONS)


def test_warmth_in_the_dark_season_is_a_turned_sign(site):
    for name in ("air_temperature_mean", "air_temperature_max", "air_temperature_min"):
        site[name] = 20.0 - site[name]
    with pytest.raises(DataError, match=r"air_temperature_mean.*winter in the summer.*July"):
        finish(site, OPTIONS)


def test_a_sign_that_is_turned_in_one_of_three_years_is_found_with_its_year(per_site):
    site = per_site(("north",), last="2003-12-31")[0]
    for name in ("air_temperature_mean", "air_temperature_max", "air_temperature_min"):
        site[name][365:730] = 20.0 - site[name][365:730]
    with pytest.raises(DataError, match=r"air_temperature_mean.*winter in the summer.*of 2002\)"):
        finish(site, OPTIONS)


@pytest.mark.parametrize(
    ("other", "expected"), [(2j, 0.0), (-3.0 + 0j, -1.0), (0.5 + 0j, 1.0), (0j, 0.0)]
)
def test_the_alignment_of_courses_is_their_cosine_and_0_without_a_season(other, expected):
    assert seasons.alignment(1.0 + 0j, other) == pytest.approx(expected)
    assert seasons.alignment(other, 1.0 + 0j) == pytest.approx(expected)


def test_a_given_latitude_of_the_other_hemisphere_is_used_and_warned_of(site):
    site["latitude"] = -41.0
    finished, _ = finish(site, OPTIONS)
    assert float(finished["latitude"]) == -41.0
    (message,) = warnings(site, "latitude")
    assert message.startswith("of the other hemisphere than the radiation: -41, but")
    assert "largest in July" in message


def test_near_the_equator_radiation_tells_no_hemisphere(site):
    site["latitude"] = -8.0
    finish(site, OPTIONS)


def southern(tower):
    """A tower at 37 S whose file says so by its SW_IN_POT only."""
    table = tower()
    half = lambda column: np.roll(table[column].to_numpy(), 182)
    names = [name for name in table if name != "TIMESTAMP"]
    return table.assign(**{name: half(name) for name in names})


def test_a_southern_tower_without_latitude_is_refused_with_the_line_to_write(tower, write_tower):
    with pytest.raises(DataError) as caught:
        read(write_tower(southern(tower), site="AU-Aa1"))
    for word in ("AU-Aa1", "not given", "41", "SW_IN_POT is largest in January", "AU-Aa1,-"):
        assert word in str(caught.value)


def test_a_southern_tower_with_its_latitude_is_read(tower, write_tower, tmp_path):
    write_tower(southern(tower), site="AU-Aa1")
    (tmp_path / "sites.csv").write_text("site,lat\nAU-Aa1,-37.4\n")
    assert len(read(tmp_path).sites) == 1


def test_a_latitude_that_misses_that_of_the_sun_is_doubted(tower, write_tower, tmp_path):
    table = tower()
    day = pd.to_datetime(table["TIMESTAMP"]).dt.day_of_year.to_numpy()
    table["SW_IN_POT"] = extraterrestrial_radiation(52.0, day) / 0.0864
    write_tower(table)
    for latitude, doubted in ((51.0, False), (45.0, True)):
        (tmp_path / "sites.csv").write_text(f"site,lat\nUS-Aa1,{latitude}\n")
        notes = [note.message for note in read(tmp_path).notes if note.variable == "latitude"]
        assert any("that of 52" in message for message in notes) is doubted


def test_towers_of_the_world_are_plausible_but_for_a_dry_year_of_one(data_folder):
    reading = collect(data_folder / "fluxnet2015")
    assert not reading.errors
    doubted = [
        (n.site, n.message) for n in reading.notes if "the units of all years the same" in n.message
    ]
    # The file of AU-Rig holds 92 mm for 2012, a fifth of the other years.
    assert [site for site, _ in doubted] == ["AU-Rig"]
