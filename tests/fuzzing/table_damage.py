"""Damage to tables as people and programs make it: columns, rows, units, signs, codes, layout."""

import random
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from fuzzing.bytes_damage import SHARE
from fuzzing.effects import ALL, SAME, SHOWS, Effect, grid, of_columns, text_of
from fuzzing.sources import EVERYTHING, Source

Rows = list[list[str]]


def _rows(path: Path) -> Rows:
    rows = grid(path.read_bytes())
    assert rows is not None, "the whole table is laid out as it should be"
    return rows


def _all_of(source: Source, columns: list[str]) -> Effect:
    return of_columns(source, columns, ALL)


@dataclass(frozen=True)
class Columns:
    """Columns are shuffled, one is dropped, renamed, written twice, or named as another."""

    how: str
    first: float
    second: float
    seed: int

    def apply(self, path: Path, source: Source) -> Effect:
        rows = _rows(path)
        names, count = list(rows[0]), len(rows[0])
        one, other = int(self.first * count), int(self.second * count)
        order = list(range(count))
        effect = SHOWS
        if self.how == "shuffled":
            random.Random(self.seed).shuffle(order)
            effect = SAME
        elif self.how == "dropped":
            order.remove(one)
            effect = Effect(absent=frozenset(source.columns.get(names[one], ())))
        elif self.how == "twice":
            order.insert(other, one)
        elif self.how == "renamed":
            rows[0][one] += "X"
            effect = Effect(absent=frozenset(source.columns.get(names[one], ())))
        else:
            rows[0][one], rows[0][other] = names[other], names[one]
            told = {names[one], names[other]} <= {*source.climate}
            effect = (
                SAME
                if one == other
                else SHOWS
                if told
                else _all_of(source, [names[one], names[other]])
            )
        path.write_bytes(text_of([[row[at] for at in order] for row in rows]))
        return effect


@dataclass(frozen=True)
class Lines:
    """Rows are shuffled, dropped, written twice or again with other numbers."""

    how: str
    first: float
    count: int
    seed: int

    def apply(self, path: Path, source: Source) -> Effect:
        head, *rows = _rows(path)
        start = int(self.first * len(rows))
        some = rows[start : start + self.count]
        rest = rows[:start] + rows[start + self.count :]
        effect = SHOWS
        if self.how == "shuffled":
            random.Random(self.seed).shuffle(rows)
            effect = Effect()
        elif self.how == "dropped":
            ends = [0, len(rows), *_borders(head, rows)]
            if not source.of_days or any(start <= end <= start + self.count for end in ends):
                effect = Effect({EVERYTHING: ALL}, lost=len(some))
            rows = rest
        elif self.how == "twice":
            rows = rows[: start + self.count] + some + rows[start + self.count :]
        else:
            rows = rows + [[*row[:-1], _other_number(row[-1])] for row in some]
        path.write_bytes(text_of([head, *rows]))
        return effect


def _borders(head: list[str], rows: Rows) -> list[int]:
    """Returns the rows with which the record of another site begins."""
    if "site" not in head:
        return []
    site = head.index("site")
    return [at for at in range(1, len(rows)) if rows[at][site] != rows[at - 1][site]]


def _other_number(cell: str) -> str:
    try:
        return f"{float(cell) * 1.25 + 0.5:g}"
    except ValueError:
        return cell + "x"


@dataclass(frozen=True)
class Scaled:
    """A column is in other units or of the other sign, in all of the rows or half of them."""

    column: float
    change: float
    half: bool

    def apply(self, path: Path, source: Source) -> Effect:
        head, *rows = _rows(path)
        numeric = tuple(source.climate or source.columns)
        name = numeric[int(self.column * len(numeric))]
        changes = CHANGES[source.climate.get(name, "carbon")]
        factor, offset = changes[int(self.change * len(changes))]
        at = head.index(name)
        chosen = rows[len(rows) // 2 :] if self.half else rows
        for row in chosen:
            try:
                row[at] = f"{float(row[at]) * factor + offset:.6g}"
            except ValueError:
                continue
        path.write_bytes(text_of([head, *rows]))
        return SHOWS if source.climate else _all_of(source, [name])


@dataclass(frozen=True)
class Cells:
    """A text stands in some cells of a column."""

    column: float
    first: float
    count: int
    step: int
    text: str

    def apply(self, path: Path, source: Source) -> Effect:
        head, *rows = _rows(path)
        at = int(self.column * len(head))
        start = int(self.first * len(rows))
        some = rows[start :: self.step][: self.count]
        for row in some:
            row[at] = self.text
        path.write_bytes(text_of([head, *rows]))
        effect = of_columns(source, [head[at]], len(some))
        return Effect(
            {name: ALL if name == EVERYTHING else count for name, count in effect.changed.items()}
        )


@dataclass(frozen=True)
class Layout:
    """The same table in another form of text."""

    how: str

    def apply(self, path: Path, source: Source) -> Effect:
        data = path.read_bytes()
        rows = _rows(path)
        after, effect = {
            "byte order mark": (b"\xef\xbb\xbf" + data, SAME),
            "windows line ends": (data.replace(b"\n", b"\r\n"), SAME),
            "old line ends": (data.replace(b"\n", b"\r"), Effect()),
            "semicolons": (b"".join(";".join(row).encode() + b"\n" for row in rows), SHOWS),
            "tabs": (b"".join("\t".join(row).encode() + b"\n" for row in rows), SHOWS),
            "decimal commas": (data.replace(b".", b","), SHOWS),
            "UTF-16": (data.decode().encode("utf-16"), Effect()),
            "no last line end": (data.rstrip(b"\n"), Effect()),
            "last digits lost": (data.rstrip(b"\n")[:-2], SHOWS),
            "commas at the ends": (data.replace(b"\n", b",\n"), Effect()),
            "blank lines": (data.replace(b"\n", b"\n\n"), Effect()),
            "comments before": (b"# of somebody\n#\n" + data, Effect()),
            "a comment within": (data.replace(b"\n", b"\n# here\n", 2), SHOWS),
            "quotes": (
                b"".join(",".join(f'"{one}"' for one in row).encode() + b"\n" for row in rows),
                Effect(),
            ),
            "spaces": (data.replace(b",", b" , "), Effect()),
            "header twice": (data + data.split(b"\n", 1)[0] + b"\n", SHOWS),
            "no header": (data.split(b"\n", 1)[-1], SHOWS),
            "header of units": (
                data.replace(b"\n", b"\n" + b",".join([b"-"] * len(rows[0])) + b"\n", 1),
                SHOWS,
            ),
            "huge header": (b"x" * 2_000_000 + b"," + data, SHOWS),
            "many columns": (_wider(rows, 3000), Effect()),
            "the table twice": (data + data, SHOWS),
            "lower case": (data.lower(), Effect({EVERYTHING: ALL})),
        }[self.how]
        path.write_bytes(after)
        return effect


LAYOUTS = (
    "byte order mark",
    "windows line ends",
    "old line ends",
    "semicolons",
    "tabs",
    "decimal commas",
    "UTF-16",
    "no last line end",
    "last digits lost",
    "commas at the ends",
    "blank lines",
    "comments before",
    "a comment within",
    "quotes",
    "spaces",
    "header twice",
    "no header",
    "header of units",
    "huge header",
    "many columns",
    "the table twice",
    "lower case",
)


def _wider(rows: Rows, count: int) -> bytes:
    more = [f"MORE_{number}" for number in range(count)]
    body = ("," + ",".join(["-9999"] * count)).encode()
    head, *lines = text_of(rows).splitlines()
    return b"\n".join(
        [head + b"," + ",".join(more).encode(), *(line + body for line in lines), b""]
    )


CODES = (
    "-9999",
    "-6999",
    "",
    "NaN",
    "nan",
    "NA",
    "-9999.0",
    " -9999 ",
    "-9999.9",
    "-99999",
    "-999",
    "-99",
    "-1",
    "9.96921e+36",
    "1e20",
    "1e308",
    "1e400",
    "inf",
    "-inf",
    "Infinity",
    "9999",
    "999",
    "-32767",
    "0",
    "1e-320",
    "1,5",
    "1_5",
    "0x10",
    "1e5",
    "٣",
    "１",
    "--",
    "n/a",
    "#REF!",
    "None",
    "null",
    "True",
    "2001-01-01",
    "12:30",
    "1.2.3",
    "5d",
    "$4",
    "1 5",
    "\u20144",
    "+3",
    ".5",
    "5.",
    "NULL",
    "<NA>",
    "x" * 300,
)
CHANGES = {
    "temperature": ((1.0, 273.15), (1.8, 32.0), (10.0, 0.0), (-1.0, 0.0)),
    "radiation": ((0.0864, 0.0), (11.574, 0.0), (1e6, 0.0), (1e-3, 0.0), (-1.0, 0.0)),
    "deficit": ((0.1, 0.0), (10.0, 0.0), (100.0, 0.0), (-1.0, 0.0)),
    "rain": ((0.03937, 0.0), (10.0, 0.0), (25.4, 0.0), (1e-3, 0.0), (-1.0, 0.0)),
    "wind": ((3.6, 0.0), (86.4, 0.0), (10.0, 0.0), (-1.0, 0.0)),
    "carbon": ((10.0, 0.0), (1e3, 0.0), (1e-3, 0.0), (-1.0, 0.0)),
    "evaporation": ((0.03527, 0.0), (28.35, 0.0), (-1.0, 0.0)),
}
"""Factor and offset by which units are taken for one another, by quantity."""

COLUMNS = st.builds(
    Columns,
    st.sampled_from(["shuffled", "dropped", "twice", "renamed", "exchanged"]),
    SHARE,
    SHARE,
    st.integers(0, 2**16),
)
LINES = st.builds(
    Lines,
    st.sampled_from(["shuffled", "dropped", "twice", "other numbers"]),
    st.one_of(SHARE, st.just(0.0)),
    st.integers(1, 40),
    st.integers(0, 2**16),
)
SCALED = st.builds(Scaled, SHARE, SHARE, st.booleans())
CELLS = st.builds(
    Cells, SHARE, SHARE, st.integers(1, 20), st.integers(1, 12), st.sampled_from(CODES)
)
LAYOUT = st.builds(Layout, st.sampled_from(LAYOUTS))
