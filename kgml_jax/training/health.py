"""What is not finite in a fit, and where it begins: site, day, variable or parameter.

Looked for after a descent has met it, at the weights that it stopped with: a healthy one costs
nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.objectives.errors import Predicted
from kgml_jax.records import Field, record
from kgml_jax.sites import Site
from kgml_jax.training.fit import ERROR_TERM, Descent, Settings, finite
from kgml_jax.training.windows import FitData

AT_ONCE = 8
"""Windows that are looked at together; bounds memory."""


@record
class Survey:
    """What each window gives by itself at given weights, without dropout; leaves (window, ...).

    Attributes:
      loss: training loss of the window alone.
      error: its prediction error, which validation looks at.
      slopes: whether the derivative of the loss is finite, for each leaf of what moves.
      predicted: first day whose prediction is not finite, by variable; -1 if there is none.
    """

    loss: Field
    error: Field
    slopes: Any
    predicted: dict[str, Field]


def survey(descent: Descent, weights: Weights, phi: Any, windows: Site) -> Survey:
    """Looks at every window by itself.

    Args:
      descent: of one fit.
      weights: where `phi` starts from.
      phi: what the fit moved.
      windows: leaves (window, time).

    Returns:
      NumPy leaves.
    """
    settings = Settings(steps=0, dropout=False)
    still = replace(descent.program, settings=settings, batch_sharding=None)
    return jax.tree.map(np.asarray, _survey(still, weights, phi, windows))


@partial(jax.jit, static_argnums=0)
def _survey(descent: Descent, weights: Weights, phi: Any, windows: Site) -> Survey:
    def one(window: Site) -> Survey:
        alone = jax.tree.map(lambda leaf: leaf[None], window)
        seed = jax.random.key(0)  # nothing is drawn
        loss, slope = jax.value_and_grad(descent.loss)(phi, weights, alone, seed)
        fluxes = descent.model.predict(descent.parameters.apply(weights, phi), window, None)
        return Survey(
            loss=loss,
            error=descent.objective(fluxes, window)[1][ERROR_TERM],
            slopes=jax.tree.map(finite, slope),
            predicted=first_days(fluxes, window),
        )

    return jax.lax.map(one, windows, batch_size=AT_ONCE)


def first_days(fluxes: Predicted, site: Site) -> dict[str, Field]:
    """Returns the first day of each variable that is not finite, int (); -1 if there is none."""
    bad = {name: ~jnp.isfinite(values) & site.valid for name, values in fluxes.items()}
    return {name: jnp.where(jnp.any(days), jnp.argmax(days), -1) for name, days in bad.items()}


def learnable(found: Survey) -> np.ndarray:
    """Returns whether loss and gradient of each window are finite, bool (window,)."""
    return np.isfinite(found.loss) & np.all(jax.tree.leaves(found.slopes), axis=0)


def sites_not_finite(descent: Descent, weights: Weights, phi: Any, data: FitData) -> np.ndarray:
    """Returns the identities of the sites that cannot be learnt from or validated on.

    Args:
      descent: of one fit.
      weights: where `phi` starts from.
      phi: what the fit moved.
      data: what it sees, leaves (window, time).
    """
    trained, held_out = (
        survey(descent, weights, phi, windows) for windows in (data.training, data.validation)
    )
    bad = (
        np.asarray(data.training.identity)[~learnable(trained)],
        np.asarray(data.validation.identity)[~np.isfinite(held_out.error)],
    )
    return np.unique(np.concatenate(bad))


def troubles(descent: Descent, weights: Weights, phi: Any, data: FitData) -> dict[int, str]:
    """Returns what is not finite first at each site, in words, by the identity of the site.

    Args:
      descent: of one fit.
      weights: where `phi` starts from.
      phi: what the fit moved, at its last good state.
      data: what it sees, leaves (window, time).

    Returns:
      Sites in the order of their windows, of training before validation; empty if all is finite
      there, so that the descent and not the data went astray.
    """
    causes: dict[int, str] = {}
    for windows, role in ((data.training, "training"), (data.validation, "validation")):
        found = survey(descent, weights, phi, windows)
        bad = ~(learnable(found) if role == "training" else np.isfinite(found.error))
        for row in np.flatnonzero(bad).tolist():
            own, window = _of(found, row), _of(windows, row)
            if int(window.identity) not in causes:
                causes[int(window.identity)] = f"{_cause(own, window)} ({role} days)"
    return causes


def _of(tree: Any, row: int) -> Any:
    return jax.tree.map(lambda leaf: np.asarray(leaf)[row], tree)


def cause_in_prediction(site: Site, days: Mapping[str, Field]) -> str | None:
    """Returns what is not finite first in what a site was given, or else in its prediction.

    Args:
      site: one site or window, leaves (time,).
      days: first day of each predicted variable that is not finite; -1 if there is none.

    Returns:
      In words; None if all is finite.
    """
    if given := _not_finite_input(site):
        return given
    bad = {name: int(day) for name, day in days.items() if day >= 0}
    if not bad:
        return None
    name = min(bad, key=lambda one: bad[one])
    date = _date(np.asarray(site.calendar.date)[bad[name]])
    return f"predicted {name} of {date} is not finite, what it is made from is"


def _cause(found: Survey, window: Site) -> str:
    # Of one window: the earliest thing that the rest follows from.
    if text := cause_in_prediction(window, found.predicted):
        return text
    if not np.isfinite(found.loss) or not np.isfinite(found.error):
        return f"the error is too large to be squared; {_largest(window)}"
    slopes = jax.tree_util.tree_leaves_with_path(found.slopes)
    path = next(path for path, good in slopes if not good)
    name = jax.tree_util.keystr(path, simple=True, separator="/")
    year = str(_date(np.asarray(window.calendar.date)[np.flatnonzero(window.valid)[-1]]))[:4]
    return f"the derivative by {name} is not finite in the window of {year}, its loss is"


def _not_finite_input(window: Site) -> str | None:
    for name, value in vars(window.attributes).items():
        if not np.isfinite(value):
            return f"attribute {name} is {value}"
    valid = np.asarray(window.valid)
    series = {name: (values, valid) for name, values in vars(window.forcing).items()}
    series |= {f"observed {n}": (values, window.mask[n]) for n, values in window.targets.items()}
    days = {
        name: int(np.argmax(bad))
        for name, (values, seen) in series.items()
        if (bad := ~np.isfinite(values) & seen).any()
    }
    if not days:
        return None
    name = min(days, key=lambda one: days[one])
    value, date = series[name][0][days[name]], _date(window.calendar.date[days[name]])
    return f"{name} of {date} is {value}"


def _largest(window: Site) -> str:
    seen = {
        name: np.where(window.mask[name], np.abs(values), 0)
        for name, values in window.targets.items()
    }
    name = max(seen, key=lambda one: seen[one].max())
    day = int(np.argmax(seen[name]))
    value = window.targets[name][day]
    return (
        f"the largest value is observed {name} of {_date(window.calendar.date[day])}, {value:.3g}"
    )


def _date(day: Any) -> np.datetime64:
    return np.datetime64(int(day), "D")
