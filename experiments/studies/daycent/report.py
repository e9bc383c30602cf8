"""What `daycent.py` shows and writes: scores of held-out years, figures, and the data set."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.evaluation import comparison_figures, figures, scores, tables
from kgml_jax.evaluation.canvas import save
from kgml_jax.evaluation.scores import Predictions
from kgml_jax.split import DividedSites

TARGET = "Rh"
SHOWN = ("r2", "rmse", "bias")
FIGURE_YEARS = 4


def score_table(
    predictions: Predictions, data: DividedSites, name: str
) -> tuple[xr.Dataset, tables.Grid]:
    """Scores the test days and returns the scores with their table."""
    scored = scores.score(predictions, data.sites, data.test_days, SHOWN)
    years = np.asarray(data.sites.site.calendar.year)
    held = _ranges(np.unique(years[data.test_days]))
    count = int(scored["n_observed"].isel(strategy=0, site=0, variable=0))
    title = f"{name.replace('-', ' ')}: {TARGET} in g C m-2 d-1 on {count} days of {held}"
    columns = ("prediction", *(f"{metric} ({scored[metric].attrs['better']})" for metric in SHOWN))
    cell = scored.isel(site=0).sel(variable=TARGET)
    rows = tuple(
        (arm, *(tables.number(float(cell[metric].sel(strategy=arm))) for metric in SHOWN))
        for arm in predictions
    )
    return scored, tables.Grid(title, columns, rows, text_columns=1)


def _ranges(years: np.ndarray) -> str:
    breaks = np.flatnonzero(np.diff(years) > 1) + 1
    return ", ".join(f"{part[0]}-{part[-1]}" for part in np.split(years, breaks))


def draw(folder: Path, predictions: Predictions, data: DividedSites) -> tuple[Path, Path]:
    """Draws the last held-out years day by day, and observed against predicted."""
    sites, days = data.sites, data.test_days
    years = np.asarray(sites.site.calendar.year)[days]
    period = (f"{years.max() - FIGURE_YEARS + 1}-01-01", f"{years.max()}-12-31")
    series = figures.time_series(data, predictions, sites.names[0], TARGET, period=period)
    cloud = comparison_figures.scatter(sites, predictions, TARGET, days)
    return save(series, folder / "series.png"), save(cloud, folder / "scatter.png")


def as_dataset(
    predictions: Mapping[str, Predictions],
    divided: Mapping[str, DividedSites],
    scored: Mapping[str, xr.Dataset],
) -> xr.Dataset:
    """Returns the run's series, predictions, roles and scores, by split, prediction and time."""
    names = list(predictions)
    every = list(predictions[names[0]])
    values = np.stack([[predictions[name][arm][TARGET][0] for arm in every] for name in names])
    units = {"units": "g C m-2 d-1"}
    site = divided[names[0]].sites.site
    dates = np.asarray(site.calendar.date)[0].astype("datetime64[D]")
    parts = [scored[name].isel(site=0, drop=True).sel(variable=TARGET, drop=True) for name in names]
    joined = (
        xr.concat(parts, "split").rename(strategy="prediction").drop_vars("group", errors="ignore")
    )
    dataset = xr.Dataset(
        {
            "Rh_daycent": ("time", np.asarray(site.targets[TARGET])[0], units),
            "Rh": (("split", "prediction", "time"), values, units),
            "role": (
                ("split", "time"),
                np.stack([divided[name].roles[0] for name in names]),
                {"flag_values": [0, 1, 2, 3], "flag_meanings": "none training validation test"},
            ),
        },
        coords={"split": names, "prediction": every, "time": dates.astype("datetime64[ns]")},
    )
    return dataset.merge(joined)
