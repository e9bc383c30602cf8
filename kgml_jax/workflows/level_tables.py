"""What crops, and sites in common, have: levels as a data set, for sites that were not seen."""

import jax.numpy as jnp
import numpy as np
import xarray as xr

from kgml_jax.data import conventions
from kgml_jax.inversion import posterior
from kgml_jax.inversion.levels import Levels
from kgml_jax.inversion.problem import Problem
from kgml_jax.process.parameters import parameter, parted


def level_table(levels: Levels, problem: Problem) -> xr.Dataset:
    """Returns the level of each parameter in its own units, dims (parameter,).

    The interval is that of a site that was not seen: how far the level is known, and how far sites
    depart from it.
    """
    count, names = len(problem.parameters), problem.parameters
    mean = jnp.asarray(levels.mean[:count], jnp.result_type(float))
    own, new = (
        posterior.estimate(mean, jnp.asarray(sd[:count], mean.dtype), names)
        for sd in (np.sqrt(np.diagonal(levels.covariance)), levels.new_sd)
    )
    full = conventions.IN_FULL
    columns = {
        "value": (own.value, "level: median of the sites that have the parameter", None),
        "sd": (own.sd, "standard deviation of the level itself", None),
        "lower": (new.lower, "5 % quantile of a site that was not seen", None),
        "upper": (new.upper, "95 % quantile of a site that was not seen", None),
        "spread": (
            levels.spread[:count],
            "standard deviation of sites about the level, unbounded space",
            "1",
        ),
        "sites": (levels.informed[:count], "sites of which the data inform the level", "1"),
    }
    about = lambda text, units: {
        "long_name": text,
        **({"units": units} if units else {full: "as in the coordinate units"}),
    }
    table = xr.Dataset(
        {
            name: ("parameter", np.asarray(values, np.float32), about(text, units))
            for name, (values, text, units) in columns.items()
        },
        coords={"parameter": list(names)},
        attrs={"title": "Parameters of crops, and of sites in common"},
    )
    texts = {
        "units": [parameter(name).units for name in names],
        "crop": [parted(name)[1] for name in names],
    }
    for name, values in texts.items():
        long_name = "crop of the trait; empty of what is the site's" if name == "crop" else ""
        table.coords[name] = ("parameter", values, {"long_name": long_name or "units"})
    return table.assign_coords(
        prior=("parameter", [parameter(name).default for name in names], about("prior", None))
    )
