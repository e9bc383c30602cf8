"""What `simulate.py` can write: names, groups, and how each variable is described in a CF file."""

from collections.abc import Sequence

from kgml_jax.data.conventions import described, flags
from kgml_jax.models.observables import NAMES
from kgml_jax.process import crop_table
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.ecosystem import Fluxes
from kgml_jax.process.parameters import Params
from kgml_jax.records import Quantity, quantities
from kgml_jax.workflows.daily_file import Variable

FORCING: dict[str, Quantity] = {
    name: quantity
    for name, quantity in quantities(Forcing).items()
    if name in ("precipitation", "irrigation", "manure_carbon", "manure_nitrogen", "crop")
}
"""Forcing that is written beside the fluxes: the budgets and the yields need it."""

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

CROPS = tuple(name.replace(" ", "_") for name in crop_table.ROWS)
"""Rows of the crop table, as `flag_meanings` names them."""

PLACE = ("latitude", "elevation")
"""Attributes that say where a site lies."""


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
    fixed = {name: attributes[name] for name in PLACE} | parameters
    return {
        **{
            name: Variable(("site",), "float32", _described(name, quantity))
            for name, quantity in fixed.items()
        },
        **{name: _daily(name) for name in outputs},
    }


def _daily(name: str) -> Variable:
    attributes = _described(name, OUTPUTS[name], daily=True)
    if name == "crop":
        codes = {name: code for code, name in enumerate(("unknown", *CROPS), start=-1)}
        return Variable(("site", "time"), "int8", flags(attributes["long_name"], codes))
    layered = ("layer",) if name.startswith("layer_") else ()
    return Variable(("site", "time", *layered), "float32", attributes)


def _described(name: str, quantity: Quantity, daily: bool = False) -> dict[str, str]:
    # The record's text goes on from the name.
    about = described(name, quantity, daily)
    return about | {"long_name": f"{name.replace('_', ' ')}: {about['long_name']}"}
