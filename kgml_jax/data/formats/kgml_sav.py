"""Dictionaries of KGML-ag and PyKGML, written by `torch.save` as `.sav` files.

Two layouts are known. The published benchmark has `X_train`, `Y_train`, `X_test`, `Y_test` of
shape (sample, day, feature), their scalers and the names of the features. The file it was made
from has `X` (day, site, feature), `Xsp` (site, soil property), their scalers and `FIPS_ref`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from kgml_jax.data.formats import torch_file
from kgml_jax.data.formats.kgml_series import DAYS, Series, piece
from kgml_jax.data.schema import Piece
from kgml_jax.errors import DataError, listed

SUFFIXES = (".sav",)

FIRST_YEAR = 2001
"""Of the simulations, where a file has no column `Year`."""

DAILY = ("RADN", "TMAX_AIR", "TDIF_AIR", "HMAX_AIR", "HDIF_AIR", "WIND", "PRECN", "Crop_Type")
SOIL = ("TBKDS", "TSAND", "TSILT", "TFC", "TWP", "TKSat", "TSOC", "TPH", "TCEC")
INPUTS = (*DAILY, "GPP", "Year", *SOIL)
"""The 19 inputs of KGML-ag-Carbon in their order."""

_SIMULATED = (*DAILY, "GPP", "Ra", "Rh", "GrainC")
_OUTPUTS = {3: ("Ra", "Rh", "NEE"), 2: ("NEE", "Reco")}
_BENCHMARK = ("X_train", "X_test", "Y_train", "Y_test")
_STATES = {"17": "IL", "18": "IN", "19": "IA"}
_PLAUSIBLE_YEARS = (1850, 2150)
_SAME_SOIL = 1e-4  # what standard scores in float32 leave of a constant
_GRAIN_DAY = DAYS - 2  # counted from 0


def load(path: Path) -> list[Piece]:
    """Reads every site of a dictionary.

    Raises:
      DataError: damaged, not of torch.save, no such dictionary, or arrays that do not fit.
    """
    content = torch_file.load(path)
    if not isinstance(content, dict):
        raise DataError("holds no dictionary", file=path, found=type(content).__name__)
    if set(_BENCHMARK) <= set(content):
        series = _benchmark(content, path)
    elif {"X", "X_scaler", "Xsp", "Xsp_scaler", "FIPS_ref"} <= set(content):
        series = _simulations(content, path)
    else:
        expected = f"{', '.join(_BENCHMARK)} or X, X_scaler, Xsp, Xsp_scaler, FIPS_ref"
        found = listed([str(key) for key in content], 12)
        raise DataError("is no data set of KGML-ag", file=path, found=found, expected=expected)
    return [piece(one, path.name) for one in series]


def _benchmark(content: dict, path: Path) -> list[Series]:
    parts = {}
    for part in ("train", "test"):
        inputs, outputs, assumed = _described(content, part, path)
        parts[part] = [
            replace(run, attrs={"split": part}, assumed=assumed)
            for x, y in zip(inputs, outputs, strict=True)
            for run in _runs(x, y, path)
        ]
    joined = _joined(parts["train"], parts["test"])
    width = max(3, len(str(len(joined))))
    stem = path.name.split(".")[0]
    return [replace(one, site=f"{stem}-{number:0{width}d}") for number, one in enumerate(joined, 1)]


def _described(content: dict, part: str, path: Path) -> tuple[list, list, tuple[str, ...]]:
    """Returns, by sample, inputs and outputs by name in their own units, and what was assumed."""
    x = _array(content[f"X_{part}"], f"X_{part}", 3, path)
    y = _array(content[f"Y_{part}"], f"Y_{part}", 3, path)
    _check_days(x, f"X_{part}", path)
    names, outputs = (
        _plain(content.get(name), name, path) for name in ("input_features", "output_features")
    )
    assumed = []
    if names is None:
        names = INPUTS
        assumed.append("no input_features: the published order of the inputs is taken")
    if outputs is None:
        outputs = _OUTPUTS.get(y.shape[2], ())
        assumed.append(f"no output_features: taken as {', '.join(outputs)}")
    if x.shape[:2] != y.shape[:2] or x.shape[2] != len(names) or y.shape[2] != len(outputs):
        found = f"X_{part} {x.shape}, Y_{part} {y.shape}"
        expected = f"(sample, day, {len(names)}) and (sample, day, {len(outputs)})"
        raise DataError("arrays that do not fit", file=path, found=found, expected=expected)
    x_scaler = _scaler(content.get("x_scaler"), "x_scaler", len(names), path)
    y_scaler = _scaler(content.get("y_scaler"), "y_scaler", len(outputs), path)
    if content.get("y_scaler") is None:
        assumed.append("no y_scaler: the outputs are taken as they are")
    if "Year" not in names:
        assumed.append(f"no Year: the series is taken to start in {FIRST_YEAR}")
    return (
        [_columns(sample, names, x_scaler) for sample in x],
        [_columns(sample, outputs, y_scaler) for sample in y],
        tuple(assumed),
    )


def _check_days(x: np.ndarray, name: str, path: Path) -> None:
    if x.shape[1] == 0 or x.shape[1] % DAYS:
        raise DataError(
            "is no series of whole years, so its days have no dates",
            file=path,
            variable=name,
            found=f"{x.shape[1]} days",
            expected=f"a multiple of {DAYS} (seasons of chambers are not read)",
        )


def _columns(sample: np.ndarray, names: Sequence, scaler: np.ndarray) -> dict[str, np.ndarray]:
    values = sample.astype(np.float64) * scaler[:, 1] + scaler[:, 0]
    return {str(name): column for name, column in zip(names, values.T, strict=True)}


def _runs(
    inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray], path: Path
) -> Iterator[Series]:
    """Cuts a sample where the years do not follow each other or the soil changes."""
    years = _years(inputs, path)
    changed = np.diff(years) != 1
    for name in [name for name in SOIL if name in inputs]:
        mean = inputs[name].reshape(-1, DAYS).mean(axis=1)
        changed |= ~_alike(mean[1:], mean[:-1])
    cuts = np.flatnonzero(changed) + 1
    edges = [0, *map(int, cuts), len(years)]
    for start, stop in pairwise(edges):
        days = slice(start * DAYS, stop * DAYS)
        yield Series(
            site="",
            years=tuple(map(int, years[start:stop])),
            inputs={name: values[days] for name, values in inputs.items()},
            outputs={name: values[days] for name, values in outputs.items()},
        )


def _years(inputs: dict[str, np.ndarray], path: Path) -> np.ndarray:
    if "Year" not in inputs:
        return FIRST_YEAR + np.arange(len(next(iter(inputs.values()))) // DAYS)
    daily = inputs["Year"].reshape(-1, DAYS)
    years = np.rint(daily[:, 0]).astype(int)
    low, high = _PLAUSIBLE_YEARS
    wrong = (np.abs(daily - years[:, None]) > 0.1).any(axis=1) | (years < low) | (years > high)
    if wrong.any():
        raise DataError(
            "is not one year for every 365 days",
            file=path,
            variable="Year",
            found=f"{daily[wrong][0].min():.4g} to {daily[wrong][0].max():.4g}",
            expected="a calendar year, after x_scaler was undone",
        )
    return years


def _joined(train: list[Series], test: list[Series]) -> list[Series]:
    """Joins the last years of a site, kept for testing, to the years before them."""
    joined, open_ends = list(train), list(range(len(train)))
    for late in test:
        place = next((at for at in open_ends if _follows(late, joined[at])), None)
        if place is None:
            joined.append(late)
            continue
        open_ends.remove(place)
        early = joined[place]
        joined[place] = replace(
            early,
            years=early.years + late.years,
            inputs=_after(early.inputs, late.inputs),
            outputs=_after(early.outputs, late.outputs),
            attrs={"split": f"train, test from {late.years[0]}"},
        )
    return joined


def _follows(late: Series, early: Series) -> bool:
    if early.years[-1] + 1 != late.years[0]:
        return False
    return all(
        bool(_alike(late.inputs[name][0], early.inputs[name][0]))
        for name in SOIL
        if name in late.inputs
    )


def _alike(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.isclose(one, other, rtol=_SAME_SOIL, atol=_SAME_SOIL)


def _after(early: dict[str, np.ndarray], late: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([values, late[name]]) for name, values in early.items()}


def _simulations(content: dict, path: Path) -> list[Series]:
    x = _array(content["X"], "X", 3, path)
    soil = _array(content["Xsp"], "Xsp", 2, path)
    _check_days(np.swapaxes(x, 0, 1), "X", path)
    codes = [_code(code) for code in _plain(content["FIPS_ref"], "FIPS_ref", path) or ()]
    count = len(_SIMULATED)
    if x.shape[2] < count or soil.shape != (x.shape[1], len(SOIL)) or len(codes) != x.shape[1]:
        found = f"X {x.shape}, Xsp {soil.shape}, FIPS_ref {len(codes)}"
        expected = f"(day, site, {count} or more), (site, {len(SOIL)}), site"
        raise DataError("arrays that do not fit", file=path, found=found, expected=expected)
    scaler = _scaler(content["X_scaler"], "X_scaler", x.shape[2], path)[:count]
    soil_scaler = _scaler(content["Xsp_scaler"], "Xsp_scaler", len(SOIL), path)
    soil = soil * soil_scaler[:, 1] + soil_scaler[:, 0]
    return [
        _simulation(_columns(x[:, row, :count], _SIMULATED, scaler), soil[row], codes, row)
        for row in range(len(codes))
    ]


def _simulation(
    columns: dict[str, np.ndarray], soil: np.ndarray, codes: list[str], row: int
) -> Series:
    days = len(columns["GPP"])
    outputs = {name: columns.pop(name) for name in ("Ra", "Rh", "GrainC")}
    # Their sign rule: GPP + Ra + Rh + NEE = 0 with Ra and Rh negative.
    outputs["NEE"] = -(columns["GPP"] + outputs["Ra"] + outputs["Rh"])
    on_grain_day = np.arange(days) % DAYS == _GRAIN_DAY
    outputs["GrainC"] = np.where(on_grain_day, outputs["GrainC"], np.nan)
    soil_columns = {name: np.full(days, value) for name, value in zip(SOIL, soil, strict=True)}
    code = codes[row]
    return Series(
        site=code if codes.count(code) == 1 else f"{code}-{codes[:row].count(code) + 1}",
        years=tuple(range(FIRST_YEAR, FIRST_YEAR + days // DAYS)),
        inputs=columns | soil_columns,
        outputs=outputs,
        attrs={"group": _STATES.get(code[:2], code[:2])},
        assumed=(f"no Year: the series is taken to start in {FIRST_YEAR}",),
    )


def _plain(value: Any, name: str, path: Path) -> list | None:
    """Returns a list of texts or numbers, which a file may hold as an array too; None if absent."""
    items = value.reshape(-1).tolist() if isinstance(value, np.ndarray) else value
    if items is None:
        return None
    plain = str | bytes | int | float | np.generic
    if not isinstance(items, list | tuple) or not all(isinstance(item, plain) for item in items):
        expected, found = "a list of names or codes", type(value).__name__
        raise DataError("is no list", file=path, variable=name, found=found, expected=expected)
    return list(items)


def _code(code: Any) -> str:
    text = str(code).removesuffix(".0")
    return text.zfill(5) if text.isdigit() else text


def _array(value: Any, name: str, dimensions: int, path: Path) -> np.ndarray:
    if (
        not isinstance(value, np.ndarray)
        or value.ndim != dimensions
        or value.dtype.kind not in "fiu"
    ):
        found = getattr(value, "shape", type(value).__name__)
        expected = f"numbers in {dimensions} dimensions"
        raise DataError(
            "is no such array", file=path, variable=name, found=found, expected=expected
        )
    return value


def _scaler(value: Any, name: str, features: int, path: Path) -> np.ndarray:
    """Returns mean and standard deviation by feature; without a scaler the identity."""
    if value is None:
        return np.tile([0.0, 1.0], (features, 1))
    scaler = _array(value, name, 2, path).astype(np.float64)
    if scaler.shape != (features, 2):
        expected = f"({features}, 2): mean and standard deviation"
        found = scaler.shape
        raise DataError("a scaler", file=path, variable=name, found=found, expected=expected)
    return scaler
