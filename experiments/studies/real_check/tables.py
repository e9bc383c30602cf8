"""Tables of the real check: simulated against observed, with errors."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from kgml_jax.evaluation.metrics import bias, pearson_r2, r2, rmse
from kgml_jax.evaluation.tables import Grid
from studies.measured_fields.management import CORN, SOYBEAN, Season, crop_years
from studies.measured_fields.readers import MeasuredField
from studies.measured_fields.simulated import LEAST_QUALITY, Result

FLUXES = ("GPP", "Reco", "NEE", "ET")

CROPS = {CORN: "corn", SOYBEAN: "soybean"}

KINDS = ("observed", "simulated")


def histories(fields: Sequence[MeasuredField]) -> Grid:
    """What is simulated where, with sources and assumptions."""
    rows = []
    for one in fields:
        days = one.dataset["time"].to_numpy().astype("datetime64[D]")
        rows.append((one.history.site, f"{days[0]} – {days[-1]}", one.history.remark))
    title = "Sites: period, where management and soil come from, and what is assumed"
    return Grid(title, ("site", "days", "sources and assumptions"), tuple(rows), text_columns=3)


def left_out(fields: Sequence[MeasuredField]) -> Grid:
    """The seasons that are simulated but not scored, and why."""
    years: dict[tuple[str, str, str], list[str]] = {}
    for one in fields:
        for season in one.history.seasons:
            if season.left_out:
                key = (one.history.site, season.name, season.left_out)
                years.setdefault(key, []).append(season.harvested[:4])
    rows = [(*key, ", ".join(of)) for key, of in years.items()]
    header = ("site", "crop", "why", "years of harvest")
    return Grid("Crops that are simulated but not scored", header, tuple(rows), text_columns=4)


def weather(fields: Sequence[MeasuredField]) -> Grid:
    """What was done to the forcing on the way in."""
    rows: dict[tuple[str, ...], None] = {}
    for note in (note for one in fields for note in one.notes):
        if note.kind not in ("masked", "warning"):
            rows[note.site, note.variable, note.kind, note.message, str(note.count)] = None
    header = ("site", "variable", "what", "how", "values")
    title = "Forcing and attributes: units converted, gaps filled, values estimated"
    return Grid(title, header, tuple(rows), text_columns=4)


def annual(result: Result, observed: xr.Dataset) -> xr.Dataset:
    """Compares the years of a site that has monthly fluxes and one crop a year.

    Args:
      result: its simulation.
      observed: as from `readers.mead_fluxes`.

    Returns:
      Dim `year`, without years whose NEE was seldom measured: `crop` (row of the crop table), each
      of `FLUXES` as `<flux>_observed` and `<flux>_simulated` (g C m-2 or mm a year), `ET_closed`,
      and `yield_observed` and `yield_simulated` (Mg ha-1).
    """
    months = observed["month"].to_numpy().astype("datetime64[M]")
    after = months + np.timedelta64(1, "M")
    lengths = (after.astype("datetime64[D]") - months.astype("datetime64[D]")).astype(int)
    of_month = months.astype("datetime64[Y]").astype(int) + 1970
    seasons = {int(season.harvested[:4]): season for season in result.field.history.seasons}
    rows = []
    for year in np.intersect1d(result.years, of_month).tolist():
        own, days = of_month == year, result.years == year
        seen = {name: values.to_numpy()[own] for name, values in observed.data_vars.items()}
        if seen["quality"].mean() < LEAST_QUALITY:
            continue
        row = {"year": year, "crop": seasons[year].row}
        for flux in FLUXES:
            row[f"{flux}_observed"] = (seen[flux] * lengths[own]).sum()
            row[f"{flux}_simulated"] = result[flux][days].sum()
        row["ET_closed"] = (seen["ET_closed"] * lengths[own]).sum()
        grain = seasons[year].grain
        row["yield_observed"] = np.nan if grain is None else grain
        row["yield_simulated"] = result.grain(seasons[year])
        rows.append(row)
    columns = {name: ("year", np.array([row[name] for row in rows])) for name in rows[0]}
    return xr.Dataset(columns).set_coords("year")


def annual_grid(years: xr.Dataset, site: str) -> Grid:
    """Tabulates `annual`, then the mean of each crop, the bias and the RMSE."""
    names = [f"{name}_{kind}" for name in (*FLUXES, "yield") for kind in KINDS]
    values = np.stack([years[name].to_numpy() for name in names], axis=1)
    crops = years["crop"].to_numpy()
    rows = [
        (site, str(year), CROPS[crop], *_annual_cells(values[row]))
        for row, (year, crop) in enumerate(zip(years["year"].values, crops.tolist(), strict=True))
    ]
    rows += [
        (site, "mean", name, *_annual_cells(_means(values[crops == crop])))
        for crop, name in CROPS.items()
    ]
    for label, metric in (("bias", bias), ("RMSE", rmse)):
        errors = np.full(len(names), np.nan)
        for column in range(0, len(names), 2):
            seen, modelled = values[:, column], values[:, column + 1]
            errors[column + 1] = metric(seen, modelled, np.isfinite(seen))
        rows.append((site, label, "both", *_annual_cells(errors)))
    header = [f"{name} {kind[:3]}" for name in (*FLUXES, "yield") for kind in KINDS]
    closed, seen = float(years["ET_closed"].mean()), float(years["ET_observed"].mean())
    title = (
        "Years: GPP, Reco, NEE in g C m-2, ET in mm (the tower's energy balance is not closed: "
        f"closing it turns {seen:.0f} into {closed:.0f}), yield in Mg ha-1; years with an NEE "
        f"quality below {LEAST_QUALITY} are left out"
    )
    return Grid(title, ("site", "year", "crop", *header), tuple(rows), text_columns=3)


def _means(values: np.ndarray) -> np.ndarray:
    """Means of the columns over the rows that have a value; NaN where none has."""
    seen = np.isfinite(values)
    counts = seen.sum(axis=0)
    return np.where(counts > 0, np.where(seen, values, 0.0).sum(axis=0), np.nan) / np.maximum(
        counts, 1
    )


def _annual_cells(values: np.ndarray) -> list[str]:
    # Fluxes are whole grams and millimetres; the last two are yields.
    places = [0] * (len(values) - 2) + [1, 1]
    return [_fixed(value, digits) for value, digits in zip(values, places, strict=True)]


def _fixed(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def contrast_grid(years: xr.Dataset, site: str) -> Grid:
    """Whether NEE has the right sign in corn years and the right contrast with soybean years."""
    rows = []
    for kind in KINDS:
        nee = years[f"NEE_{kind}"].to_numpy()
        groups = [nee[years["crop"].to_numpy() == crop] for crop in CROPS]
        cells = [f"{own.mean():.0f} ({own.min():.0f} to {own.max():.0f})" for own in groups]
        rows.append((site, kind, *cells, f"{groups[0].mean() - groups[1].mean():.0f}"))
    header = ("site", "", *CROPS.values(), "corn less soybean")
    title = "Annual NEE in g C m-2: mean (range) of corn and soybean years"
    return Grid(title, header, tuple(rows), text_columns=2)


def monthly(result: Result, observed: xr.Dataset, years: np.ndarray) -> xr.Dataset:
    """Returns monthly means of `years` side by side, `<flux>_observed` and `<flux>_simulated`."""
    months = result.dates.astype("datetime64[M]")
    kept = np.unique(months[np.isin(result.years, years)])
    seen = observed.sel(month=kept.astype("datetime64[ns]"))
    pairs = {}
    for flux in FLUXES:
        means = np.array([result[flux][months == month].mean() for month in kept])
        pairs[f"{flux}_observed"] = ("month", seen[flux].to_numpy())
        pairs[f"{flux}_simulated"] = ("month", means)
    return xr.Dataset(pairs, coords={"month": seen["month"]})


def monthly_grid(months: xr.Dataset, site: str) -> Grid:
    """Scores `monthly`."""
    rows = []
    for flux in FLUXES:
        seen, modelled = (months[f"{flux}_{kind}"].to_numpy() for kind in KINDS)
        good = np.isfinite(seen)
        scores = [metric(seen, modelled, good) for metric in (r2, pearson_r2, rmse, bias)]
        rows.append((site, flux, str(int(good.sum())), *map(_fixed, scores)))
    title = "Months: GPP, Reco, NEE in g C m-2 d-1, ET in mm d-1"
    header = ("site", "variable", "months", "r2", "pearson r2", "rmse", "bias")
    return Grid(title, header, tuple(rows), text_columns=2)


_SCORES = ("days", "obs", "sim", "r2", "rmse", "bias")


def towers_grid(results: Sequence[Result]) -> Grid:
    """Scores daily NEE and ET of each tower, by crop-year and over all that are scored."""
    rows = []
    for result in results:
        scored = np.zeros(len(result.dates), dtype=bool)
        for season, days in crop_years(result.field.history, result.dates):
            if not season.left_out:
                rows.append(_tower_row(result, season, days))
                scored |= days
        rows.append((result.field.history.site, "all scored", "", *_scores(result, scored), "", ""))
    scores = [f"{flux} {name}" for flux in ("NEE", "ET") for name in _SCORES]
    title = (
        "Days: NEE in g C m-2 d-1, ET in mm d-1, yield in Mg ha-1; a crop-year lasts from planting "
        "to the next planting; days with a quality below 0.75 do not count"
    )
    header = ("site", "crop", "planted – harvested", *scores, "yield obs", "yield sim")
    return Grid(title, header, tuple(rows), text_columns=3)


def _tower_row(result: Result, season: Season, days: np.ndarray) -> tuple[str, ...]:
    return (
        result.field.history.site,
        season.name,
        f"{season.planted} – {season.harvested}",
        *_scores(result, days),
        "-" if season.grain is None else _fixed(season.grain),
        _fixed(result.grain(season)),
    )


def _scores(result: Result, days: np.ndarray) -> list[str]:
    cells = []
    for flux in ("NEE", "ET"):
        seen, modelled = result.field.dataset[flux].to_numpy(), result[flux]
        good = days & np.isfinite(seen)
        means = [values[good].mean() if good.any() else np.nan for values in (seen, modelled)]
        scores = [metric(seen, modelled, good) for metric in (r2, rmse, bias)]
        cells += [str(int(good.sum())), *map(_fixed, (*means, *scores))]
    return cells


def root_respiration(result: Result) -> np.ndarray:
    """Returns the roots' part of autotrophic respiration, in proportion to their carbon."""
    plant = result["plant_carbon"]
    grown = plant > 0
    share = 1.0 - result["above_ground_carbon"] / np.where(grown, plant, 1.0)
    return np.where(grown, result["Ra"] * share, 0.0)


def soil_pairs(result: Result, observed: xr.Dataset) -> xr.Dataset:
    """Adds simulated `Rh_simulated`, `Rroot_simulated` and `Ra_simulated` to observed days."""
    simulated = xr.Dataset(
        {
            "Rh_simulated": ("time", result["Rh"]),
            "Rroot_simulated": ("time", root_respiration(result)),
            "Ra_simulated": ("time", result["Ra"]),
        },
        coords={"time": result.simulated["time"]},
    )
    return xr.merge([observed, simulated], join="inner", compat="equals")


def soil_grid(pairs: xr.Dataset, site: str) -> Grid:
    """Tabulates `soil_pairs` by season."""
    seasons, rows = pairs["season"].to_numpy(), []
    for season in (*dict.fromkeys(seasons.tolist()), "all"):
        own = np.ones(len(seasons), dtype=bool) if season == "all" else seasons == season
        cells = []
        for name in ("Rh", "Rroot"):
            seen, modelled = pairs[name].to_numpy(), pairs[f"{name}_simulated"].to_numpy()
            scores = [metric(seen, modelled, own) for metric in (rmse, r2)]
            cells += map(_fixed, (seen[own].mean(), modelled[own].mean(), *scores))
        cells.append(_fixed(pairs["Ra_simulated"].to_numpy()[own].mean()))
        rows.append((site, season, str(int(own.sum())), *cells))
    names = [f"{name} {what}" for name in ("Rh", "Rroot") for what in ("obs", "sim", "rmse", "r2")]
    title = (
        "Soil respiration on the days of measurement, control plots, g C m-2 d-1; simulated Rroot: "
        "Ra times the roots' share of plant carbon"
    )
    return Grid(title, ("site", "season", "days", *names, "Ra sim"), tuple(rows), text_columns=2)


def county_pairs(
    results: Sequence[Result], observed: Mapping[int, Mapping[int, float]]
) -> dict[int, np.ndarray]:
    """Returns, by row of the crop table, rows of (year, observed, simulated) in Mg ha-1."""
    pairs: dict[int, list[tuple[float, float, float]]] = {crop: [] for crop in CROPS}
    for result in results:
        for season in result.field.history.seasons:
            year = int(season.harvested[:4])
            if year in observed[season.row]:
                pairs[season.row].append((year, observed[season.row][year], result.grain(season)))
    return {crop: np.array(sorted(rows)) for crop, rows in pairs.items()}


def county_grid(pairs: Mapping[int, np.ndarray]) -> Grid:
    """Tabulates `county_pairs` by crop, with the correlation of what is left of the trends."""
    rows = []
    for crop, name in CROPS.items():
        years, seen, modelled = pairs[crop].T
        good = np.isfinite(seen)
        fits = [np.polyfit(years, values, 1) for values in (seen, modelled)]
        left = [seen - np.polyval(fits[0], years), modelled - np.polyval(fits[1], years)]
        scores = [metric(seen, modelled, good) for metric in (bias, rmse)]
        slopes = [fit[0] for fit in fits]
        numbers = (seen.mean(), modelled.mean(), *scores, *slopes, np.corrcoef(*left)[0, 1])
        span = f"{years[0]:.0f}–{years[-1]:.0f}"
        rows.append(("Champaign county", name, span, *map(_fixed, numbers)))
    header = ("site", "crop", "years", "obs", "sim", "bias", "rmse", "trend obs", "trend sim")
    title = (
        "Yields (NASS) in Mg ha-1 and a year, simulated by two rotations out of phase; r: "
        "correlation of what is left of linear trends"
    )
    return Grid(title, (*header, "detrended r"), tuple(rows), text_columns=3)
