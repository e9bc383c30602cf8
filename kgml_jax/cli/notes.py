"""What commands say of the data they work on: warnings, what was left out, places not given."""

from collections.abc import Sequence

from kgml_jax.cli.console import warn
from kgml_jax.data.schema import ATTRIBUTES, Note
from kgml_jax.errors import listed

COSTS = {
    "latitude": "The season of a site south of the equator is then half a year off, and models "
    "cannot tell sites apart by where they lie",
    "elevation": "Pressure and clear-sky radiation of the process model depend on it",
}
"""What it costs that a place was not given."""


def tell(notes: Sequence[Note]) -> None:
    """Warns of what is doubtful, of what was left out, and of sites whose place is not known."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for note in notes:
        if note.kind in ("warning", "left out"):
            alike.setdefault((note.kind, note.variable, note.message), []).append(note.site)
    for (kind, variable, message), sites in alike.items():
        named = f"{len(sites)} sites ({listed(sites, 3)}):" if len(sites) > 2 else listed(sites)
        where = " ".join(filter(None, (named, variable)))
        text = f"{where}: {message}" if where else message
        warn(f"left out: {text}" if kind == "left out" else text)
    _tell_places(notes)


def _tell_places(notes: Sequence[Note]) -> None:
    for name, cost in COSTS.items():
        lost = [note for note in notes if note.kind == "defaulted" and note.variable == name]
        if sites := list(dict.fromkeys(note.site for note in lost)):
            quantity = ATTRIBUTES[name]
            warn(
                f"no {name} is given for {len(sites)} sites ({listed(sites, 12)}): "
                f"{quantity.default:g} {quantity.units} is taken, wherever they lie. {cost}. Give "
                "site, lat, lon, elev in a table sites.csv beside the data, or by --metadata"
            )
