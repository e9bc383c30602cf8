"""What the public functions ask of what they are given."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites

Settings = TypeVar("Settings")


def settings(cls: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Makes settings of the options that were given, and names one that is not known."""
    known = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"no option {', '.join(unknown)}; there are {', '.join(known)}")
    return cls(**given)


def plain(given: Sites | DividedSites) -> Sites:
    """Returns the sites, be they divided or not."""
    return given.sites if isinstance(given, DividedSites) else given


def require_divided(data: DividedSites) -> None:
    """Refuses sites without their split, with the way to it."""
    if not isinstance(data, DividedSites):
        raise TypeError(
            f"{type(data).__name__} instead of sites with their split: first "
            "data = kgml_jax.divide(sites)"
        )
