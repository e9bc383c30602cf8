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
    error = estimate - truth
    reach = NormalDist().inv_cdf(0.5 + probability / 2) * sd
    return xr.Dataset(
        {
            "r": _correlation(truth, estimate),
            "nrmse": np.sqrt((error**2).mean(SITE)) / truth.std(SITE),
            "coverage": (abs(error) <= reach).mean(SITE),
        }
    )


def recovery_where_identified(
    truth: xr.DataArray, estimate: xr.DataArray, identified: xr.DataArray, least_sites: int = 10
) -> xr.DataArray:
    """Returns the correlation of estimate with truth over the sites that declare a parameter.

    Args:
      truth: true offsets, with a dimension `site`.
      estimate: estimated offsets, alike.
      identified: flags, alike, true or not 0 where a site declares the parameter identified.
      least_sites: a parameter that fewer sites declare has no such correlation, NaN.

    Returns:
      Without the dimension `site`.
    """
    flagged = identified.astype(bool)
    found = _correlation(truth.where(flagged), estimate.where(flagged))
    return found.where(flagged.sum(SITE) >= least_sites)


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


def _correlation(truth: xr.DataArray, estimate: xr.DataArray) -> xr.DataArray:
    # Over sites where both are numbers; NaN where one of them is constant.
    constant = [one.max(SITE) == one.min(SITE) for one in (truth, estimate)]
    return xr.corr(truth, estimate, SITE).where(~constant[0] & ~constant[1])
