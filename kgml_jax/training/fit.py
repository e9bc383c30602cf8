"""One descent for everything: one fit, be it to all sites, one group or one site.

`Descent` is written for one fit. Pretraining calls it once on all sites; calibration maps it over
sites, each with its own parameters, optimiser state, learning rate, early stopping and health.
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding

from kgml_jax.adaptation import Weights
from kgml_jax.models.protocol import Model
from kgml_jax.objectives.compose import Total
from kgml_jax.records import Field, record
from kgml_jax.sites import Site
from kgml_jax.training.windows import FitData

ERROR_TERM = "error"
"""Name of the objective's term that validation looks at: the prediction error alone."""


class Parameters(Protocol):
    """What a fit moves: an `Adaptation`, or `Direct` for the weights themselves."""

    def init(self, weights: Weights) -> Any:
        """Returns the parameters that leave `weights` unchanged."""
        ...

    def apply(self, weights: Weights, phi: Any) -> Weights:
        """Returns the weights that `phi` stands for."""
        ...

    def penalty(self, phi: Any) -> Field:
        """Returns what the loss adds for moving away."""
        ...


@dataclass(frozen=True)
class Direct:
    """The weights are their own parameters, as in pretraining."""

    def init(self, weights: Weights) -> Weights:
        """Returns the weights."""
        return weights

    def apply(self, weights: Weights, phi: Weights) -> Weights:
        """Returns `phi`."""
        return phi

    def penalty(self, phi: Weights) -> Field:
        """Returns 0."""
        return jnp.zeros(())


@dataclass(frozen=True)
class Settings:
    """How a fit descends.

    Attributes:
      steps: most gradient steps a fit takes.
      batch: windows (site-years) a step looks at; 0 takes all of the fit's.
      learning_rate: peak rate.
      warmup_steps: steps over which the rate rises from 0.
      cosine: let the rate fall to 1 % of its peak along a cosine over `steps`.
      weight_decay: AdamW's decay; 0 is Adam.
      clip_norm: largest global norm of a gradient.
      validate_every: steps between validations.
      patience: validations without improvement after which a fit stops.
      rate_patience: validations without improvement after which a fit's rate is halved; 0 never.
      dropout: whether the model's dropout is active in training.
    """

    steps: int
    batch: int = 0
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    cosine: bool = False
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    validate_every: int = 10
    patience: int = 10
    rate_patience: int = 0
    dropout: bool = True


@record
class Allowance:
    """What one fit may do. These are numbers to a compiled descent, which serves all of them.

    Attributes:
      rate: peak learning rate.
      limit: most steps it takes, int.
      start_counts: whether the starting point may be the best, bool; then a fit never ends worse on
        validation than it began, which is the accept-if-better gate.
    """

    rate: Field
    limit: Field
    start_counts: Field


@record
class Fit:
    """State of one descent; everything needed to go on.

    Steps are those of the optimiser, or passes through all series in `training.series`.
    """

    parameters: Any
    optimiser: Any
    key: jax.Array
    step: Field
    limit: Field
    rate: Field
    best: Any
    best_error: Field
    best_step: Field
    start_error: Field
    training_loss: Field
    validation_error: Field
    stale: Field
    healthy: Field
    active: Field


@dataclass(frozen=True)
class Descent:
    """Gradient descent of one fit with validation, early stopping and health.

    Attributes:
      model: predicts one site.
      objective: (fluxes, windows) -> (loss, terms); must have a term called "error".
      parameters: what moves.
      settings: how it moves.
      start_counts: whether the starting point may be the best; see `Allowance`.
      batch_sharding: placement of a batch over devices, for data-parallel pretraining.
    """

    model: Model
    objective: Total
    parameters: Parameters
    settings: Settings
    start_counts: bool = True
    batch_sharding: NamedSharding | None = None

    @property
    def allowance(self) -> Allowance:
        """Returns what its fits may do."""
        return Allowance(
            rate=np.asarray(self.settings.learning_rate, float),
            limit=np.asarray(self.settings.steps, np.int32),
            start_counts=np.asarray(self.start_counts),
        )

    @property
    def program(self) -> Self:
        """Returns the descent without its allowance: what has to be compiled for it.

        Descents that differ only in their allowance have equal programs. A cosine is drawn over
        the steps of the settings, so there they stay part of it.
        """
        steps = self.settings.steps if self.settings.cosine else 0
        settings = replace(self.settings, learning_rate=0.0, steps=steps)
        return replace(self, settings=settings, start_counts=True)

    def init(
        self, weights: Weights, data: FitData, key: jax.Array, allowance: Allowance | None = None
    ) -> Fit:
        """Returns the fit before its first step.

        Args:
          weights: where it starts.
          data: what it sees.
          key: seeds batches and dropout, with the identity of the data.
          allowance: what it may do; None takes what the descent says.
        """
        phi = self.parameters.init(weights)
        error = self.validation_error(weights, phi, data)
        key = jax.random.fold_in(key, data.identity)
        optimiser = self.optimiser().init(phi)
        return begin_fit(phi, optimiser, key, error, allowance or self.allowance)

    def round(self, weights: Weights, fit: Fit, data: FitData) -> Fit:
        """Takes `validate_every` steps and validates; a fit that has stopped is left as it is."""
        advance = lambda: self._validate(weights, self.take_steps(weights, fit, data), data)
        return jax.lax.cond(fit.active, advance, lambda: fit)

    def validation_error(self, weights: Weights, phi: Any, data: FitData) -> Field:
        """Returns the prediction error on the validation days, without dropout."""
        adapted = self.parameters.apply(weights, phi)
        fluxes = jax.vmap(self.model.predict, in_axes=(None, 0, None))(
            adapted, data.validation, None
        )
        return self.objective(fluxes, data.validation)[1][ERROR_TERM]

    def loss(self, phi: Any, weights: Weights, windows: Site, key: jax.Array) -> Field:
        """Returns the training loss of a batch of windows."""
        adapted = self.parameters.apply(weights, phi)
        keys = jax.random.split(key, windows.valid.shape[0]) if self.settings.dropout else None
        axes = (None, 0, 0 if self.settings.dropout else None)
        fluxes = jax.vmap(self.model.predict, in_axes=axes)(adapted, windows, keys)
        return self.objective(fluxes, windows)[0] + self.parameters.penalty(phi)

    def take_steps(self, weights: Weights, fit: Fit, data: FitData) -> Fit:
        """Takes `validate_every` steps, and does not look at what they are worth."""

        def body(fit: Fit, _: None) -> tuple[Fit, None]:
            return self._step(weights, fit, data), None

        return jax.lax.scan(body, fit, length=self.settings.validate_every)[0]

    def _step(self, weights: Weights, fit: Fit, data: FitData) -> Fit:
        key, batch_key, dropout_key = jax.random.split(fit.key, 3)
        windows = self._batch(batch_key, data)
        loss, gradient = jax.value_and_grad(self.loss)(
            fit.parameters, weights, windows, dropout_key
        )
        healthy = fit.healthy & finite((loss, gradient))
        go = healthy & (fit.step < fit.limit)
        updates, optimiser = self.optimiser().update(gradient, fit.optimiser, fit.parameters)
        factor = -fit.rate * self._schedule(fit.step)
        moved = jax.tree.map(lambda p, u: p + factor * u, fit.parameters, updates)
        keep = lambda new, old: jax.tree.map(lambda n, o: jnp.where(go, n, o), new, old)
        return fit.replace(  # type: ignore[attr-defined]
            parameters=keep(moved, fit.parameters),
            optimiser=keep(optimiser, fit.optimiser),
            key=key,
            step=fit.step + go,
            training_loss=loss,
            healthy=healthy,
        )

    def _validate(self, weights: Weights, fit: Fit, data: FitData) -> Fit:
        settings = self.settings
        error = self.validation_error(weights, fit.parameters, data)
        fit = judge(fit, error, settings.patience)
        if not settings.rate_patience:
            return fit
        tired = (fit.stale > 0) & (fit.stale % settings.rate_patience == 0)
        return fit.replace(rate=jnp.where(tired, 0.5 * fit.rate, fit.rate))  # type: ignore[attr-defined]

    def _batch(self, key: jax.Array, data: FitData) -> Site:
        held = data.training.valid.shape[0]
        wanted = self.settings.batch
        windows = data.training
        if 0 < wanted < held:
            real = jnp.arange(held) < data.training_count
            share = real / data.training_count
            rows = jax.random.choice(key, held, (wanted,), replace=False, p=share)
            # In order: a site whose windows are all drawn sees them as it would without others.
            windows = jax.tree.map(lambda leaf: leaf[jnp.sort(rows)], windows)
        if self.batch_sharding is not None:
            windows = jax.lax.with_sharding_constraint(windows, self.batch_sharding)
        return windows

    def optimiser(self) -> optax.GradientTransformation:
        """Returns the optimiser, without its rate."""
        return clipped_adam(self.settings.clip_norm, self.settings.weight_decay)

    def _schedule(self, step: Field) -> Field:
        settings = self.settings
        if settings.cosine:
            return optax.warmup_cosine_decay_schedule(
                0.0, 1.0, settings.warmup_steps, settings.steps, end_value=0.01
            )(step + 1)
        if settings.warmup_steps:
            return optax.linear_schedule(0.0, 1.0, settings.warmup_steps)(step + 1)
        return jnp.ones_like(step, dtype=jnp.result_type(float))


def begin_fit(
    parameters: Any, optimiser: Any, key: jax.Array, error: Field, allowance: Allowance
) -> Fit:
    """Returns a fit before its first step, whose start has the validation `error`."""
    limit = jnp.asarray(allowance.limit, jnp.int32)
    none = jnp.zeros((), jnp.int32)
    return Fit(
        parameters=parameters,
        optimiser=optimiser,
        key=key,
        step=none,
        limit=limit,
        rate=jnp.full_like(error, allowance.rate),
        best=parameters,
        best_error=jnp.where(allowance.start_counts, error, jnp.inf),
        best_step=none,
        start_error=error,
        training_loss=jnp.full_like(error, jnp.inf),
        validation_error=error,
        stale=none,
        healthy=jnp.isfinite(error),
        active=jnp.isfinite(error) & (limit > 0),
    )


def judge(fit: Fit, error: Field, patience: int) -> Fit:
    """Returns the fit after a validation: its best so far, its health, whether it goes on."""
    healthy = fit.healthy & jnp.isfinite(error)
    better = healthy & (error < fit.best_error)
    stale = jnp.where(better, 0, fit.stale + 1)
    return fit.replace(  # type: ignore[attr-defined]
        best=jax.tree.map(lambda n, o: jnp.where(better, n, o), fit.parameters, fit.best),
        best_error=jnp.where(better, error, fit.best_error),
        best_step=jnp.where(better, fit.step, fit.best_step),
        validation_error=error,
        stale=stale,
        healthy=healthy,
        active=healthy & (fit.step < fit.limit) & (stale < patience),
    )


def clipped_adam(clip_norm: float, weight_decay: float = 0.0) -> optax.GradientTransformation:
    """Returns Adam without a rate, on gradients of at most `clip_norm`, with decoupled decay."""
    return optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.scale_by_adam(),
        optax.add_decayed_weights(weight_decay),
    )


def finite(tree: Any) -> Field:
    """Returns whether every number of a pytree is finite."""
    return jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(tree)]).all()
