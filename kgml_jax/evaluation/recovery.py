"""How well known parameters are found again over many sites."""

from statistics import NormalDist

import numpy as np
import xarray as xr

SITE = "site"


def recovery(
    truth: xr.DataArray, estimate: xr.DataArray, sd: xr.DataArray, probability: float = 0.9
) -> xr.Dataset:
    """Compares estimates with the truth over sites, for every parameter.

    Args:
      truth: true offsets, with a dimension `site`.
      estimate: estimated offsets, alike.
      sd: their posterior standard deviations, alike.
      probability: of the central intervals whose coverage is counted.

    Returns:
      Without the dimension `site`: `r`, correlation of estimate with truth, NaN where one of them
      is constant; `nrmse`, root mean squared error over the standard deviation of the truth; and
      `coverage`, share of the sites whose interval holds the truth.
    """
    constant = (truth.std(SITE) == 0) | (estimate.std(SITE) == 0)
    error = estimate - truth
    reach = NormalDist().inv_cdf(0.5 + probability / 2) * sd
    return xr.Dataset(
        {
            "r": xr.corr(truth, estimate, SITE).where(~constant),
            "nrmse": np.sqrt((error**2).mean(SITE)) / truth.std(SITE),
            "coverage": (abs(error) <= reach).mean(SITE),
        }
    )


def misjudged(
    found: xr.Dataset, identified: xr.DataArray, least: float, share: float = 0.5
) -> xr.DataArray:
    """Returns which parameters were declared identified and are not recovered.

    Args:
      found: outcome of `recovery`.
      identified: flags, with a dimension `site`.
      least: correlation that recovery needs.
      share: of the sites at which a parameter must be flagged to count as declared.
    """
    declared = identified.mean(SITE) >= share
    return declared & ~(found["r"] >= least)
