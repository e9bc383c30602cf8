"""What `estimate.py` starts from: model, data and priors, and what is estimated."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import inputs
import jax
import numpy as np
import pretrained
from reporting import warn

from kgml_jax.adaptation import Weights
from kgml_jax.data.splits import Split
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd
from kgml_jax.models import updates
from kgml_jax.models.hybrid import with_updates
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import Model
from kgml_jax.sites import VARIABLES, Sites

if TYPE_CHECKING:
    from estimate import EstimateConfig


@dataclass(frozen=True)
class Start:
    """What is calibrated, where, and from which priors."""

    model: Model
    weights: Weights
    loaded: inputs.Loaded
    split: Split
    source: inputs.Data


def start(config: "EstimateConfig") -> Start:
    """Returns the process model and the data asked for, or a pretrained hybrid and its data.

    Raises:
      ValueError: an update has no such pool or date, no record has its day, an option has no
        meaning beside another, or the pretrained model has no process parameters.
      DataError: the data cannot be used.
    """
    further = tuple(name for name in config.streams if name not in VARIABLES)
    moved = tuple(updates.parse(text) for text in config.updates)
    begun = _begun(config, further)
    if not moved:
        return begun
    require_dates(moved, begun.loaded.sites)
    model, weights = with_updates(begun.model, begun.weights, moved)
    return replace(begun, model=model, weights=weights)


def require_dates(moved: tuple[updates.ScheduledUpdate, ...], sites: Sites) -> None:
    """Refuses an update on a day that no record has.

    Raises:
      ValueError: naming it and the days there are.
    """
    dates = np.asarray(sites.site.calendar.date)[np.asarray(sites.site.valid)]
    known = dates.astype("datetime64[D]")
    for one in moved:
        if np.datetime64(one.date) not in known:
            raise ValueError(
                f"--updates {one.name}: no record has that day; they lie between {known.min()} and "
                f"{known.max()}"
            )


def _begun(config: "EstimateConfig", further: tuple[str, ...]) -> Start:
    if config.from_run is not None:
        return _on_top(config, further)
    loaded = inputs.load(config.data, further)
    inputs.require_crops(loaded.sites)
    model = ProcessModel(
        spin_up_cycles=config.spin_up_cycles, spin_up_differentiated=True, observables=further
    )
    weights = model.init(jax.random.key(config.seed))
    return Start(model, weights, loaded, inputs.make_split(config.split, loaded.sites), config.data)


def _on_top(config: "EstimateConfig", further: tuple[str, ...]) -> Start:
    files = replace(inputs.Data(), data=config.data.data, metadata=config.data.metadata)
    if config.base == "groups" or config.data != files or further:
        raise ValueError(
            "with --from the priors, the streams and all options of the data but --data and "
            "--metadata are those of the pretraining run; leave out "
            f"{', '.join(further) or '--base groups and the other options'}"
        )
    base = pretrained.load(config.from_run or Path())
    if "process" not in base.weights:
        raise ValueError(
            f"--from {config.from_run} holds a {type(base.model).__name__}, which has no process "
            "parameters; expected a hybrid or the process model"
        )
    choice = config.data
    found = pretrained.data_and_split(base, choice.data, choice.metadata, config.split)
    return Start(base.model, base.weights, *found)


def make_problem(config: "EstimateConfig", model: Model, sites: Sites) -> Problem:
    """Returns what is estimated, from the streams that the sites have.

    Raises:
      ValueError: a parameter or stream has no such name, or no site has any of the streams.
    """
    streams = [Stream(variable, config.inflation) for variable in config.streams]
    seen = [one for one in streams if np.any(sites.site.mask.get(one.variable, False))]
    for one in streams:
        if one not in seen:
            warn(f"no site observes {one.variable}; it informs nothing")
    if not seen:
        raise ValueError(
            f"no site observes {', '.join(config.streams)}; there are {', '.join(sites.site.mask)}"
        )
    names = (*config.parameters, *config.updates)
    return Problem(model, names, default_prior_sd(names), tuple(seen))
