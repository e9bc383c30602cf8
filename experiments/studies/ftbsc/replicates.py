"""The sites on which FTBSC-KGML is tried, by state, split by years and cut into windows."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kgml_jax.data import splits
from kgml_jax.data.assemble import assemble
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.data.synthetic.drawing import RATIO, apportion
from kgml_jax.evaluation.claims import POOLED
from kgml_jax.models.features import INPUT_SETS, Scaling, fit_scaling
from kgml_jax.models.simulation import simulate_sites
from kgml_jax.sites import TEST, TRAIN, Site, Sites
from kgml_jax.split import DividedSites
from kgml_jax.training.windows import FitData, cut, make_fit_data, site_years
from kgml_jax.workflows import sites as site_sources
from studies.ftbsc.settings import EQUAL, FtbscConfig

PREDICTED = ("GPP", "Ra", "Rh", "Reco", "NEE")

Load = Callable[[FtbscConfig, str, int], Sites]
"""Configuration, counts and seed to sites; see `load_sites`."""


@dataclass(frozen=True)
class Replicate:
    """Sites of one seed, ready for training and scoring.

    Attributes:
      states: what the paper calls sites; groups of the data.
      sites: names of the sites.
      state_of: state of every site.
      fit_data: training and validation windows of every state and of all together, in this order.
      site_years: training site-years by state.
      windows: test years of all sites, one after the other, with their warm-up days.
      owner: row of each window's site.
      days: test days of every site, observed or not.
    """

    states: tuple[str, ...]
    sites: tuple[str, ...]
    state_of: tuple[str, ...]
    fit_data: FitData
    site_years: dict[str, int]
    windows: Site
    owner: np.ndarray
    days: np.ndarray

    @property
    def fit_names(self) -> tuple[str, ...]:
        """What each fit learns from: a state, then all together."""
        return (*self.states, POOLED)

    def scored(self, by_state: bool = False) -> Sites:
        """Returns the test windows as sites, grouped by site or by state."""
        groups = self.state_of if by_state else self.sites
        return Sites(
            names=tuple(f"{self.sites[row]}, test {place}" for place, row in enumerate(self.owner)),
            group_names=self.states if by_state else self.sites,
            groups=tuple(groups[row] for row in self.owner),
            site=self.windows,
        )

    def windows_of(self, state: str) -> np.ndarray:
        """Returns the rows of a state's test windows."""
        return np.flatnonzero([self.state_of[row] == state for row in self.owner])


def load_sites(config: FtbscConfig, counts: str, seed: int) -> Sites:
    """Reads the sites, or generates those of a seed.

    Args:
      config: which data.
      counts: `settings.EQUAL` for as many synthetic sites in each state, else the paper's ratio.
      seed: of the synthetic world; has no effect on data from files.

    Raises:
      DataError: the data cannot be used, or GPP is to be an input and a site has none.
    """
    prescribed = reads_gpp(config)
    if config.data.data is not None:
        return site_sources.load(replace(config.data, prescribe_gpp=prescribed))
    paper = apportion(config.data.synthetic_sites)
    equal = dict.fromkeys(paper, config.data.synthetic_sites // len(RATIO))
    most = {state: max(paper[state], equal[state]) for state in paper}
    # All sites of both settings at once, so that the process model is compiled for one shape.
    world = generate(
        SyntheticConfig(
            sites=sum(most.values()),
            states=tuple(most.items()),
            years=config.data.synthetic_years,
            seed=seed,
            spread=config.spread,
            stations=config.data.synthetic_stations,
            twist=config.data.synthetic_twist,
        ),
        simulate_sites,
    )
    if prescribed:
        # The simulated GPP, as the paper's models are given that of satellites.
        world["prescribed_gpp"] = world["GPP_truth"]
    chosen = equal if counts == EQUAL else paper
    names = [f"{state}-{row:02d}" for state in chosen for row in range(1, chosen[state] + 1)]
    return assemble(per_site(world.sel(site=names)), targets=PREDICTED)


def reads_gpp(config: FtbscConfig) -> bool:
    """Returns whether GPP is among the inputs of the models."""
    return "prescribed_gpp" in INPUT_SETS[config.inputs]


def divide(config: FtbscConfig, sites: Sites) -> DividedSites:
    """Divides the days of the sites: the last years test, those before validate."""
    return splits.last_years(sites, config.test_years, config.validation_years).divide(sites)


def scaling(config: FtbscConfig, sites: Sites) -> Scaling:
    """Returns the standardisation of all models, fitted on the training days of `sites`."""
    fitted = fit_scaling(INPUT_SETS[config.inputs], divide(config, sites))
    given = ("GPP",) if reads_gpp(config) else ()
    kept = [t for t in fitted.targets if t.name in PREDICTED and t.name not in given]
    return replace(fitted, targets=tuple(kept))


def make_replicate(
    config: FtbscConfig, counts: str, seed: int, load: Load = load_sites
) -> Replicate:
    """Loads, divides and cuts the sites of a seed.

    Args:
      config: how sites are divided and cut.
      counts: as for `load_sites`.
      seed: of the synthetic world.
      load: reads or generates the sites.

    Raises:
      ValueError: there are fewer than two states, or one has no training or validation day.
    """
    sites = load(config, counts, seed)
    states = tuple(sorted(set(sites.groups)))
    if len(states) < 2:
        raise ValueError(f"the sites are of one group, {', '.join(states)}; expected two or more")
    data = divide(config, sites)
    members = [[row for row, of in enumerate(sites.groups) if of == state] for state in states]
    everyone = list(range(len(sites)))
    fit_data = make_fit_data(data, [*members, everyone], config.warmup_days)
    where = [window for windows in site_years(data, TEST) for window in windows]
    training_years = [year for years in site_years(data, TRAIN) for year in years]
    trained = Counter(sites.groups[row] for row, _ in training_years)
    return Replicate(
        states=states,
        sites=sites.names,
        state_of=sites.groups,
        fit_data=fit_data,
        site_years={state: trained[state] for state in states},
        windows=cut(data, TEST, where, config.warmup_days),
        owner=np.array([row for row, _ in where]),
        days=data.test_days.sum(axis=1),
    )
