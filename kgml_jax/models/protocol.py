"""What every model offers, and models as JSON."""

import dataclasses
from typing import Any, Protocol

import jax

from kgml_jax.adaptation import Weights
from kgml_jax.models.features import Scale, Scaling
from kgml_jax.records import Field
from kgml_jax.sites import Site


class Model(Protocol):
    """A way of predicting the fluxes of one site; implementations are frozen dataclasses."""

    def init(self, key: jax.Array) -> Weights:
        """Draws weights, a nested dict."""
        ...

    def predict(self, weights: Weights, site: Site, key: jax.Array | None) -> dict[str, Field]:
        """Returns daily fluxes of one site by name, each of shape (time,), in physical units."""
        ...


def model_to_json(model: Any) -> dict[str, Any]:
    """Returns a model's kind and arguments as plain JSON values."""
    return {"kind": type(model).__name__, **dataclasses.asdict(model)}


def model_from_json(kinds: dict[str, Any], described: dict[str, Any]) -> Any:
    """Inverse of `model_to_json`.

    Args:
      kinds: model classes by name.
      described: what `model_to_json` returned.

    Raises:
      ValueError: the kind or an argument is not known to this version.
    """
    arguments = dict(described)
    kind = arguments.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"model kind {kind!r} is unknown; there are {', '.join(kinds)}")
    known = {field.name for field in dataclasses.fields(kinds[kind])}
    if unknown := sorted(set(arguments) - known):
        raise ValueError(f"{kind} has no argument {', '.join(unknown)}")
    if "scaling" in arguments:
        scales = {
            part: tuple(Scale(**scale) for scale in rows)
            for part, rows in arguments["scaling"].items()
        }
        arguments["scaling"] = Scaling(**scales)
    return kinds[kind](**arguments)
