"""Files of CalLMIP Phase 1: one a site and stage, dims (time, lat, lon), days of its record."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.data.conventions import IN_FULL
from kgml_jax.errors import DataError
from studies.callmip.variables import VARIABLES, Variable, taken

FILL = np.float32(1e38)
"""Missing value of the protocol's template."""

PRIOR, POSTERIOR = "Prior", "Posterior"

ROLES = {"Cal": "Calibration", "Val": "Validation"}
"""What a site is for, as file names and attributes say it."""


@dataclass(frozen=True)
class Experiment:
    """What names the files.

    Attributes:
      model: name and version, such as `kgml_jax.v1`.
      phase: of CalLMIP, such as `Phase1b`.
      scenario: of the calibration, such as `Scen1`.
      validation: names of the sites that were not calibrated.
    """

    model: str
    phase: str
    scenario: str
    validation: frozenset[str] = frozenset()

    def role(self, site: str) -> str:
        """Returns a key of `ROLES`."""
        return "Val" if site in self.validation else "Cal"

    def name(self, site: str, stage: str) -> str:
        """Returns the name of a file."""
        parts = (self.model, self.phase, self.scenario, site, self.role(site), stage)
        return f"{'_'.join(parts)}.nc"


def stages(predictions: xr.Dataset, prior: str, posterior: str) -> dict[str, xr.Dataset]:
    """Returns predictions by stage.

    Args:
      predictions: of `evaluate`, which hold several strategies; or of `estimate`, `predict` or
        `simulate`, which are the posterior.
      prior: the strategy before calibration; none where it is not there.
      posterior: the strategy after.

    Raises:
      ValueError: the posterior is no strategy of the predictions.
    """
    if "strategy" not in predictions.dims:
        return {POSTERIOR: predictions}
    known = [str(name) for name in predictions["strategy"].values]
    if posterior not in known:
        raise ValueError(f"--posterior {posterior}: not in the file; there is {', '.join(known)}")
    named = {PRIOR: prior, POSTERIOR: posterior}
    return {stage: predictions.sel(strategy=name) for stage, name in named.items() if name in known}


def files(
    by_stage: Mapping[str, xr.Dataset], experiment: Experiment
) -> Iterator[tuple[str, xr.Dataset]]:
    """Yields the name and content of every file.

    Raises:
      DataError: a site has no latitude or longitude, or no day; a variable is in other units.
      ValueError: a site for validation is not there, or the name of a site is a path.
    """
    names = [str(name) for name in next(iter(by_stage.values()))["site"].values]
    if paths := [name for name in names if Path(name).name != name]:
        raise ValueError(f"{', '.join(paths)}: names of files are made of the names of sites")
    if absent := sorted(experiment.validation - set(names)):
        raise ValueError(f"--validation {', '.join(absent)}: no such site; {', '.join(names)}")
    for stage, predictions in by_stage.items():
        for name in names:
            content = _of_site(predictions.sel(site=name), name)
            content.attrs |= _attributes(experiment, name, stage)
            yield experiment.name(name, stage), content


def _attributes(experiment: Experiment, site: str, stage: str) -> dict[str, str]:
    return {
        "title": f"CalLMIP {experiment.phase}, {site}, {stage.lower()}",
        "Model": experiment.model,
        "CalLMIP_Phase": experiment.phase,
        "CalLMIP_Expt": experiment.scenario,
        "Calibration_Scenario": experiment.scenario,
        "Calibration_stage": stage,
        "Cal_Val": ROLES[experiment.role(site)],
        "site": site,
    }


def _of_site(predictions: xr.Dataset, site: str) -> xr.Dataset:
    found = {name: (variable, values) for name, variable, values in taken(predictions)}
    seen = [np.isfinite(values.values) for _, values in found.values()]
    if not seen or not np.any(seen):
        raise DataError(
            "no day is predicted", site=site, expected=f"some of {', '.join(VARIABLES)}"
        )
    days = np.flatnonzero(np.any(seen, axis=0))
    record = slice(days[0], days[-1] + 1)
    dates = predictions["time"].values[record].astype("datetime64[D]")
    missing = {name: (one, None) for name, one in VARIABLES.items() if name not in found}
    content = xr.Dataset(
        {
            name: _placed(variable, values, record, len(dates))
            for name, (variable, values) in {**found, **missing}.items()
        },
        coords=_place(predictions, site),
    )
    return content.assign(_time(dates))


def _placed(
    variable: Variable, values: xr.DataArray | None, record: slice, days: int
) -> xr.Variable:
    own = np.full(days, np.nan) if values is None else values.values[record]
    about = {
        "long_name": variable.long_name,
        "units": variable.units,
        # As the protocol spells them, also where udunits would not.
        IN_FULL: variable.units,
        "cell_methods": "time: mean",
    }
    note = "not predicted by the model" if values is None else variable.note
    about |= {"comment": note} if note else {}
    shaped = own[:, None, None].astype(np.float32)
    return xr.Variable(("time", "lat", "lon"), shaped, about, {"_FillValue": FILL})


def _place(predictions: xr.Dataset, site: str) -> dict[str, xr.Variable]:
    found = {}
    for short, name, units in (
        ("lat", "latitude", "degrees_north"),
        ("lon", "longitude", "degrees_east"),
    ):
        value = float(predictions[name]) if name in predictions.coords else np.nan
        if not np.isfinite(value):
            raise DataError(
                "the place of the site is not in the predictions",
                site=site,
                variable=name,
                expected="lat and lon in sites.csv when the run read its data",
            )
        about = {"standard_name": name, "long_name": name, "units": units}
        found[short] = xr.Variable(short, [value], about, {"_FillValue": None})
    return found


def _time(dates: np.ndarray) -> dict[str, xr.Variable]:
    # Days since the record's first year began; a value stands for the middle of its day.
    start = dates[0].astype("datetime64[Y]")
    noon = (dates - start.astype("datetime64[D]")).astype(int) + 0.5
    about = {
        "standard_name": "time",
        "long_name": "time",
        "axis": "T",
        "units": f"days since {start}-01-01 00:00:00",
        "calendar": "standard",
        "bounds": "time_bnds",
    }
    bounds = np.stack([noon - 0.5, noon + 0.5], axis=1)
    plain = {"_FillValue": None}
    return {
        "time": xr.Variable("time", noon, about, plain),
        "time_bnds": xr.Variable(("time", "bnds"), bounds, None, plain),
    }
