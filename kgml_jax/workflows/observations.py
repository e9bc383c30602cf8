"""Observations of sites as a data set: what is scored, with NaN where nothing counts."""

import numpy as np
import xarray as xr

from kgml_jax.sites import Sites
from kgml_jax.workflows.prediction import as_dataset


def observations(sites: Sites) -> xr.Dataset:
    """Returns the observed days of every target, dims (site, time).

    Beside each target stands `<target>_uncertainty`, one standard error of a day. Both are NaN
    where a day is not observed, or was masked when the data were read.
    """
    site = sites.site

    def counted(values: dict) -> xr.Dataset:
        seen = {
            name: np.where(np.asarray(mask), np.asarray(values[name]), np.nan)
            for name, mask in site.mask.items()
        }
        return as_dataset(seen, sites, "Daily fluxes of fields, observed", "kgml_jax.observations")

    result, errors = counted(site.targets), counted(site.uncertainty)
    return result.assign(
        {
            f"{name}_uncertainty": errors[name].assign_attrs(long_name=f"standard error of {name}")
            for name in site.mask
        }
    )
