"""What every model offers, and models as JSON."""

import dataclasses
from typing import Any, Protocol, get_args, get_origin, get_type_hints

import jax

from kgml_jax.adaptation import Weights
from kgml_jax.models.envelope import Envelope
from kgml_jax.models.features import Scaling
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
    return _rebuilt(kinds[kind], arguments)


def scaling_from_json(described: dict[str, Any]) -> Scaling:
    """Returns the standardisation that `dataclasses.asdict` described.

    Raises:
      ValueError: a part of it is not known to this version.
    """
    return _rebuilt(Scaling, described)


def envelope_from_json(described: dict[str, Any]) -> Envelope:
    """Returns the envelope that `dataclasses.asdict` described.

    Raises:
      ValueError: a part of it is not known to this version.
    """
    return _rebuilt(Envelope, described)


def _rebuilt(annotation: type[Any], value: Any) -> Any:
    # JSON knows neither dataclasses nor tuples: the annotations of the fields tell what was there.
    if dataclasses.is_dataclass(annotation):
        hints = get_type_hints(annotation)
        known = [field.name for field in dataclasses.fields(annotation)]
        if unknown := sorted(set(value) - set(known)):
            raise ValueError(f"{annotation.__name__} has no argument {', '.join(unknown)}")
        own = {name: _rebuilt(hints[name], item) for name, item in value.items()}
        return annotation(**own)
    if get_origin(annotation) is tuple:
        return tuple(_rebuilt(get_args(annotation)[0], item) for item in value)
    return value
