"""Worlds of the generalisation experiment: sites, their truth, and what is held out of training."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax import bijections
from kgml_jax.data import splits
from kgml_jax.data.assemble import assemble
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.data.synthetic.truth import Twist
from kgml_jax.models.simulation import simulate_sites
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities
from kgml_jax.sites import TEST, TRAIN, VARIABLES, Sites
from kgml_jax.split import DividedSites, Split
from kgml_jax.training.windows import FitData, make_fit_data

STATES = ("IL", "IA", "IN")

SITES, STATE = "some sites of every state", "all sites of one state"
SPLITS = (SITES, STATE)
"""What is left out of training beside the extreme years of all other sites."""

NEW_SITES, EXTREME_YEARS, NEW_STATE = "new sites", "extreme years", "new state"
QUESTIONS = {NEW_SITES: SITES, EXTREME_YEARS: SITES, NEW_STATE: STATE}
"""What is asked of a model, and the split whose training answers it."""

PARAMETERS = tuple(quantities(Params))


@dataclass(frozen=True)
class World:
    """The sites of one seed.

    Attributes:
      sites: with noisy observations, of which those of the first year are hidden.
      truth: the same sites, observed every day after the first year without error.
      parameters: true offsets from the priors in unbounded space by name, (site,).
      data: the sites with each split; no day of the first year has a role.
      scored: days that answer a question, bool (site, time), by name of the question.
    """

    sites: Sites
    truth: Sites
    parameters: dict[str, np.ndarray]
    data: dict[str, DividedSites]
    scored: dict[str, np.ndarray]


def make_world(count: int, years: int, twist: Twist | None, seed: int) -> World:
    """Generates the sites of a seed, an equal number in every state.

    The first year brings the state of every model up to date, as the warm-up of windows does: no
    day of it is learnt from or scored.

    Args:
      count: number of sites; a multiple of 9, so that both splits train on two thirds of them.
      years: that are learnt from or scored, after the first.
      twist: what respiration does that the process model does not know.
      seed: of the world, and of the order in which states are left out.
    """
    made = generate(
        SyntheticConfig(
            sites=count,
            years=years + 1,
            seed=seed,
            twist=twist,
            states=tuple((state, 1) for state in STATES),
        ),
        simulate_sites,
    )
    sites = assemble(per_site(made), tuple(VARIABLES))
    later = np.asarray(sites.site.calendar.year_index > 0) & np.asarray(sites.site.valid)
    mask = {name: np.asarray(seen) & later for name, seen in sites.site.mask.items()}
    sites = _with(sites, mask=mask)
    true = {name: made[f"{name}_truth"].to_numpy() for name in VARIABLES}
    held_out = {split: _held_out(sites, split, seed).roles(sites) for split in SPLITS}
    data = {
        split: DividedSites.of_roles(sites, np.where(later, roles, 0), split)
        for split, roles in held_out.items()
    }
    return World(
        sites=sites,
        truth=_with(sites, targets=true, mask=dict.fromkeys(VARIABLES, later)),
        parameters={name: offsets(name, made[f"true_{name}"].to_numpy()) for name in PARAMETERS},
        data=data,
        scored={
            question: _scored(data[split].roles, question) for question, split in QUESTIONS.items()
        },
    )


def offsets(name: str, values: np.ndarray) -> np.ndarray:
    """Returns how far values of a parameter lie from its prior in unbounded space, (site,)."""
    quantity = quantities(Params)[name]
    prior = jnp.asarray(quantity.default, np.float32)
    unbounded = bijections.unconstrain(jnp.asarray(values, np.float32), quantity)
    return np.asarray(unbounded - bijections.unconstrain(prior, quantity))


def known_rows(world: World, split: str) -> list[int]:
    """Returns the rows of the sites that a split trains on."""
    return [int(row) for row in np.flatnonzero((world.data[split].roles == TRAIN).any(axis=1))]


def fit_data_of(world: World, warmup: int) -> FitData:
    """Returns the windows of both splits, leaves (split, window, time)."""
    return _stack(
        [make_fit_data(world.data[split], [known_rows(world, split)], warmup) for split in SPLITS]
    )


def _held_out(sites: Sites, split: str, seed: int) -> Split:
    # The most extreme year of every site, and whole sites beside it.
    left = STATES[seed % len(STATES)]
    in_state = {
        state: [row for row, group in enumerate(sites.groups) if group == state] for state in STATES
    }
    if split == STATE:
        rows = in_state[left]
    else:
        # A third of every state, in an order fixed by the names.
        order = np.asarray(sites.site.identity)
        ranked = {state: sorted(own, key=lambda row: order[row]) for state, own in in_state.items()}
        rows = [row for own in ranked.values() for row in own[: len(own) // len(STATES)]]
    extreme = splits.extreme_years(sites, count=1, validation=1)
    return splits.hide_sites(extreme, sites, [sites.names[row] for row in rows])


def _scored(roles: np.ndarray, question: str) -> np.ndarray:
    known = (roles == TRAIN).any(axis=1)[:, None]
    return (roles == TEST) & (known if question == EXTREME_YEARS else ~known)


def _with(sites: Sites, **parts: dict[str, np.ndarray]) -> Sites:
    return replace(sites, site=sites.site.replace(**parts))  # type: ignore[attr-defined]


def _stack(parts: list[FitData]) -> FitData:
    # Both splits train and validate on as many windows, so that their leaves are of one shape.
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
