"""What `daycent.py` shows and writes: scores of held-out years, figures, and the data set."""

from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.evaluation import figures, scores, tables
from kgml_jax.evaluation.scores import Predictions
from kgml_jax.sites import TEST, Sites

TARGET = "Rh"
SHOWN = ("r2", "rmse", "bias")
FIGURE_YEARS = 4


def score_table(
    predictions: Predictions, sites: Sites, name: str, roles: np.ndarray
) -> tuple[xr.Dataset, tables.Grid]:
    """Scores the test days and returns the scores with their table."""
    found = scores.score(predictions, sites, roles == TEST, SHOWN)
    years = np.asarray(sites.site.calendar.year)
    held = _ranges(np.unique(years[roles == TEST]))
    count = int(found["n_observed"].isel(strategy=0, site=0, variable=0))
    title = f"{name.replace('-', ' ')}: {TARGET} in g C m-2 d-1 on {count} days of {held}"
    columns = ("prediction", *(f"{metric} ({found[metric].attrs['better']})" for metric in SHOWN))
    cell = found.isel(site=0).sel(variable=TARGET)
    rows = tuple(
        (arm, *(tables.number(float(cell[metric].sel(strategy=arm))) for metric in SHOWN))
        for arm in predictions
    )
    return found, tables.Grid(title, columns, rows, text_columns=1)


def _ranges(years: np.ndarray) -> str:
    breaks = np.flatnonzero(np.diff(years) > 1) + 1
    return ", ".join(f"{part[0]}-{part[-1]}" for part in np.split(years, breaks))


def draw(
    folder: Path,
    predictions: Predictions,
    sites: Sites,
    roles: np.ndarray,
) -> tuple[Path, Path]:
    """Draws the last held-out years day by day, and observed against predicted."""
    years = np.asarray(sites.site.calendar.year)[roles == TEST]
    period = (f"{years.max() - FIGURE_YEARS + 1}-01-01", f"{years.max()}-12-31")
    series, cloud = folder / "series.png", folder / "scatter.png"
    return (
        figures.time_series(series, sites, predictions, sites.names[0], TARGET, period=period),
        figures.scatter(cloud, sites, predictions, TARGET, roles == TEST),
    )


def as_dataset(
    predictions: dict[str, Predictions],
    sites: Sites,
    roles: dict[str, np.ndarray],
    found: dict[str, xr.Dataset],
) -> xr.Dataset:
    """Returns the run's series, predictions, roles and scores, by split, prediction and time."""
    names = list(predictions)
    every = list(predictions[names[0]])
    values = np.stack([[predictions[one][arm][TARGET][0] for arm in every] for one in names])
    units = {"units": "g C m-2 d-1"}
    dates = np.asarray(sites.site.calendar.date)[0].astype("datetime64[D]")
    parts = [found[one].isel(site=0, drop=True).sel(variable=TARGET, drop=True) for one in names]
    scored = (
        xr.concat(parts, "split").rename(strategy="prediction").drop_vars("group", errors="ignore")
    )
    dataset = xr.Dataset(
        {
            "Rh_daycent": ("time", np.asarray(sites.site.targets[TARGET])[0], units),
            "Rh": (("split", "prediction", "time"), values, units),
            "role": (
                ("split", "time"),
                np.stack([roles[one][0] for one in names]),
                {"flag_values": [0, 1, 2, 3], "flag_meanings": "none training validation test"},
            ),
        },
        coords={"split": names, "prediction": every, "time": dates.astype("datetime64[ns]")},
    )
    return dataset.merge(scored)
