"""The variables of CalLMIP Phase 1, and which of ours each is made of.

Names, units and signs are those of its protocol (version 2, table 3, and the template of the
output): https://github.com/callmip-org/Phase1. `kgC` is spelled as there, which no units library
reads.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import xarray as xr

from kgml_jax.data.conventions import stated_units
from kgml_jax.errors import DataError

SECONDS = 86_400.0
"""s d-1"""

VAPORISATION = 2.45e6
"""J kg-1; FAO-56, eq. 3-1, at 20 degC"""

CARBON, CARBON_FLUX = "g C m-2", "g C m-2 d-1"


@dataclass(frozen=True)
class Variable:
    """A variable of the protocol.

    Attributes:
      long_name: what it is.
      units: of the protocol.
      sources: names of ours that hold it, the first there is counts; none that no model of ours
        says.
      read: units of the sources, in full.
      factor: from these to the units of the protocol, with the sign.
      note: what differs from the protocol's meaning.
    """

    long_name: str
    units: str
    sources: tuple[str, ...] = ()
    read: str = ""
    factor: float = 1.0
    note: str = ""


VARIABLES = {
    "nep": Variable(
        "net ecosystem production, positive into the land",
        "kgC m-2 s-1",
        ("NEE", "net_ecosystem_exchange"),
        CARBON_FLUX,
        -1e-3 / SECONDS,
    ),
    "hfls": Variable(
        "latent heat flux, positive upwards",
        "W m-2",
        ("ET", "evapotranspiration"),
        "mm d-1",
        VAPORISATION / SECONDS,
        "evapotranspiration times 2.45 MJ kg-1",
    ),
    "hfss": Variable("sensible heat flux, positive upwards", "W m-2"),
    "gpp": Variable(
        "gross primary production",
        "kgC m-2 s-1",
        ("GPP", "gross_primary_productivity"),
        CARBON_FLUX,
        1e-3 / SECONDS,
    ),
    "reco": Variable(
        "ecosystem respiration",
        "kgC m-2 s-1",
        ("Reco", "ecosystem_respiration"),
        CARBON_FLUX,
        1e-3 / SECONDS,
    ),
    "tran": Variable("transpiration", "kg m-2 s-1", ("transpiration",), "mm d-1", 1 / SECONDS),
    "evspsblsoi": Variable(
        "evaporation of bare soil", "kg m-2 s-1", ("soil_evaporation",), "mm d-1", 1 / SECONDS
    ),
    "hfg": Variable(
        "ground heat flux, positive downwards",
        "W m-2",
        ("ground_heat",),
        "MJ m-2 d-1",
        1e6 / SECONDS,
    ),
    "ts": Variable("temperature of the land surface", "K"),
    "mrso": Variable(
        "water in the soil", "kg m-2", ("soil_water",), "mm", 1.0, "of 0 to 1.2 m, all there is"
    ),
    "mrsos": Variable("water in the upper 10 cm of the soil", "kg m-2"),
    "lai": Variable("leaf area index", "m2 m-2", ("leaf_area_index",), "1"),
    "cSoil": Variable(
        "carbon in the soil",
        "kg m-2",
        ("soil_organic_carbon", "soil_carbon_stock"),
        CARBON,
        1e-3,
        "of 0 to 0.3 m without residue",
    ),
    "cLiveBioAbove": Variable(
        "carbon of living biomass above the ground",
        "kg m-2",
        ("above_ground_carbon",),
        CARBON,
        1e-3,
    ),
}
"""By the names of the protocol, in its order."""

UNCERTAIN = "_post_unc"
"""Ends the name of a posterior standard deviation, of the variables that were calibrated to."""


def taken(predictions: xr.Dataset) -> Iterator[tuple[str, Variable, xr.DataArray]]:
    """Yields the variables that predictions hold: name, meaning, and values in its units.

    Standard deviations (`NEE_sd` and the like) follow their variables.

    Raises:
      DataError: a variable is in other units than it should.
    """
    for name, variable in VARIABLES.items():
        source = next((one for one in variable.sources if one in predictions), None)
        if source is None:
            continue
        yield name, variable, _converted(predictions[source], variable, variable.factor)
        if f"{source}_sd" in predictions:
            about = Variable(f"posterior standard deviation of {name}", variable.units)
            spread = _converted(predictions[f"{source}_sd"], variable, abs(variable.factor))
            yield f"{name}{UNCERTAIN}", about, spread


def _converted(values: xr.DataArray, variable: Variable, factor: float) -> xr.DataArray:
    units = stated_units(values.attrs)
    if units != variable.read:
        raise DataError(
            "units of predictions",
            variable=str(values.name),
            found=str(units),
            expected=variable.read,
        )
    return values.astype(float) * factor
