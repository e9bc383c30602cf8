"""What commands say of sites, descents and searches that went wrong, and what was done about it."""

from collections.abc import Mapping
from typing import Any

from kgml_jax.cli.console import say, warn
from kgml_jax.errors import listed

SHOWN = 5
"""Sites of which the trouble is printed; `summary.json` holds all."""


def tell(troubles: Mapping[str, str], of: str = "") -> None:
    """Warns of each site that went wrong.

    Args:
      troubles: what was wrong first and what was done, by site.
      of: the strategy, if there are several.
    """
    where = f" ({of})" if of else ""
    for site, text in list(troubles.items())[:SHOWN]:
        warn(f"{site}{where}: {text}")
    if rest := list(troubles)[SHOWN:]:
        warn(f"and {len(rest)} more sites{where}, told in summary.json: {listed(rest)}")


def tell_pretraining(summary: Mapping[str, Any]) -> None:
    """Warns of sites left out and of restarts, and says which site errs most."""
    tell(summary.get("sites_left_out", {}))
    if steps := summary.get("restarted_at_steps"):
        warn(
            f"the loss was not finite after step {listed(steps)}: training went on from its best "
            "weights, each time at a quarter of the learning rate"
        )
    if not summary.get("finite", True):
        warn("the loss was not finite again, which ended training; the best weights are kept")
    first = next(iter(summary["training_error"]), None)
    if first is None or not first["of_error"]:
        return
    part = f"{first['of_error']:.0%} of the training error, on {first['of_days']:.0%} of its days"
    if first["drives_the_loss"]:
        warn(
            f"{first['site']} drives the loss: {part}; look at its observations (kgml-jax check), "
            "the other sites hardly count"
        )
    else:
        say(f"The largest part of the training error is that of {first['site']}: {part}.")
