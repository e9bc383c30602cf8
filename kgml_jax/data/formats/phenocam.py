"""Daily greenness of PhenoCam, 1-day products (Richardson et al. 2018, Sci. Data 5: 180028)."""

from pathlib import Path

import numpy as np
import xarray as xr

from kgml_jax.data import tables
from kgml_jax.data.schema import VEGETATION_INDEX
from kgml_jax.errors import DataError

_GREENNESS, _OUTLIER = "gcc_90", "outlierflag_gcc_90"


def load(path: Path) -> xr.DataArray:
    """Reads the green chromatic coordinate of a camera, 90th percentile of a day's images.

    Days without an image and outliers are NaN; what the product fills in or smooths is not read.

    Returns:
      `vegetation_index`, dimension `time`, one value a day.

    Raises:
      DataError: it is damaged, or no 1-day product of PhenoCam.
    """
    columns = tables.columns(tables.contents(path), path.name)
    if lacking := [name for name in ("date", _GREENNESS) if name not in columns]:
        raise DataError(
            "is no daily product of PhenoCam",
            file=path,
            variable=", ".join(lacking),
            found=", ".join(list(columns)[:8]),
            expected=f"date, {_GREENNESS}, {_OUTLIER}",
        )
    days = tables.dates(columns["date"], path.name)
    values = tables.numbers(columns[_GREENNESS], path.name, None, _GREENNESS)
    if _OUTLIER in columns:
        flag = tables.numbers(columns[_OUTLIER], path.name, None, _OUTLIER)
        values = np.where(flag > 0, np.nan, values)
    return xr.DataArray(
        values,
        coords={"time": days},
        dims="time",
        name=VEGETATION_INDEX,
        attrs={"units": "1", "source": path.name},
    )
