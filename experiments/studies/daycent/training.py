"""What is trained on the DayCent run, against what needs no network."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.cli import console
from kgml_jax.data.choices import DataChoice
from kgml_jax.evaluation import references
from kgml_jax.models.features import DYNAMIC_INPUTS, fit_scaling
from kgml_jax.models.recurrent import RecurrentModel
from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.runs import saved
from kgml_jax.runs.fitted import Pretrained
from kgml_jax.sites import Sites
from kgml_jax.split import DividedSites
from kgml_jax.training.fit import Settings
from kgml_jax.training.joint import pretrain
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.windows import make_joint_data
from studies.daycent.report import TARGET
from studies.daycent.settings import DaycentConfig

INPUTS = (*DYNAMIC_INPUTS, "fertiliser_ammonium", "co2")
"""What changes on one field: weather, management, and carbon dioxide, the global mean of the year.

The last also stands for what rises with it: cultivars of the schedule and, with them, residue.
"""

CLIMATOLOGY, TREND, SCRATCH = "day of year", "day of year x trend", "from scratch"
UNTUNED, TUNED = "checkpoint as it is", "from the checkpoint"


@dataclass(frozen=True)
class Arm:
    """A network that is compared with the others.

    Attributes:
      name: in tables and folders.
      model: predicts one site.
      start: weights from which it descends.
      rate: peak learning rate; 0 leaves the start.
    """

    name: str
    model: Any
    start: Weights
    rate: float


def seasonal_references(sites: Sites, days: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Returns what needs no network, fitted to `days`, bool (site, time).

    The mean of the days around a day of the year, and the same times the linear trend, over the
    years, of the mean of a year.
    """
    seasonal = references.day_of_year_climatology(sites, days)[TARGET]
    year = np.asarray(sites.site.calendar.year).astype(float)
    observed = np.asarray(sites.site.targets[TARGET], dtype=float)
    known = np.unique(year[days])
    annual = np.array([observed[days & (year == each)].mean() for each in known])
    trend = np.polyval(np.polyfit(known, annual, 1), year) / annual.mean()
    return {CLIMATOLOGY: {TARGET: seasonal}, TREND: {TARGET: seasonal * trend}}


def arms(config: DaycentConfig, model: RecurrentModel, before: Pretrained | None) -> list[Arm]:
    """Returns what is compared: a model from scratch, or that of a checkpoint in three ways."""
    key = jax.random.key(config.seed)
    if before is None:
        return [Arm(SCRATCH, model, model.init(key), config.learning_rate)]
    return [
        Arm(UNTUNED, before.model, before.weights, 0.0),
        Arm(SCRATCH, before.model, before.model.init(key), config.learning_rate),
        Arm(TUNED, before.model, before.weights, config.tuning_rate),
    ]


def train(config: DaycentConfig, arm: Arm, data: DividedSites, sd: float, label: str) -> Weights:
    """Returns the weights that are best on the validation years.

    Args:
      config: steps, batch, warm-up, stopping, and the folder that logs them.
      arm: what is trained.
      data: the field with its split.
      sd: standard deviation of the target on training days.
      label: of the progress bar.
    """
    windows = make_joint_data(data, [0], config.warmup_days)
    objective = Total(terms=(Term("error", MaskedError(scales=((TARGET, sd),))),))
    settings = Settings(
        steps=config.steps,
        batch=config.batch,
        learning_rate=arm.rate,
        warmup_steps=min(50, config.steps // 10),
        cosine=True,
        weight_decay=1e-4,
        validate_every=config.validate_every,
        patience=config.patience,
    )
    key = jax.random.key(config.seed + 1)
    with console.logged(config.run, key="arm")(label, config.steps) as progress:
        return pretrain(arm.model, objective, arm.start, windows, settings, key, progress)[0]


def emulate(
    config: DaycentConfig, name: str, data: DividedSites, before: Pretrained | None
) -> dict[str, dict[str, np.ndarray]]:
    """Trains on one split and returns the predictions of every arm and reference.

    The references are fitted to training and validation years together; the network learns from
    the first and stops by the second.

    Args:
      config: how networks are trained.
      name: of the split.
      data: the field with its split.
      before: a checkpoint to start from too.
    """
    predictions = seasonal_references(data.sites, data.learning_days)
    scaling = fit_scaling(INPUTS, data)
    sd = next(scale.sd for scale in scaling.targets if scale.name == TARGET)
    model = RecurrentModel(scaling=scaling, hidden=config.hidden)
    for arm in arms(config, model, before):
        weights = arm.start
        if arm.rate:
            weights = train(config, arm, data, sd, f"{name}, {arm.name}")
            folder = config.run / name / arm.name.replace(" ", "-")
            saved.save(_pretrained(config, arm.model, weights, data), folder)
        predictions[arm.name] = {TARGET: predict_sites(arm.model, weights, data.sites)[TARGET]}
    return predictions


def _pretrained(
    config: DaycentConfig, model: RecurrentModel, weights: Weights, data: DividedSites
) -> Pretrained:
    # What `kgml-jax calibrate --from` reads.
    return Pretrained(
        model=model,
        weights=weights,
        scaling=model.scaling,
        split=data.split,
        balance_weight=0.0,
        weighting="equal",
        warmup_days=config.warmup_days,
        origin=DataChoice(data=config.run / "daycent.nc"),
    )
