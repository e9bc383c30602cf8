"""Pretraining: one set of weights from all sites together."""

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import jax
import numpy as np

from kgml_jax.adaptation import Weights
from kgml_jax.models import envelope, kinds
from kgml_jax.models.features import INPUT_SETS, Scaling, fit_scaling
from kgml_jax.models.observables import FURTHER_NAMES
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import Model
from kgml_jax.objectives.compose import Total
from kgml_jax.objectives.standard import standard
from kgml_jax.runs.fitted import Pretrained, Training
from kgml_jax.runs.learnt import learnt
from kgml_jax.sites import TRAIN
from kgml_jax.split import DividedSites
from kgml_jax.training import health, joint
from kgml_jax.training.fit import Settings
from kgml_jax.training.watch import Watch, unwatched
from kgml_jax.training.windows import FitData, make_joint_data
from kgml_jax.workflows.sites import assert_unseen, require_drivers


@dataclass(frozen=True)
class ModelChoice:
    """Which model predicts, and how large it is."""

    model: kinds.Name = "recurrent"
    """recurrent: network alone; emulator: with GPP as input; process: one set of parameters;
    gpp-forced: with GPP as input; dpl, dpl-dynamic: attributes, and weather, set parameters;
    closure: a network in the daily step moves rates; residual: outputs are corrected, and do not
    close with stocks; residual-conserving: fluxes are scaled in the daily step."""
    inputs: Literal["default", "dynamic", "calendar", "legacy"] = "default"
    """dynamic: without place and soil; calendar: traits of the crop, days and heat since sowing in
    place of flags of two crops; legacy: with GPP, as KGML-ag (tower GPP leaks NEE)."""
    hidden: int | None = None
    """Width of every layer. None: 32, of networks beside the process model 16."""
    basis_layers: int = 2
    """Recurrent layers all outputs share (recurrent, emulator)."""
    rh_layers: int = 2
    """Recurrent layers of heterotrophic respiration; GPP, Ra and NEE have one each (same)."""
    balance: Literal["hard", "soft"] = "hard"
    """hard: NEE := Ra + Rh - GPP; soft: NEE has a network of its own (same)."""
    dropout: float = 0.2
    """Share of the shared units dropped in training (same)."""
    parameters: tuple[str, ...] = ()
    """Process parameters that a dpl or closure sets. Empty: those of the model."""

    def resolved(self) -> "ModelChoice":
        """Returns the choice with what follows from the model filled in.

        Raises:
          ValueError: there is no such model, or the inputs do not suit it.
        """
        if self.model not in kinds.KINDS:
            raise ValueError(f"no model {self.model!r}; there are {', '.join(kinds.KINDS)}")
        if self.inputs not in INPUT_SETS:
            raise ValueError(f"no inputs {self.inputs!r}; there are {', '.join(INPUT_SETS)}")
        hidden = kinds.KINDS[self.model].hidden if self.hidden is None else self.hidden
        if self.model == "emulator":
            return replace(self, inputs="legacy", hidden=hidden)
        if self.inputs == "legacy" and self.model != "recurrent":
            raise ValueError(f"inputs legacy tell GPP, which model {self.model} is to predict")
        return replace(self, hidden=hidden)

    @property
    def reads_gpp(self) -> bool:
        """Whether GPP is given, and then neither learnt nor scored."""
        return kinds.KINDS[self.model].gpp_given or self.inputs == "legacy"


@dataclass(frozen=True)
class PretrainSettings:
    """How a model is pretrained."""

    steps: int = 1500
    """Most gradient steps."""
    batch: int = 16
    """Site-years a step looks at."""
    learning_rate: float = 3e-3
    """Peak learning rate; rises over up to 50 steps, then falls along a cosine."""
    weight_decay: float = 1e-4
    """AdamW's decoupled weight decay."""
    warmup_days: int | None = None
    """Days before 1 January that bring the state up to date and are not scored. None: 60; 365 where
    the process model is part, which starts on a 1 January, or inputs count from sowing."""
    validate_every: int = 25
    """Steps between validations."""
    patience: int = 20
    """Validations without improvement before training stops."""
    weighting: Literal["equal", "inverse-variance"] = "equal"
    """Weight of a day within its target: equal, or 1/sigma^2 of its observation."""
    balance_weight: float = 1.0
    """Weight of the mass-balance term (g C m-2 d-1 beyond 1 % of respiration)."""


def make_scaling(inputs: str, data: DividedSites, given_gpp: bool) -> Scaling:
    """Returns the standardisation of a set of inputs, fitted on the training days.

    Args:
      inputs: name in `features.INPUT_SETS`.
      data: sites with their split.
      given_gpp: GPP is neither learnt nor scored.
    """
    scaling = fit_scaling(INPUT_SETS[inputs], data)
    if not given_gpp:
        return scaling
    return replace(scaling, targets=tuple(s for s in scaling.targets if s.name != "GPP"))


def make_model(choice: ModelChoice, data: DividedSites) -> Any:
    """Returns the model, standardised by the training days of `data`.

    A process model in it predicts every target that it can and `data` observe.

    Raises:
      ValueError: the choice is not possible, or nothing is observed on a training day.
    """
    choice = choice.resolved()
    return build(choice, make_scaling(choice.inputs, data, choice.reads_gpp))


def build(choice: ModelChoice, scaling: Scaling) -> Any:
    """Returns the model of a choice that is resolved, with a given standardisation."""
    observed = {scale.name for scale in scaling.targets}
    observables = tuple(name for name in FURTHER_NAMES if name in observed)
    options: dict[str, Any] = {
        **dataclasses.asdict(choice),
        "observables": observables,
        "process": ProcessModel(observables=observables),
    }
    own = kinds.KINDS[choice.model].options
    options = {name: value for name, value in options.items() if name in own}
    if choice.model == "recurrent" and choice.inputs == "legacy":
        options["gpp"] = "input"
    options.pop("parameters", None)
    if choice.parameters:
        # Also where the model has no such option, which it then says.
        options["parameters"] = choice.parameters
    return kinds.build(choice.model, scaling, **options)


def pretrain(
    model: Model,
    data: DividedSites,
    seed: int = 0,
    settings: PretrainSettings | None = None,
    watch: Watch = unwatched,
    start: Pretrained | None = None,
) -> Pretrained:
    """Trains one model on the training days of all sites.

    A site whose loss or gradient is not finite is left out and named (`Training.troubles`); a
    descent that goes astray goes on from its best weights at a lower rate, a few times.

    Args:
      model: predicts one site; see `make_model`.
      data: sites with their split.
      seed: of the weights, batches and dropout.
      settings: the descent.
      watch: makes the context of a descent, which gives what observes it.
      start: the same model as trained on other data, whose weights are gone on from; what it has
        seen and learnt from counts as seen and learnt from by the result.

    Raises:
      DataError: a site lacks what the model is driven by: a crop calendar, or GPP; or a test day is
        one that `start` looked at.
      ValueError: the split leaves no training or no validation day, or `start` is another model.
      DivergedError: the loss was not finite before validation ever improved, and not one
        site but most, or the descent at every rate, are the cause.
    """
    settings = settings or PretrainSettings()
    require_drivers(model, data.sites)
    if start is not None:
        _require_same(model, start, data)
    scaling = getattr(model, "scaling", None)
    scaling = scaling or make_scaling("default", data, kinds.reads_gpp(model))
    warmup = kinds.memory_days(model) if settings.warmup_days is None else settings.warmup_days
    rows = [int(row) for row in np.flatnonzero((data.roles == TRAIN).any(axis=1))]
    windows = make_joint_data(data, rows, warmup)
    init_key, fit_key = jax.random.split(jax.random.key(seed))
    started = time.perf_counter()
    names = dict(zip(np.asarray(data.sites.site.identity).tolist(), data.sites.names, strict=True))
    objective = standard(
        {scale.name: scale.sd for scale in scaling.targets},
        settings.balance_weight,
        settings.weighting,
    )
    how = _descent_settings(settings, model)
    with watch("pretraining", settings.steps) as observer:
        first = model.init(init_key) if start is None else start.weights
        weights, fit = joint.pretrain(
            model, objective, first, windows, how, fit_key, observer, names=names
        )
    gone = joint.left_out(fit, windows)
    stayed = np.flatnonzero(~np.isin(data.sites.site.identity, [*gone])).tolist()
    inputs = [scale.name for scale in scaling.inputs]
    seen = envelope.of_training(inputs, data.take(stayed) if gone else data)
    marks = {*learnt(data)}
    if start is not None:
        seen = seen if start.envelope is None else envelope.joined(start.envelope, seen)
        marks |= {*(start.learnt or ())}
    return Pretrained(
        model=model,
        weights=jax.tree.map(np.asarray, weights),
        scaling=scaling,
        split=data.split,
        balance_weight=settings.balance_weight,
        weighting=settings.weighting,
        warmup_days=warmup,
        origin=data.sites.origin,
        training=Training(
            sites=len(rows) - len(gone),
            steps=int(fit.step),
            best_step=int(fit.best_step),
            best_error=float(fit.best_error),
            seconds=time.perf_counter() - started,
            healthy=bool(fit.healthy),
            restarted_at=fit.restarts,
            troubles=_troubles(model, objective, how, fit.best, windows, gone, names),
        ),
        envelope=seen,
        learnt=tuple(sorted(marks)),
    )


def _require_same(model: Model, start: Pretrained, data: DividedSites) -> None:
    if start.model != model:
        raise ValueError(
            f"the weights to go on from are those of another {type(start.model).__name__}; "
            "expected the model that is trained"
        )
    assert_unseen(start.split, data)


def _troubles(
    model: Model,
    objective: Total,
    settings: Settings,
    weights: Weights,
    windows: FitData,
    gone: Mapping[int, int],
    names: Mapping[int, str],
) -> dict[str, str]:
    # Of the sites that are gone: looked for again at the best weights, where they are not finite.
    if not gone:
        return {}
    descent = joint.descent_of(model, objective, settings)
    causes = health.troubles(descent, weights, weights, windows)
    return {
        names[one]: f"{causes.get(one, 'its loss was not finite')}; left out from step {step} on"
        for one, step in gone.items()
    }


def _descent_settings(settings: PretrainSettings, model: Model) -> Settings:
    return Settings(
        steps=settings.steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        warmup_steps=min(50, settings.steps // 10),
        cosine=True,
        weight_decay=settings.weight_decay,
        validate_every=settings.validate_every,
        patience=settings.patience,
        dropout=getattr(model, "dropout", 1.0) > 0,
    )
