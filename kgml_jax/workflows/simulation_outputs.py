"""What `simulate.py` can write: names, groups, and how each variable is described in a CF file."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kgml_jax.models.observables import NAMES
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Fluxes
from kgml_jax.process.parameters import Params
from kgml_jax.records import Quantity, quantities
from kgml_jax.workflows.daily_file import Variable

FORCING: dict[str, Quantity] = {
    name: quantity
    for name, quantity in quantities(Forcing).items()
    if name in ("precipitation", "irrigation", "crop")
}
"""Forcing that is written beside the fluxes: the budget of water and the yields need it."""

OUTPUTS: dict[str, Quantity] = quantities(Fluxes) | FORCING
"""All that is written day by day, by name."""

UNITS_OF_GROUP: dict[str, tuple[str, ...]] = {
    "carbon": ("g C m-2", "g C m-2 d-1"),
    "nitrogen": ("g N m-2", "g N m-2 d-1"),
    "water": ("mm", "mm d-1", "m3 m-3"),
    "heat": ("degC", "MJ m-2 d-1"),
    "crop": ("1", "Mg ha-1"),
}

GROUPS: dict[str, tuple[str, ...]] = {
    "all": tuple(OUTPUTS),
    "fluxes": tuple(NAMES.values()),
    **{
        group: tuple(name for name, quantity in OUTPUTS.items() if quantity.units in units)
        for group, units in UNITS_OF_GROUP.items()
    },
}
"""Names that stand for several outputs; `fluxes` are the variables that towers observe."""

CROPS = ("corn", "soybean", "winter_wheat")
"""Rows of the crop table, as `flag_meanings` names them."""

PLACE = {"latitude": "latitude", "elevation": "surface_altitude"}
"""Attributes that say where a site lies, and their standard names."""

_RESPIRED = "surface_upward_mass_flux_of_carbon_dioxide_expressed_as_carbon_due_to_"

STANDARD_NAMES = {
    "gross_primary_productivity": "gross_primary_productivity_of_biomass_expressed_as_carbon",
    "autotrophic_respiration": f"{_RESPIRED}plant_respiration",
    "maintenance_respiration": f"{_RESPIRED}plant_respiration_for_biomass_maintenance",
    "growth_respiration": f"{_RESPIRED}plant_respiration_for_biomass_growth",
    "heterotrophic_respiration": f"{_RESPIRED}heterotrophic_respiration",
    "nitrous_oxide": "surface_upward_mass_flux_of_nitrous_oxide_expressed_as_nitrogen_out_of_"
    "vegetation_and_litter_and_soil",
    "leaf_area_index": "leaf_area_index",
    "precipitation": "lwe_precipitation_rate",
    "snow": "lwe_thickness_of_surface_snow_amount",
    "ground_heat": "downward_heat_flux_at_ground_level_in_soil",
    "soil_water_content": "volume_fraction_of_condensed_water_in_soil",
    "layer_water_content": "volume_fraction_of_condensed_water_in_soil",
    "soil_temperature": "soil_temperature",
    "layer_temperature": "soil_temperature",
}
"""Names of the CF standard name table (version 92), where one says the same; none has the sign of
net ecosystem exchange."""


def chosen(asked: Sequence[str]) -> tuple[str, ...]:
    """Returns the outputs that names and groups stand for, in the order of the records.

    Raises:
      ValueError: a name is neither an output nor a group.
    """
    unknown = [name for name in asked if name not in OUTPUTS and name not in GROUPS]
    if unknown:
        raise ValueError(
            f"--outputs {', '.join(unknown)}: no such output; expected groups "
            f"({', '.join(GROUPS)}) or names: {', '.join(OUTPUTS)}"
        )
    wanted = {member for name in asked for member in GROUPS.get(name, (name,))}
    return tuple(name for name in OUTPUTS if name in wanted)


def variables(outputs: Sequence[str]) -> dict[str, Variable]:
    """Describes the outputs, the place of the sites and their parameters as variables of a file."""
    attributes, parameters = quantities(Attributes), quantities(Params)
    place = {
        name: _described(name, attributes[name]) | {"standard_name": standard}
        for name, standard in PLACE.items()
    }
    fixed = place | {name: _described(name, quantity) for name, quantity in parameters.items()}
    return {
        **{name: Variable(("site",), "float32", described) for name, described in fixed.items()},
        **{name: _daily(name) for name in outputs},
    }


def _daily(name: str) -> Variable:
    attributes = _described(name, OUTPUTS[name])
    if name in STANDARD_NAMES:
        attributes["standard_name"] = STANDARD_NAMES[name]
    if name == "crop":
        flags = {
            "flag_values": np.arange(-1, len(CROPS), dtype=np.int8),
            "flag_meanings": " ".join(("unknown", *CROPS)),
        }
        attributes = {key: attributes[key] for key in ("long_name",)} | flags
        return Variable(("site", "time"), "int8", attributes)
    attributes["cell_methods"] = f"time: {_method(OUTPUTS[name].units)}"
    layered = ("layer",) if name.startswith("layer_") else ()
    return Variable(("site", "time", *layered), "float32", attributes)


def _method(units: str) -> str:
    if units == "Mg ha-1":
        return "sum"
    return "mean" if units.endswith(" d-1") else "point"


def _described(name: str, quantity: Quantity) -> dict[str, Any]:
    what = f"{name.replace('_', ' ')}: {quantity.doc.removesuffix('.')}"
    return {"long_name": what, "units": udunits(quantity.units)}


def udunits(units: str) -> str:
    """Returns canonical units as udunits reads them: `g C` is no unit, and `N` is a newton."""
    return re.sub(r"\bg ?[CN](?=$| |-)", "g", units)
