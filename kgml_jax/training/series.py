"""Training along whole series: years in their order, the state carried from one to the next.

A batch of series first runs its spin-up years without a gradient; then every year of all its series
gives one optimiser step, and the state it ends with, detached, begins the next (Liu et al. 2024).
"""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Protocol, Self

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from kgml_jax.adaptation import Weights, flatten, unflatten
from kgml_jax.objectives.compose import Total
from kgml_jax.objectives.pacing import SelfPaced
from kgml_jax.records import Field, record
from kgml_jax.sites import TRAIN, VALIDATION, Site
from kgml_jax.split import DividedSites
from kgml_jax.training.fit import ERROR_TERM, Allowance, Fit, begin_fit, clipped_adam, finite, judge
from kgml_jax.training.windows import YEAR_DAYS, cut


class Recurrent(Protocol):
    """A model that can go on from a state."""

    def advance(
        self, weights: Weights, site: Site, state: Any, key: jax.Array | None, last: Field | int
    ) -> tuple[dict[str, Field], Any]:
        """Predicts from `state`, and returns the state after day `last`."""
        ...


@record
class Series:
    """Whole years of several sites in their order.

    Shorter records end with years on which nothing is scored.
    """

    windows: Site  # leaves (series, year, 366); the masks are those of the training days
    held_out: dict[str, Field]  # masks of the validation days, bool (series, year, 366)
    days: Field  # int32 (series, year): days of the year in the record, at least 1


def make_series(data: DividedSites) -> Series:
    """Cuts the records of sites into their calendar years.

    Args:
      data: all sites; training days give gradients, validation days stop training.

    Raises:
      ValueError: there is no training or no validation day.
    """
    for name, role in (("training", TRAIN), ("validation", VALIDATION)):
        if not (data.roles == role).any():
            raise ValueError(f"the split leaves no {name} day")
    site = data.sites.site
    years, valid = np.asarray(site.calendar.year), np.asarray(site.valid)
    own = [np.unique(years[row, valid[row]]) for row in range(len(data))]
    longest = max(map(len, own))
    real = np.arange(longest) < np.array([len(some) for some in own])[:, None]
    where = [
        (row, int(some[min(place, len(some) - 1)]))
        for row, some in enumerate(own)
        for place in range(longest)
    ]
    days = np.array([np.sum((years[row] == year) & valid[row]) for row, year in where])
    scored = real.reshape(-1, 1) & (np.arange(YEAR_DAYS) < days[:, None])
    shaped = lambda leaf: leaf.reshape(len(data), longest, *leaf.shape[1:])
    parts = [cut(data, role, where, warmup=0) for role in (TRAIN, VALIDATION)]
    train, held_out = ({name: mask & scored for name, mask in part.mask.items()} for part in parts)
    windows = replace(parts[0], mask=train, valid=parts[0].valid & scored)
    return Series(
        windows=jax.tree.map(shaped, windows),
        held_out=jax.tree.map(shaped, held_out),
        days=shaped(days).astype(np.int32),
    )


@dataclass(frozen=True)
class Course:
    """How one stage of training descends.

    Attributes:
      objective: loss of one year of one series; validation looks at its term "error".
      rates: pairs of a weight pattern and its learning rate; the first that matches a path decides,
        and what none matches is frozen.
      epochs: most passes through all series.
      patience: epochs without improvement on validation after which training stops.
      decay: factor on all rates every `decay_every` epochs.
      batch: series a step looks at.
      spin_up_years: years run for the state alone before the first.
      pacing: which series count; None counts all.
      hold: ridge on the squared distance from the weights of the start (L2-SP).
      probed: series of a batch on which the objective's behaviours are looked at.
      clip_norm: largest global norm of a gradient.
    """

    objective: Total
    rates: tuple[tuple[str, float], ...]
    epochs: int
    patience: int
    decay: float = 1.0
    decay_every: int = 1
    batch: int = 16
    spin_up_years: int = 2
    pacing: SelfPaced | None = None
    hold: float = 0.0
    probed: int = 4
    clip_norm: float = 1.0

    def rate(self, path: str) -> float:
        """Returns the learning rate of one weight path; 0 is frozen."""
        return next((rate for pattern, rate in self.rates if fnmatchcase(path, pattern)), 0.0)

    def check(self, weights: Weights) -> None:
        """Refuses patterns that match no weight.

        Raises:
          ValueError: naming the pattern and the weights there are.
        """
        paths = flatten(weights)
        for pattern, _ in self.rates:
            if not any(fnmatchcase(path, pattern) for path in paths):
                raise ValueError(f"no weight matches {pattern!r}; there are {', '.join(paths)}")


@dataclass(frozen=True)
class SeriesDescent:
    """Gradient descent along series with validation, early stopping and health.

    Attributes:
      model: predicts one site and hands on its state.
      course: how it descends.
      batch_sharding: placement of a batch of series over devices.
    """

    model: Recurrent
    course: Course
    batch_sharding: NamedSharding | None = None

    @property
    def allowance(self) -> Allowance:
        """Returns what its fits may do; their rate is a factor on the course's."""
        return Allowance(
            rate=np.asarray(1.0, float),
            limit=np.asarray(self.course.epochs, np.int32),
            start_counts=np.asarray(True),
        )

    @property
    def program(self) -> Self:
        """Returns the descent without its allowance: what has to be compiled for it."""
        return replace(self, course=replace(self.course, epochs=0))

    def init(
        self, weights: Weights, series: Series, key: jax.Array, allowance: Allowance | None = None
    ) -> Fit:
        """Returns the fit before its first epoch; its steps count epochs.

        Args:
          weights: where it starts.
          series: what it sees.
          key: seeds the order of the series and dropout.
          allowance: what it may do; None takes what the descent says.
        """
        error = self.validation_error(weights, series)
        optimiser = clipped_adam(self.course.clip_norm).init(weights)
        return begin_fit(weights, optimiser, key, error, allowance or self.allowance)

    def round(self, start: Weights, fit: Fit, series: Series) -> Fit:
        """Goes once through all series, then validates.

        Args:
          start: weights the stage began with.
          fit: state of the descent.
          series: what to learn from.
        """
        key, order_key, drop_key = jax.random.split(fit.key, 3)
        count = series.days.shape[0]
        size = min(self.course.batch, count)
        order = jax.random.permutation(order_key, count)[: count // size * size].reshape(-1, size)

        def batch(fit: Fit, given: tuple) -> tuple[Fit, Field]:
            rows, key = given
            chosen = jax.tree.map(lambda leaf: leaf[rows], series)
            if self.batch_sharding is not None:
                chosen = jax.lax.with_sharding_constraint(chosen, self.batch_sharding)
            return self._along(start, fit, chosen, key)

        keys = jax.random.split(drop_key, len(order))
        fit, losses = jax.lax.scan(batch, replace(fit, key=key), (order, keys))
        fit = replace(fit, training_loss=jnp.nanmean(losses), step=fit.step + 1)
        error = self.validation_error(fit.parameters, series)
        return judge(fit, error, self.course.patience)

    def validation_error(self, weights: Weights, series: Series) -> Field:
        """Returns the prediction error on the validation days, each series run in one go."""

        def one(some: Series) -> dict[str, Field]:
            state = self._spin_up(weights, some)

            def year(state: Any, given: tuple) -> tuple[Any, dict[str, Field]]:
                site, days = given
                fluxes, state = self.model.advance(weights, site, state, None, days - 1)
                return state, fluxes

            return jax.lax.scan(year, state, (some.windows, some.days))[1]

        size = min(self.course.batch, series.days.shape[0])
        fluxes = jax.lax.map(one, series, batch_size=size)
        flat = lambda leaf: leaf.reshape(-1, *leaf.shape[2:])
        windows = replace(series.windows, mask=series.held_out)
        fluxes, windows = jax.tree.map(flat, (fluxes, windows))
        return self.course.objective(fluxes, windows)[1][ERROR_TERM]

    def _spin_up(self, weights: Weights, some: Series) -> Any:
        # The state of one series after its first years, a constant to derivatives.
        years = self.course.spin_up_years
        first = jax.tree.map(lambda leaf: leaf[: max(years, 1)], (some.windows, some.days))

        def year(state: Any, given: tuple) -> tuple[Any, None]:
            site, days = given
            return self.model.advance(weights, site, state, None, days - 1)[1], None

        site = jax.tree.map(lambda leaf: leaf[0], first[0])
        shapes = jax.eval_shape(lambda: self.model.advance(weights, site, None, None, -1)[1])
        zero = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        if not years:
            return zero
        return jax.lax.stop_gradient(jax.lax.scan(year, zero, first)[0])

    def _along(self, start: Weights, fit: Fit, series: Series, key: jax.Array) -> tuple[Fit, Field]:
        # One optimiser step for every year of a batch of series.
        states = jax.vmap(self._spin_up, in_axes=(None, 0))(fit.parameters, series)
        by_year = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (series.windows, series.days))
        keys = jax.random.split(key, series.days.shape[1])

        def year(carry: tuple, given: tuple) -> tuple[tuple, Field]:
            seen = jnp.any(jnp.stack([jnp.any(mask) for mask in given[0].mask.values()]))
            return jax.lax.cond(seen, step, passed, carry, given)

        def step(carry: tuple, given: tuple) -> tuple[tuple, Field]:
            fit, states = carry
            windows, days, key = given
            differentiated = jax.value_and_grad(self._loss, has_aux=True)
            (loss, states), gradient = differentiated(
                fit.parameters, start, states, windows, days, fit.step, key
            )
            return (self._move(fit, loss, gradient), states), loss

        def passed(carry: tuple, given: tuple) -> tuple[tuple, Field]:
            # A year no series is trained on gives no step, not even one of momentum.
            fit, states = carry
            windows, days, _ = given
            onward = lambda site, state, last: self.model.advance(
                fit.parameters, site, state, None, last
            )
            states = jax.vmap(onward)(windows, states, days - 1)[1]
            return (fit, states), jnp.full_like(fit.validation_error, jnp.nan)

        (fit, _), losses = jax.lax.scan(year, (fit, states), (*by_year, keys))
        return fit, jnp.nanmean(losses)

    def _loss(
        self,
        weights: Weights,
        start: Weights,
        states: Any,
        windows: Site,
        days: Field,
        epoch: Field,
        key: jax.Array,
    ) -> tuple[Field, Any]:
        # Loss of one year of a batch of series, and their detached states after it.
        weights = self._with_frozen(weights)
        keys = jax.random.split(key, days.shape[0])
        fluxes, after = jax.vmap(self.model.advance, in_axes=(None, 0, 0, 0, 0))(
            weights, windows, states, keys, days - 1
        )
        losses = jax.vmap(lambda *each: self.course.objective(*each)[0])(fluxes, windows)
        seen = [jnp.any(mask, axis=-1) for mask in windows.mask.values()]
        counts = jnp.any(jnp.stack(seen), axis=0).astype(losses.dtype)
        if self.course.pacing is not None:
            counts = counts * self.course.pacing.weights(losses, epoch)
        loss = jnp.sum(counts * losses) / jnp.maximum(jnp.sum(counts), 1.0)
        if self.course.objective.behaviours:
            loss = loss + self._behaviour(weights, start, states, windows)
        if self.course.hold:
            apart = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), weights, start)
            loss = loss + self.course.hold * sum(jax.tree.leaves(apart))
        return loss, jax.lax.stop_gradient(after)

    def _behaviour(self, weights: Weights, start: Weights, states: Any, windows: Site) -> Field:
        demands = Total((), self.course.objective.behaviours)

        def one(state: Any, site: Site) -> Field:
            predict = lambda weights: (
                lambda site: self.model.advance(weights, site, state, None, -1)[0]
            )
            return demands({}, site, predict(weights), predict(start))[0]

        some = jax.tree.map(lambda leaf: leaf[: self.course.probed], (states, windows))
        return jnp.mean(jax.vmap(one)(*some))

    def _with_frozen(self, weights: Weights) -> Weights:
        # No derivative is taken of what does not move.
        held = lambda path, leaf: leaf if self.course.rate(path) else jax.lax.stop_gradient(leaf)
        return unflatten({path: held(path, leaf) for path, leaf in flatten(weights).items()})

    def _move(self, fit: Fit, loss: Field, gradient: Weights) -> Fit:
        healthy = fit.healthy & finite((loss, gradient))
        updates, optimiser = clipped_adam(self.course.clip_norm).update(
            gradient, fit.optimiser, fit.parameters
        )
        factor = fit.rate * self.course.decay ** (fit.step // self.course.decay_every)
        steps = flatten(updates)  # type: ignore[arg-type]
        moved = unflatten(
            {
                path: leaf - self.course.rate(path) * factor * steps[path]
                for path, leaf in flatten(fit.parameters).items()
            }
        )
        keep = lambda new, old: jax.tree.map(lambda n, o: jnp.where(healthy, n, o), new, old)
        return replace(
            fit,
            parameters=keep(moved, fit.parameters),
            optimiser=keep(optimiser, fit.optimiser),
            healthy=healthy,
        )
