"""Errors of states as if other sites and seeds had been drawn: a two-level bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 1000
"""Number of resamples unless told otherwise."""


@dataclass(frozen=True)
class Resample:
    """Which seeds were drawn and how often each site of a state, with replacement.

    Attributes:
      seeds: rows of the drawn seeds, (seed, draw).
      times: how often each site counts in the world of each drawn seed, (seed, draw, site).
      states: state of every site, (site,).
    """

    seeds: np.ndarray
    times: np.ndarray
    states: np.ndarray


def drawn(
    states: Sequence[str], seeds: int, nested: bool, draws: int = DRAWS, seed: int = 0
) -> Resample:
    """Draws seeds, and the sites of every state within them.

    Args:
      states: state of every site.
      seeds: number of seeds.
      nested: every seed has sites of its own, so that each draws them afresh; otherwise all seeds
        look at the same sites, which are then drawn once for all.
      draws: number of resamples.
      seed: of the resampling.
    """
    random = np.random.default_rng(seed)
    labels = np.asarray(states)
    times = np.zeros((seeds if nested else 1, draws, labels.size))
    for state in np.unique(labels):
        rows = np.flatnonzero(labels == state)
        evenly = np.full(rows.size, 1.0 / rows.size)
        times[..., rows] = random.multinomial(rows.size, evenly, size=times.shape[:2])
    chosen = random.integers(seeds, size=(seeds, draws))
    return Resample(chosen, np.broadcast_to(times, (seeds, draws, labels.size)), labels)


def kept(states: Sequence[str], seeds: int) -> Resample:
    """Returns the sample as it is: one draw that holds every seed and site once."""
    labels = np.asarray(states)
    rows = np.arange(seeds)[:, None]
    return Resample(rows, np.ones((seeds, 1, labels.size)), labels)


def state_means(
    values: np.ndarray, amounts: np.ndarray, sample: Resample, states: Sequence[str]
) -> np.ndarray:
    """Averages a quantity over the sites of each state, by the amount of data each has.

    Args:
      values: (seed, site, ...); not looked at where `amounts` is 0.
      amounts: such as days, of the same shape.
      sample: which seeds and sites count.
      states: in the order of the result.

    Returns:
      Shape (seed, draw, state, ...); NaN where a state has no data.
    """
    totals = np.where(amounts > 0, values, 0.0) * amounts
    means = []
    for state in states:
        rows = np.flatnonzero(sample.states == state)
        own = sample.times[..., rows]
        # Site weights belong to the place of a drawn seed, values to the seed itself.
        weighted = [
            np.stack(
                [
                    _over_sites(own[place], part[:, rows], sample.seeds[place])
                    for place in range(len(own))
                ]
            )
            for part in (totals, np.asarray(amounts, float))
        ]
        total, amount = weighted
        means.append(np.where(amount > 0, total / np.where(amount > 0, amount, 1.0), np.nan))
    return np.stack(means, axis=2)


def _over_sites(times: np.ndarray, values: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    # times (draw, site), values (seed, site, ...), seeds (draw,) -> (draw, ...)
    by_seed = np.tensordot(times, values, axes=([1], [1]))
    return by_seed[np.arange(len(seeds)), seeds]
