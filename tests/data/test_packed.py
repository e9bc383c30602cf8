"""What cannot be unpacked, or should not be, is said; nothing hangs and nothing is extracted."""

import gzip
import os
import struct
import zipfile
from functools import partial

import numpy as np
import pandas as pd
import pytest
import refusals

from kgml_jax.data import packed
from kgml_jax.data.read import collect, read

refused = partial(refusals.refused, read)
NAME = "FLX_US-Aa1_FLUXNET2015_SUBSET_2001-2001_1-4.zip"
MEMBER = "FLX_US-Aa1_FLUXNET2015_SUBSET_DD_2001-2001_1-4.csv"


@pytest.fixture
def year(tower):
    return tower("2001-01-01", "2001-12-31")


@pytest.fixture
def archive(tmp_path, year):
    """Writes an archive with the tower's daily file under a path of the archive."""

    def write(member=MEMBER, name=NAME, method=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / name, "w", method) as opened:
            opened.writestr(member, year.to_csv(index=False))
        return tmp_path / name

    return write


def change(path, signature, offset, value):
    """Overwrites two bytes behind every header of a zip file."""
    data = bytearray(path.read_bytes())
    place = data.find(signature)
    while place >= 0:
        data[place + offset : place + offset + 2] = struct.pack("<H", value)
        place = data.find(signature, place + 1)
    path.write_bytes(bytes(data))


def test_an_encrypted_archive_is_said_to_be_so(archive):
    path = archive()
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        change(path, signature, flags, 1)
    refused(path, path.name, "US-Aa1", "encrypted", "password")


def test_a_method_of_packing_that_is_not_known_is_said(archive):
    path = archive()
    for signature, method in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        change(path, signature, method, 99)
    refused(path, path.name, "US-Aa1", "method that is not known")


@pytest.mark.parametrize("offset", [60, 2000, 9000])
def test_a_damaged_member_is_the_error_of_its_archive(archive, offset):
    path = archive()
    data = bytearray(path.read_bytes())
    data[offset : offset + 40] = bytes(40)
    path.write_bytes(bytes(data))
    refused(path, path.name, "US-Aa1")


@pytest.mark.parametrize("member", [f"../../{MEMBER}", f"/etc/{MEMBER}", f"a/../b/{MEMBER}"])
def test_a_member_whose_path_leads_out_of_the_archive_is_read_and_leads_nowhere(archive, member):
    path = archive(member)
    before = sorted(path.parent.parent.rglob("*.csv"))
    assert read(path).sites[0].attrs["site"] == "US-Aa1"
    assert sorted(path.parent.parent.rglob("*.csv")) == before


def test_what_unpacks_to_much_more_than_its_size_is_refused_before_it_fills_memory(tmp_path):
    bomb = b"0" * (packed.UNSUSPICIOUS + 2)
    with zipfile.ZipFile(tmp_path / NAME, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(MEMBER, bomb)
    refused(tmp_path / NAME, NAME, "too large", "64 MiB")
    path = tmp_path / "plot.csv.gz"
    path.write_bytes(gzip.compress(bomb))
    refused(path, "plot.csv.gz", "too large", "64 MiB")


def test_a_table_without_any_value_is_not_taken_for_a_bomb():
    days = pd.date_range("2001-01-01", "2010-12-31").strftime("%Y%m%d")
    text = "\n".join(day + 300 * ",-9999" for day in days).encode()
    assert len(text) < packed.MOST_PACKED * len(gzip.compress(text))


@pytest.mark.parametrize("name", ["pipe.csv", MEMBER, NAME, "pipe.nc", "pipe.sav", "pipe.CSV.GZ"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path, write_tower, year, name):
    path = write_tower(year, site="US-Bb1") if name in (MEMBER, NAME) else None
    os.mkfifo(tmp_path / name)
    refused(tmp_path / name, name, "no regular file")
    reading = collect(tmp_path)
    assert [site.attrs["site"] for site in reading.sites] == (["US-Bb1"] if path else [])
    assert [error.file for error in reading.errors] == [name]


def test_a_link_to_nothing_and_a_folder_in_place_of_a_file_are_named(tmp_path):
    (tmp_path / "plot.csv").symlink_to(tmp_path / "absent.csv")
    refused(tmp_path / "plot.csv", "plot.csv", "link to a file that is not there")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "plot.csv").write_text("site,time\n")
    (tmp_path / "plot.csv").chmod(0)
    refused(tmp_path / "plot.csv", "plot.csv", "permission")


def test_random_bytes_under_any_name_end_in_one_error_and_spare_the_good_site(
    tmp_path, write_tower, year
):
    write_tower(year, site="US-Bb1")
    noise = np.random.default_rng(0).bytes(4000)
    for name in (MEMBER, NAME, f"{MEMBER}.gz".replace("US-Aa1", "US-Cc1")):
        (tmp_path / name).write_bytes(noise)
    reading = collect(tmp_path)
    assert [site.attrs["site"] for site in reading.sites] == ["US-Bb1"]
    assert len(reading.errors) == 3
