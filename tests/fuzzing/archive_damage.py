"""Damage to archives and packed files: bombs, paths that lead out, overlaps, hostile pickles."""

import gzip
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch_writer
from hypothesis import strategies as st
from small_inputs import tower_table
from torch_writer import Raw, called, named

from fuzzing.bytes_damage import SHARE
from fuzzing.effects import SAME, SHOWS, Effect
from fuzzing.sources import TOWER_FILE, Source, tower_text

RAN = "hostile_code_ran"
"""File that the hostile inputs here make where they are run."""


Held = list[tuple[str | zipfile.ZipInfo, str]]


@dataclass(frozen=True)
class Members:
    """An archive of a tower holds something else, too, or something else instead."""

    how: str

    def apply(self, path: Path, source: Source) -> Effect:
        members, effect = _members(tower_text(tower_table()))[self.how]
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
        if self.how in _MARKS:
            _mark(path, *_MARKS[self.how])
        return effect


def _members(table: str) -> dict[str, tuple[Held, Effect]]:
    """Returns what an archive may hold, and what may come of it; zeros pack a thousandfold."""
    zeros, whole = "0" * 80_000_000, (TOWER_FILE, table)
    link = zipfile.ZipInfo(TOWER_FILE)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    leading_out = (f"../../{TOWER_FILE}", f"/tmp/{TOWER_FILE}", f"..\\{TOWER_FILE}")
    by_year: Held = [
        (TOWER_FILE.replace("2001-2002", f"{year}-{year}"), _year(year)) for year in (2001, 2002)
    ]
    return {
        "bomb": ([(TOWER_FILE, zeros)], SHOWS),
        "bomb beside": ([whole, ("other.csv", zeros)], SAME),
        "bomb of metadata": ([whole, ("FLX_AA-Flx_BIF_DD_20200501.csv", zeros)], Effect()),
        "paths that lead out": ([(name, table) for name in leading_out], Effect()),
        "out and down": ([(f"../../../escaped/{TOWER_FILE}", table)], Effect()),
        "link": ([(link, "/etc/passwd")], SHOWS),
        "many members": ([whole, *((f"{number}.csv", "") for number in range(3000))], SAME),
        "archive within": ([("inner.zip", table)], SHOWS),
        "the same twice": ([whole, (f"again/{TOWER_FILE}", table)], Effect()),
        "other numbers": ([whole, (f"again/{TOWER_FILE}", table.replace(",0.4,", ",0.9,"))], SHOWS),
        "a file a year": (by_year, SAME),
        "nothing": ([], SHOWS),
        "encrypted": ([whole], SHOWS),
        "unknown method": ([whole], SHOWS),
    }


def _year(year: int) -> str:
    return tower_text(tower_table(f"{year}-01-01", f"{year}-12-31"))


_MARKS = {"encrypted": (6, 1), "unknown method": (8, 99)}
"""Place in the local header of a member, two less than in the central one, and value."""


def _mark(path: Path, place: int, value: int) -> None:
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x03\x04") + place] = value
    data[data.index(b"PK\x01\x02") + place + 2] = value
    path.write_bytes(data)


@dataclass(frozen=True)
class Overlap:
    """A second file of a tower holds some of its days again, the same or others."""

    first: float
    same: bool

    def apply(self, path: Path, source: Source) -> Effect:
        table = tower_table()
        start = int(self.first * 300)
        part = table.iloc[start:]
        if not self.same:
            part = part.assign(TA_F=part["TA_F"] + 0.5)
        (path.parent / TOWER_FILE.replace("1-4", "2-4")).write_text(tower_text(part))
        return Effect() if self.same else SHOWS


@dataclass(frozen=True)
class Packed:
    """A table is packed by gzip, and the packed file cut, changed or made to fill memory."""

    how: str
    share: float

    def apply(self, path: Path, source: Source) -> Effect:
        data = gzip.compress(path.read_bytes(), 1)
        effect = SAME
        if self.how == "bomb":
            data, effect = gzip.compress(path.read_bytes() + b"0" * 80_000_000, 6), SHOWS
        elif self.how == "cut":
            data, effect = data[: int(self.share * len(data))], SHOWS
        elif self.how == "changed":
            at = int(self.share * len(data))
            data, effect = data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :], Effect()
        path.with_name(f"{path.name}.gz").write_bytes(data)
        path.unlink()
        return effect


@dataclass(frozen=True)
class Hostile:
    """A pickle that would run code, or take for ever, in the place of data."""

    how: str
    legacy: bool

    def apply(self, path: Path, source: Source) -> Effect:
        command = f"touch {path.parent / RAN}"
        if self.how in _CALLED:
            code = f"import os; os.system({command!r})" if self.how == "exec" else command
            value: object = {"X_train": called(named(*_CALLED[self.how]), code)}
        else:
            value = _ENDLESS[self.how]
        write = torch_writer.save_legacy if self.legacy else torch_writer.save
        write(path, value)
        return SHOWS


_CALLED = {
    "system": ("os", "system"),
    "posix": ("posix", "system"),
    "exec": ("builtins", "exec"),
    "subprocess": ("subprocess", "getoutput"),
    "through numpy": ("numpy.f2py.crackfortran", "myeval"),
    "through torch": ("torch.serialization", "load"),
}
_ENDLESS = {
    "deep": Raw(b"(" * 100_000 + b"t" * 100_000),
    # Each list holds the one before it twice: 2^60 elements, if somebody counts them.
    "doubled": Raw(b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(60))),
    "long text": Raw(b"X\xff\xff\xff\x7f"),
    "long number": Raw(b"\x8b\xff\xff\xff\x7f"),
    "tensor of 16 GiB": torch_writer.Tensor(np.zeros(1), (2**30, 2), (0, 0)),
}

MEMBERS = st.builds(Members, st.sampled_from(sorted(_members(""))))
OVERLAPS = st.builds(Overlap, SHARE, st.booleans())
PACKED = st.builds(Packed, st.sampled_from(["whole", "bomb", "cut", "changed"]), SHARE)
HOSTILES = st.builds(Hostile, st.sampled_from([*_CALLED, *_ENDLESS]), st.booleans())
