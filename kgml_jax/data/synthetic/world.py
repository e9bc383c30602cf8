"""The synthetic world as a data set in the project's schema, with the truth beside it."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import xarray as xr

from kgml_jax.data import conventions
from kgml_jax.data.schema import FORCING, SITE_QUANTITIES
from kgml_jax.data.synthetic import observation, truth
from kgml_jax.data.synthetic.drawing import UNUSED, Arrays, SyntheticConfig, draw
from kgml_jax.data.synthetic.streams import generator
from kgml_jax.process.parameters import Params
from kgml_jax.records import Quantity, quantities
from kgml_jax.sites import VARIABLES

GRAIN = "grain_carbon"
PARAMETERS = quantities(Params)

OBSERVED = {
    **VARIABLES,
    **observation.BESIDE,
    GRAIN: Quantity("g C m-2 d-1", "Carbon exported with grain."),
}
"""What is observed, or could be: of the grain's carbon only the truth is kept."""

OUTPUTS = {
    "soil_water_content": "soil_water_content",
    "soil_temperature": "soil_temperature",
    "grain_yield": "grain_yield",
    "soil_carbon_stock": "soil_organic_carbon",
}
"""What is observed beside the fluxes, and the process model's name of it."""


class Simulate(Protocol):
    """The process model over many sites."""

    def __call__(
        self,
        parameters: Arrays,
        attributes: Arrays,
        forcing: Arrays,
        /,
        *,
        outputs: tuple[str, ...],
    ) -> Arrays:
        """Simulates from dicts of arrays by name, of shapes (site,), (site,), (site, time).

        Returns at least GPP, Ra, Rh, ET, `grain_carbon` and the `outputs` asked for, (site, time).
        """
        ...


def generate(config: SyntheticConfig, simulate: Simulate) -> xr.Dataset:
    """Generates sites, simulates them with their true parameters, and observes them.

    Args:
      config: what is generated.
      simulate: the process model over many sites.

    Returns:
      A data set in the schema, dims (site, time): forcing, attributes, group, observed targets with
      their uncertainties. Beside these `observation.BESIDE` with uncertainties, of which yield and
      soil carbon have values on a few days only; the truth of all that is observed as
      `<name>_truth`, with `grain_carbon_truth` (carbon exported with grain) and
      `true_<parameter>`. float32, int32 and str only.

    Raises:
      DataError: the table of stations cannot be used.
    """
    sites = draw(config)
    asked = tuple(OUTPUTS.values())
    simulated = simulate(sites.parameters, sites.attributes, sites.forcing, outputs=asked)
    kept = sites.dates >= np.datetime64(f"{config.first_year}-01-01")
    cut = lambda arrays: {name: values[:, kept] for name, values in arrays.items()}
    forcing, dates = cut(sites.forcing), sites.dates[kept]
    true = _truth(config, sites.names, cut(simulated), forcing)
    observed = _observations(config, sites.names, true, dates, forcing["harvest"])
    given = {name: forcing[name] for name in forcing if name not in (*UNUSED, "day_of_year")}
    series = ("site", "time")
    return xr.Dataset(
        {
            "group": ("site", [name[:2] for name in sites.names], {"long_name": "state"}),
            **_described(("site",), sites.attributes, SITE_QUANTITIES),
            **_described(series, given, FORCING),
            **_described(series, observed, OBSERVED),
            **_described(series, true, OBSERVED, "{}_truth", "without errors and gaps"),
            **_described(("site",), sites.parameters, PARAMETERS, "true_{}", "of this site"),
        },
        coords={
            "site": ("site", list(sites.names), {"long_name": "name of the site"}),
            "time": dates.astype("datetime64[ns]"),
        },
        attrs={
            "title": "Synthetic Midwest",
            "config": json.dumps(dataclasses.asdict(config), default=str),
        },
    )


def per_site(world: xr.Dataset) -> list[xr.Dataset]:
    """Separates a data set with dims (site, time) into one per site, as `assemble` takes them."""
    parts = []
    for name in world["site"].to_numpy().astype(str):
        one = world.sel(site=name)
        group = str(one["group"].item())
        one = one.drop_vars(["site", "group"]).assign_attrs(site=str(name), group=group)
        parts.append(one)
    return parts


def _truth(
    config: SyntheticConfig, names: tuple[str, ...], simulated: Arrays, forcing: Arrays
) -> Arrays:
    simulated = {name: values.astype(np.float64) for name, values in simulated.items()}
    gpp, autotrophic, heterotrophic = (simulated[name] for name in ("GPP", "Ra", "Rh"))
    if config.twist is not None:
        air = forcing["air_temperature_mean"]
        strengths = [generator(config.seed, name[:2], "twist").normal() for name in names]
        heterotrophic = np.stack(
            [
                truth.twisted(config.twist, heterotrophic[row], air[row], gpp[row], strength)
                for row, strength in enumerate(strengths)
            ]
        )
    respired = autotrophic + heterotrophic
    return {
        "GPP": gpp,
        "Ra": autotrophic,
        "Rh": heterotrophic,
        "Reco": respired,
        "NEE": respired - gpp,
        "ET": simulated["ET"],
        GRAIN: simulated[GRAIN],
        **{name: simulated[output] for name, output in OUTPUTS.items()},
    }


def _observations(
    config: SyntheticConfig,
    names: tuple[str, ...],
    true: Arrays,
    dates: np.ndarray,
    harvest: np.ndarray,
) -> Arrays:
    hidden = () if config.partition else ("Ra", "Rh")
    wanted = [name for name in (*VARIABLES, *observation.BESIDE) if name not in hidden]
    rows = [
        observation.observe(
            generator(config.seed, site, "observation"),
            {name: true[name][row] for name in wanted},
            observation.occasions(dates, harvest[row]),
            config.noise,
            config.gaps,
        )
        for row, site in enumerate(names)
    ]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _described(
    dims: tuple[str, ...],
    arrays: Arrays,
    known: Mapping[str, Quantity],
    name: str = "{}",
    beside: str = "",
) -> dict[str, tuple[tuple[str, ...], np.ndarray, dict[str, str]]]:
    # Variables of a data set; `name` is a pattern for theirs, `beside` ends what is said of them.
    described = {}
    for key, values in arrays.items():
        whole = np.issubdtype(values.dtype, np.integer)
        stored = values.astype(np.int32 if whole else np.float32)
        about = _about(key, known, len(dims) > 1)
        about["long_name"] += f", {beside}" * bool(beside)
        described[name.format(key)] = (dims, stored, about)
    return described


def _about(key: str, known: Mapping[str, Quantity], daily: bool) -> dict[str, str]:
    of = key.removesuffix("_uncertainty")
    about = conventions.described(of, known[of], daily)
    about.pop(conventions.IN_FULL, None)
    # In the units of the schema, which say of what element a gram is.
    about["units"] = known[of].units
    if of != key:
        about["long_name"] = f"One standard error of: {about['long_name']}"
        about.pop("standard_name", None)
        about.pop("sign_convention", None)
    return about
