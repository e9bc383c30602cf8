"""From files to sites, from sites to scores: what needs no training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from kgml_jax.api.given import plain, require_divided
from kgml_jax.api.given import settings as settings_of
from kgml_jax.data.choices import DataChoice, SplitChoice
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites
from kgml_jax.workflows import observations as site_observations
from kgml_jax.workflows import scoring, simulation
from kgml_jax.workflows import sites as site_sources


def read_sites(
    path: str | Path,
    metadata: str | Path | None = None,
    fluxes: bool = True,
    management: str | Path | None = None,
    **options: Any,
) -> Sites:
    """Reads tower or field data, checks them, and fills what may be filled.

    Args:
      path: FLUXNET daily file, zip or folder; NetCDF, Zarr or CSV with dims (site, time).
      metadata: CSV of site metadata (site, lat, lon, elev, igbp); by default `sites.csv` beside it.
      fluxes: whether fluxes are needed. Without, files need to hold none, and those they hold are
        not read: for `predict` and `simulate`.
      management: table of events (site, date, event, crop, amount, unit, method); by default
        `management.csv` beside the data.
      options: further fields of `data.choices.DataChoice`, such as `qc_threshold` or `partition`.

    Returns:
      The sites; `notes` say what was done to the data on the way in.

    Raises:
      DataError: naming file, site and variable, what was found and what was expected.
      ValueError: an option is not known.

    Example:
      >>> kgml_jax.read_sites("nowhere")
      Traceback (most recent call last):
      kgml_jax.errors.DataError: no such file or folder (found nowhere; expected a path to data)
    """
    tables = {"metadata": metadata, "management": management}
    given = {name: None if table is None else Path(table) for name, table in tables.items()}
    choice = settings_of(DataChoice, {"data": Path(path), **given, **options})
    return site_sources.load(choice, fluxes=fluxes)


def synthetic_sites(
    sites: int = 30, years: int = 8, seed: int = 0, prescribe_gpp: bool = False
) -> Sites:
    """Makes sites of a synthetic Midwest whose truth the process model gives.

    Args:
      sites: how many, in the ratio IL:IA:IN = 22:41:27.
      years: length of each record.
      seed: of climate, management, true parameters, noise and gaps.
      prescribe_gpp: give the simulated GPP to the model as an input.

    Returns:
      The sites; `truth` holds their true parameters and fluxes.

    Example:
      >>> len(sites), sites.names
      (3, ('IL-01', 'IA-01', 'IN-01'))
    """
    return site_sources.load(
        DataChoice(
            synthetic_sites=sites,
            synthetic_years=years,
            synthetic_seed=seed,
            prescribe_gpp=prescribe_gpp,
        )
    )


def observations(sites: Sites | DividedSites) -> xr.Dataset:
    """Returns what the sites observed, as it is scored.

    Args:
      sites: that were read or made.

    Returns:
      Each target and its `<target>_uncertainty` (one standard error) with CF attributes, dims
      (site, time); NaN on days that are not observed or were masked when the data were read.

    Example:
      >>> observed = kgml_jax.observations(sites)
      >>> observed["NEE"].attrs["units"], bool(observed["NEE"].isnull().any())
      ('g m-2 d-1', True)
    """
    return site_observations.observations(plain(sites))


def divide(
    sites: Sites,
    how: Literal[
        "last-years", "blocked", "extreme-years", "leave-site-out", "leave-group-out"
    ] = "last-years",
    test: int = 2,
    validation: int = 1,
    leave_out: Sequence[str] = (),
    new_sites: int = 0,
) -> DividedSites:
    """Divides the days of every site into training, validation and test.

    Args:
      sites: to divide.
      how: by the last or most extreme years of each record, blocks of years, or whole sites.
      test: years of each record that are only ever scored.
      validation: last years of the others, which stop training and decide acceptance.
      leave_out: names of sites or groups, for the last two ways.
      new_sites: whole sites that pretraining never sees (last-years).

    Raises:
      DataError: a name to leave out does not exist.
      ValueError: an option has no meaning beside another, or no site is left to train on.

    Example:
      >>> data.split.periods["IL-01"][-1]
      ('2003-01-01', '2004-12-31', 'test')
    """
    choice = SplitChoice(how, test, validation, tuple(leave_out), new_sites)
    return site_sources.divide(sites, choice)


def simulate(
    sites: Sites | DividedSites,
    parameters: Mapping[str, np.ndarray | float] | None = None,
    outputs: Sequence[str] = ("fluxes",),
) -> xr.Dataset:
    """Simulates every site with the process model.

    Args:
      sites: with weather and a crop calendar; without one the ground is bare.
      parameters: fields of `process.Params` in physical units, each a number or (site,); those not
        named have their defaults.
      outputs: names or groups: all, fluxes, carbon, nitrogen, water, heat, crop.

    Returns:
      Daily values with CF attributes, dims (site, time) or (site, time, layer).

    Raises:
      ValueError: an output or parameter has no such name.

    Example:
      >>> fields = kgml_jax.simulate(sites, {"carbon_use_efficiency": 0.4}, ["carbon"])
      >>> fields["heterotrophic_respiration"].attrs["units"]
      'g m-2 d-1'
    """
    given = {name: np.asarray(values) for name, values in (parameters or {}).items()}
    return simulation.simulate(plain(sites), given, outputs)


def score(
    fluxes: xr.Dataset | Mapping[str, xr.Dataset],
    data: DividedSites,
    days: Literal["test", "validation", "train"] = "test",
) -> xr.Dataset:
    """Scores predictions by site and variable.

    Args:
      fluxes: what `predict` or `simulate` returned, or several of them by name.
      data: sites with their split; holds the observations.
      days: which days are scored.

    Returns:
      r2, rmse, bias and more, dims (strategy, site, variable).

    Raises:
      ValueError: the fluxes are of other sites, or no day is to be scored.

    Example:
      >>> scores["r2"].dims, scores["strategy"].values.tolist()
      (('strategy', 'site', 'variable'), ['pretrained', 'bias'])
    """
    require_divided(data)
    several = {"predicted": fluxes} if isinstance(fluxes, xr.Dataset) else fluxes
    return scoring.score_datasets(several, data, days)
