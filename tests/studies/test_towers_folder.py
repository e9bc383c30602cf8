import numpy as np
import pytest
from management_tables import HEADER
from small_inputs import tower_table
from studies.towers import data, program, protocols
from studies.towers.folder import CROP, GRASS, read_folder

from kgml_jax.errors import DataError

EVENTS = (
    "US-Aa1,2001-05-01,planting,corn,,,\nUS-Aa1,2001-10-10,harvest,corn,,,\n"
    "US-Aa1,2002-05-05,planting,soybean,,,\nUS-Aa1,2002-10-05,harvest,soybean,,,\n"
    "US-Bb2,2001-01-01,planting,meadow,,,\n"
)
"""A rotation and a meadow at towers that no code names."""


@pytest.fixture
def folder(tmp_path):
    for site in ("US-Aa1", "US-Bb2"):
        name = f"FLX_{site}_FLUXNET2015_SUBSET_DD_2001-2002_1-4.csv"
        tower_table().to_csv(tmp_path / name, index=False)
    return tmp_path


def events(folder, text=EVENTS):
    path = folder / "calendar.csv"
    path.write_text(HEADER + text)
    return path


def test_towers_that_no_code_names_get_their_group_from_what_stands(folder):
    found = data.read(folder, management=events(folder))
    assert dict(zip(found.sites.names, found.sites.groups, strict=True)) == {
        "US-Aa1": CROP,
        "US-Bb2": GRASS,
    }
    occupied = np.asarray(found.sites.site.forcing.occupied)
    assert 0.3 < occupied[0].mean() < 0.6
    assert occupied[1].min() == 1.0
    # Two years: the first trains and validates by blocks, the last tests.
    assert [row[2:5] for row in data.split_grid(found).rows] == [("2001", "2001", "2002")] * 2


def test_a_group_in_the_data_goes_before_what_stands(folder):
    (folder / "sites.csv").write_text("site,lat,lon,igbp\nUS-Aa1,41,-90,CRO\nUS-Bb2,41,-90,CRO\n")
    fields = read_folder(folder, events(folder))
    assert [field.dataset.attrs["group"] for field in fields] == [CROP, CROP]


def test_grassland_without_a_calendar_is_permanent_grass(folder):
    (folder / "sites.csv").write_text("site,lat,lon,igbp\nUS-Aa1,41,-90,CRO\nUS-Bb2,41,-90,GRA\n")
    (field,) = read_folder(folder)
    assert (field.dataset.attrs["site"], field.dataset.attrs["group"]) == ("US-Bb2", GRASS)
    assert field.dataset["occupied"].to_numpy().min() == 1.0
    (note,) = [note for note in field.notes if note.kind == "left out" and not note.site]
    assert note.message.endswith("it is not known what grows there: US-Aa1")


def test_where_nothing_is_known_to_grow_one_message_names_the_towers(folder):
    with pytest.raises(DataError, match="it is not known what grows") as caught:
        read_folder(folder)
    assert caught.value.site == "US-Aa1, US-Bb2"
    assert "--management" in str(caught.value)


def test_a_wrong_path_is_named(folder):
    with pytest.raises(DataError, match="no such file or folder"):
        data.read(folder / "nowhere")
    with pytest.raises(DataError, match=r"events\.csv: no such file"):
        data.read(folder, management=folder / "events.csv")


def test_towers_in_the_catalogue_keep_their_calendar_without_a_table(tmp_path):
    name = "FLX_US-CRT_FLUXNET2015_SUBSET_DD_2011-2013_1-4.csv"
    tower_table("2011-01-01", "2013-12-31").to_csv(tmp_path / name, index=False)
    (field,) = read_folder(tmp_path)
    planted = field.dataset["time"].to_numpy()[field.dataset["planting"].to_numpy() > 0]
    assert str(planted[0])[:10] == "2011-06-05"
    own = "US-CRT,2011-05-01,planting,corn,,,\nUS-CRT,2011-10-10,harvest,corn,,,\n"
    (field,) = read_folder(tmp_path, events(tmp_path, own))
    planted = field.dataset["time"].to_numpy()[field.dataset["planting"].to_numpy() > 0]
    assert [str(day)[:10] for day in planted] == ["2011-05-01"]


def test_the_program_runs_on_a_folder_and_names_unknown_towers(folder, capsys):
    table = events(folder)
    config = program.TowersConfig(data=folder, management=table, sites=("US-Zz9",))
    with pytest.raises(ValueError, match="no tower US-Zz9; there are US-Aa1, US-Bb2"):
        program.main(config)


@pytest.mark.parametrize("protocol", ["last-years", "leave-site-out"])
def test_further_towers_teach_and_are_not_scored(folder, tmp_path_factory, protocol):
    (folder / "sites.csv").write_text("site,lat,lon\nUS-Aa1,41,-90\nUS-Bb2,43,-90\n")
    other = tmp_path_factory.mktemp("others")
    names = ("US-Aa1", "US-Cc3", "US-Dd4")
    for site in names:
        file = f"FLX_{site}_FLUXNET2015_SUBSET_DD_2001-2002_1-4.csv"
        tower_table().to_csv(other / file, index=False)
    # One is scored itself, another stands a kilometre from a tower that is.
    (other / "sites.csv").write_text(
        "site,lat,lon\nUS-Aa1,41,-90\nUS-Cc3,43.01,-90\nUS-Dd4,45,-90\n"
    )
    rows = [
        f"{site},2001-05-01,planting,corn,,,\n{site},2001-10-10,harvest,corn,,,\n" for site in names
    ]
    towers = data.read(folder, management=events(folder))
    others = data.read(other, management=events(other, "".join(rows)))
    trial = protocols.make_with_others(protocol, towers, others, 6)
    assert trial.towers.sites.names == ("US-Aa1", "US-Bb2", "US-Dd4")
    assert trial.scored.any(axis=1).tolist() == [True, True, False]
    assert all(2 in fold.learns and 2 not in fold.scored for fold in trial.folds)
    assert [fold.scored for fold in trial.folds] == (
        [(0, 1)] if protocol == "last-years" else [(0,), (1,)]
    )
