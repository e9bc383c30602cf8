"""What commands say of the data they work on: warnings, what was left out, places not given."""

from collections.abc import Sequence

from kgml_jax.cli.console import warn
from kgml_jax.data.schema import ATTRIBUTES, Note
from kgml_jax.display import counted
from kgml_jax.errors import listed

_REMEDY = "Give site, lat, lon, elev in a table sites.csv beside the data, or by --metadata"

COSTS = {
    "latitude": "wherever they lie. The season of a site south of the equator is then half a year "
    f"off, and models cannot tell sites apart by where they lie. {_REMEDY}",
    "elevation": "wherever they lie. Pressure and clear-sky radiation of the process model depend "
    f"on it. {_REMEDY}",
    "soil": "the Corn Belt mean stands for it. Models cannot tell sites apart by their soil. Give "
    "sand, clay, bulk_density, soil_organic_carbon, ph, ... in the same table",
}
"""What it costs that a place was not given."""


def tell(notes: Sequence[Note]) -> None:
    """Warns of what is doubtful, of what was left out, and of sites whose place is not given."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for note in notes:
        if note.kind in ("warning", "left out"):
            alike.setdefault((note.kind, note.variable, note.message), []).append(note.site)
    for (kind, variable, message), sites in alike.items():
        named = f"{len(sites)} sites ({listed(sites, 3)}):" if len(sites) > 2 else listed(sites)
        where = " ".join(filter(None, (named, variable)))
        text = f"{where}: {message}" if where else message
        warn(f"left out: {text}" if kind == "left out" else text)
    for message in places(notes):
        warn(message)


def places(notes: Sequence[Note]) -> list[str]:
    """Returns what is to be said of sites for which latitude, elevation or soil were not given."""
    said = []
    for name, cost in COSTS.items():
        lost = [note for note in notes if note.kind == "defaulted" and note.variable == name]
        if sites := list(dict.fromkeys(note.site for note in lost)):
            named = f"{counted(len(sites), 'site')} ({listed(sites, 12)})"
            if name == "soil":
                said.append(f"no soil, or not all of it, is given for {named}: {cost}")
            else:
                default = f"{ATTRIBUTES[name].default:g} {ATTRIBUTES[name].units}"
                said.append(f"no {name} is given for {named}: {default} is taken, {cost}")
    return said
