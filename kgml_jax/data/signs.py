"""The sign convention of the fluxes, judged by the data themselves and never by their metadata."""

import numpy as np
import xarray as xr

from kgml_jax.errors import DataError

NOISE = 0.5
"""Mean by which a flux that cannot be negative may be so before its sign is wrong."""

REVERSED_SHARE = 0.25
"""NEE is reversed where -NEE closes the carbon balance within this share of NEE's own residual."""

CLOSURE_LIMIT = 1.0
"""g C m-2 d-1; a larger residual means that NEE and Reco - GPP do not belong together."""

_CONVENTION = "GPP, Reco, Ra, Rh >= 0 and NEE = Reco - GPP, positive upwards"


def refuse_wrong(dataset: xr.Dataset) -> None:
    """Refuses fluxes that follow another sign convention beyond doubt.

    A net source in the growing season is no proof and only a warning of the check.

    Args:
      dataset: one site's, dimension `time`, NaN where a flux does not count.

    Raises:
      DataError: a flux that cannot be negative is so on average, or NEE is -(Reco - GPP).
    """
    place = {"file": dataset.attrs["source"], "site": dataset.attrs["site"]}
    for name in [name for name in ("GPP", "Ra", "Rh", "Reco", "ET") if name in dataset]:
        mean = float(np.nanmean(dataset[name].to_numpy()))
        if mean < -NOISE:
            found = f"a mean of {mean:.2f}"
            raise DataError(
                "is negative", variable=name, found=found, expected=_CONVENTION, **place
            )
    residual = closure(dataset)
    mirrored = closure(dataset, sign=-1.0)
    if residual is None or mirrored is None or residual <= CLOSURE_LIMIT:
        return
    if mirrored < REVERSED_SHARE * residual:
        found = f"NEE = GPP - Reco within {mirrored:.2f} g C m-2 d-1"
        raise DataError(
            "has the sign of uptake", variable="NEE", found=found, expected=_CONVENTION, **place
        )


def closure(dataset: xr.Dataset, sign: float = 1.0) -> float | None:
    """Root mean square of `sign` NEE - (Reco - GPP), g C m-2 d-1; None without common days."""
    if not {"NEE", "Reco", "GPP"} <= set(dataset.data_vars):
        return None
    nee, reco, gpp = (dataset[name].to_numpy() for name in ("NEE", "Reco", "GPP"))
    residual = sign * nee - (reco - gpp)
    residual = residual[np.isfinite(residual)]
    return float(np.sqrt(np.mean(residual**2))) if len(residual) else None
