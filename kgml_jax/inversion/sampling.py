"""Samples of the posterior of one site: the check on the Gaussian approximation."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from kgml_jax.inversion.posterior import Posterior
from kgml_jax.inversion.solvers.solution import Residuals, half_square
from kgml_jax.records import Field, record, var


@record
class Draws:
    """Draws from the posterior of one site and whether they can be trusted.

    `rhat` below 1.01 and a hundred effective draws a chain are what Vehtari et al. (2021) ask for.
    """

    offsets: Field = var(units="1", doc="Draws in unbounded space, (chain, draw, p).")
    rhat: Field = var(units="1", doc="Rank-normalised split R-hat, (p,).")
    effective_draws: Field = var(units="1", doc="Bulk effective sample size, (p,).")
    divergent: Field = var(units="1", doc="Share of the draws whose trajectory diverged.")
    acceptance: Field = var(units="1", doc="Mean acceptance probability.")
    gradients: Field = var(units="1", doc="Gradients of the log posterior taken, warm-up included.")


@record
class Comparison:
    """The Gaussian of the optimum against the draws, each (p,)."""

    sd_ratio: Field = var(units="1", doc="Gaussian over sampled standard deviation.")
    mean_shift: Field = var(
        units="1", doc="Sampled mean minus optimum, in standard deviations of the Gaussian."
    )
    mean_shift_error: Field = var(units="1", doc="Monte Carlo standard error of `mean_shift`.")


@dataclass(frozen=True)
class NoUTurn:
    """No-U-turn sampler (Hoffman and Gelman 2014) of blackjax, whitened by the Gaussian posterior.

    It moves in u, with offsets = optimum + L u: where the Gaussian is right, u is standard normal,
    so that few steps of warm-up suffice. Warm-up adapts step size and a diagonal mass matrix.

    Attributes:
      chains: independent chains, advanced together; two or more, for R-hat.
      warmup: steps of adaptation a chain, not kept.
      draws: steps kept a chain.
      max_doublings: a trajectory has at most 2^max_doublings steps.
      target_acceptance: acceptance probability the step size is adapted to.
      overdispersion: standard deviation of the starts in u; above 1, for R-hat to mean something.
    """

    chains: int = 4
    warmup: int = 200
    draws: int = 500
    max_doublings: int = 6
    target_acceptance: float = 0.8
    overdispersion: float = 1.5

    def sample(
        self, residuals: Residuals, optimum: Field, posterior: Posterior, key: jax.Array
    ) -> Draws:
        """Draws from the density proportional to exp(-sum(residuals^2) / 2).

        Args:
          residuals: of observations and prior, (p,) -> (m,), see `Problem.residuals`.
          optimum: offsets about which `posterior` is linearised, (p,).
          posterior: Gaussian approximation.
          key: of the starts and the draws.

        Raises:
          ImportError: blackjax is absent; it comes with the extra `bayes`.
        """
        blackjax = require_blackjax()
        place = lambda u: optimum + posterior.factor @ u
        log_density = lambda u: -half_square(residuals(place(u)))
        start_key, chain_key = jax.random.split(key)
        shape = (self.chains, *optimum.shape)
        starts = self.overdispersion * jax.random.normal(start_key, shape, optimum.dtype)
        chain = lambda start, key: self._chain(blackjax, log_density, start, key)
        path, info, warmup_steps = jax.vmap(chain)(starts, jax.random.split(chain_key, self.chains))
        offsets = jax.vmap(jax.vmap(place))(path)
        return Draws(
            offsets=offsets,
            rhat=blackjax.diagnostics.rhat(offsets).reshape(optimum.shape),
            effective_draws=blackjax.diagnostics.ess_bulk(offsets).reshape(optimum.shape),
            divergent=jnp.mean(info.is_divergent),
            acceptance=jnp.mean(info.acceptance_rate),
            gradients=jnp.sum(warmup_steps) + jnp.sum(info.num_integration_steps),
        )

    def _chain(
        self, blackjax: Any, log_density: Any, start: Field, key: jax.Array
    ) -> tuple[Field, Any, Field]:
        # Positions (draw, p), the sampler's account of each draw, and the steps of the warm-up.
        warmup_key, draw_key = jax.random.split(key)
        keep = blackjax.adaptation.base.get_filter_adapt_info_fn
        adaptation = blackjax.window_adaptation(
            blackjax.nuts,
            log_density,
            target_acceptance_rate=self.target_acceptance,
            adaptation_info_fn=keep(info_keys={"num_integration_steps"}),
            max_num_doublings=self.max_doublings,
        )
        (state, tuned), warmup = adaptation.run(warmup_key, start, self.warmup)
        sampler = blackjax.nuts(log_density, **tuned)

        def step(state: Any, key: jax.Array) -> tuple[Any, Any]:
            state, info = sampler.step(key, state)
            return state, (state.position, _without_trajectory(info))

        _, (path, info) = jax.lax.scan(step, state, jax.random.split(draw_key, self.draws))
        return path, info, warmup.info.num_integration_steps


def compare(draws: Draws, optimum: Field, posterior: Posterior) -> Comparison:
    """Says how far the Gaussian at the optimum is from the posterior that was sampled.

    Args:
      draws: of the posterior.
      optimum: offsets about which `posterior` is linearised, (p,).
      posterior: Gaussian approximation.
    """
    mean = jnp.mean(draws.offsets, axis=(0, 1))
    sd = jnp.std(draws.offsets, axis=(0, 1), ddof=1)
    return Comparison(
        sd_ratio=posterior.sd / sd,
        mean_shift=(mean - optimum) / posterior.sd,
        mean_shift_error=sd / jnp.sqrt(draws.effective_draws) / posterior.sd,
    )


def _without_trajectory(info: Any) -> Any:
    # Its ends are states of the sampler: kept for every draw they would be most of the memory.
    return info._replace(trajectory_leftmost_state=None, trajectory_rightmost_state=None)


def require_blackjax() -> Any:
    """Returns the module.

    Raises:
      ImportError: it is not installed.
    """
    try:
        import blackjax
        import blackjax.diagnostics
    except ImportError as error:
        raise ImportError(
            "sampling needs blackjax, of the extra `bayes`: pip install 'kgml_jax[bayes]'"
        ) from error
    return blackjax
