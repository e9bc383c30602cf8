import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture
def programs(monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENTS)


@pytest.fixture
def check_data(programs, monkeypatch, capsys):
    """Calls the program in this process; returns its exit status and what it printed."""
    from kgml_jax.cli import check
    from kgml_jax.cli.command import run

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["check_data.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            run(check.main, check.CheckConfig)
        return caught.value.code, *capsys.readouterr()

    return call


SCHEMA_CSV = """site,time,shortwave_radiation [W m-2],air_temperature_mean [degC],\
air_temperature_max [degC],air_temperature_min [degC],vapour_pressure_deficit [hPa],\
precipitation [mm d-1],wind_speed [m s-1],NEE [g C m-2 d-1]
"""


def table(units="W m-2"):
    rows = [
        f"plot,2001-01-{day:02d},100,{day},{day + 4},{day - 4},3,0,2,{'-9999' if day > 9 else -1}"
        for day in range(1, 13)
    ]
    return SCHEMA_CSV.replace("W m-2", units, 1) + "\n".join(rows) + "\n"


def test_good_data_are_summarised_and_nothing_blocks(check_data, tmp_path):
    (tmp_path / "plot.csv").write_text(table())
    status, out, err = check_data(tmp_path)
    assert status == 0
    assert err == ""
    for words in ("plot", "2001-01-01", "75%", "W m-2 converted", "1 site can be used"):
        assert words in out


def test_crops_of_a_table_of_events_are_printed_with_what_was_done(check_data, tmp_path):
    (tmp_path / "plot.csv").write_text(table())
    events = "site,date,event,crop\nplot,2001-01-04,planting,maize\nplot,2001-01-09,harvest,\n"
    (tmp_path / "diary.csv").write_text(events)
    status, out, _ = check_data(tmp_path / "plot.csv", "--management", tmp_path / "diary.csv")
    assert status == 0
    for words in ("Crops that stand", "corn", "2001-01-04", "2001-01-09", "maize is corn"):
        assert words in out


def test_a_row_of_events_that_cannot_be_understood_blocks(check_data, tmp_path):
    (tmp_path / "plot.csv").write_text(table())
    (tmp_path / "management.csv").write_text("site,date,event\nplot,31/11/2001,planting\n")
    status, _, err = check_data(tmp_path / "plot.csv")
    assert status == 2
    assert "31/11/2001" in err
    assert "row 2" in err


def test_weather_alone_blocks_a_run_that_needs_fluxes(check_data, tmp_path):
    (tmp_path / "plot.csv").write_text(table().replace(",-1\n", ",-9999\n"))
    status, out, err = check_data(tmp_path)
    assert status == 2
    assert "no flux is observed at any site" in err
    assert "nothing blocks" not in out
    status, out, err = check_data(tmp_path, "--no-fluxes")
    assert (status, err) == (0, "")
    assert "nothing blocks a run" in out


def test_a_bad_file_is_one_line_on_stderr_and_the_others_are_shown(check_data, tmp_path):
    (tmp_path / "good.csv").write_text(table())
    (tmp_path / "bad.csv").write_text(table(units="furlong"))
    status, out, err = check_data(tmp_path)
    assert status == 2
    assert "plot" in out
    assert err.startswith("error: file bad.csv")
    assert "furlong" in err
    assert err.count("\n") == 1


def test_every_note_can_be_listed(check_data, tmp_path):
    (tmp_path / "plot.csv").write_text(table())
    _, out, _ = check_data(tmp_path, "--notes")
    assert "air_temperature_mean" in out or "mean_annual_temperature" in out


def test_a_wrong_path_is_one_line_without_traceback(tmp_path):
    program = [sys.executable, str(EXPERIMENTS / "check_data.py"), str(tmp_path / "nowhere")]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: no such file or folder")
    assert "Traceback" not in done.stderr


def test_the_choices_of_the_reader_are_options(check_data, tmp_path):
    (tmp_path / "plot.csv").write_text(table())
    status, _, _ = check_data(tmp_path, "--max-gap", 3, "--qc-threshold", 0.5)
    assert status == 0


def test_debug_shows_the_traceback(programs, monkeypatch):
    from kgml_jax.cli.command import run

    @dataclass(frozen=True)
    class Config:
        debug: bool = False

    def main(config: Config) -> None:
        raise KeyError(f"no site; debug {config.debug}")

    monkeypatch.setattr(sys, "argv", ["program", "--debug"])
    with pytest.raises(KeyError, match="no site"):
        run(main, Config)


@pytest.mark.parametrize("error", [KeyError, ValueError, FileNotFoundError])
def test_what_a_user_can_put_right_is_one_unquoted_line(programs, monkeypatch, capsys, error):
    from kgml_jax.cli.command import run

    @dataclass(frozen=True)
    class Config:
        debug: bool = False

    def main(config: Config) -> None:
        raise error("no site 'x'")

    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(SystemExit) as caught:
        run(main, Config)
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: no site 'x'\n"


def test_the_towers_as_distributed_can_be_used(check_data, data_folder):
    status, out, _ = check_data(data_folder / "fluxnet2015")
    assert status == 0
    assert "11 sites can be used; nothing blocks a run" in out
