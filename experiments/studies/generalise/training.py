"""Training and prediction of the generalisation experiment: every model by the same descent."""

from dataclasses import dataclass

import jax
import numpy as np

from kgml_jax.adaptation import shifted_parameters
from kgml_jax.inversion.problem import Problem, Stream, default_prior_sd
from kgml_jax.inversion.sites import estimate
from kgml_jax.inversion.solvers.least_squares import LevenbergMarquardt
from kgml_jax.mapping import dividing_mesh, one_of
from kgml_jax.models import kinds
from kgml_jax.models.features import INPUT_SETS, Scaling, fit_scaling
from kgml_jax.models.process import ProcessModel
from kgml_jax.objectives.standard import standard
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.parameters import DEFAULT_SUBSET
from kgml_jax.records import quantities
from kgml_jax.sites import TRAIN, VARIABLES, Sites
from kgml_jax.split import DividedSites
from kgml_jax.training.fit import Descent, Direct, Fit, Settings
from kgml_jax.training.predict import predict_sites
from kgml_jax.training.run import descend_together
from kgml_jax.workflows import pretraining
from kgml_jax.workflows.prediction import Predicted
from kgml_jax.workflows.pretraining import ModelChoice, PretrainSettings
from studies.generalise.worlds import PARAMETERS, SPLITS, World, fit_data_of, known_rows

PRIOR, TRANSFER, TRUE = "priors", "nearest site", "true parameters"
"""The process model as it is, with parameters estimated at the nearest known site, and with those
of the truth, which no one knows."""

TRAINED: tuple[kinds.Name, ...] = ("process", "dpl", "closure", "recurrent")

REFERENCES = "references"
PARTS = (REFERENCES, *TRAINED)
"""What is computed at once and saved: all untrained models, or one trained one in both splits."""


PROBLEM = Problem(
    model=ProcessModel(),
    names=DEFAULT_SUBSET,
    prior_sd=default_prior_sd(DEFAULT_SUBSET),
    streams=tuple(Stream(name) for name in VARIABLES),
)
"""What is estimated at every site: as many parameters as dPL sets, from the same observations."""

SITE_BATCH = 4


@dataclass(frozen=True)
class Effort:
    """How far a model descends.

    Attributes:
      steps: most gradient steps.
      rate: peak learning rate.
    """

    steps: int
    rate: float


EFFORTS: dict[str, Effort] = {
    "process": Effort(120, 1e-2),
    "dpl": Effort(120, 1e-2),
    "closure": Effort(120, 1e-2),
    "recurrent": Effort(1000, 3e-3),
}
"""Those of the process model fit validation days of a world that is not reported (seed 100); its
hybrids share them. The recurrent network has the rate of `pretrain.py`, and more steps, as it
starts from nothing. None was chosen on test days."""


@dataclass(frozen=True)
class PartResult:
    """What a model says of the sites, by split, and what its descent came to, (split,)."""

    fluxes: dict[str, dict[str, Predicted]]
    """By model and split."""
    descent: dict[str, np.ndarray]


@dataclass(frozen=True)
class Laboratory:
    """Computes parts of the experiment, with one standardisation for all.

    Equal models, objectives and settings, and windows of equal shape, take one compilation for all
    seeds and splits.

    Attributes:
      scaling: of inputs and targets.
      batch: site-years a step looks at.
      validate_every: steps between validations.
      patience: validations without improvement after which a descent stops.
      efforts: by model.
      iterations: most passes of the estimation of a site's parameters.
    """

    scaling: Scaling
    batch: int
    validate_every: int
    patience: int
    efforts: dict[str, Effort]
    iterations: int

    def run(self, part: str, world: World, seed: int) -> PartResult:
        """Computes one of `PARTS` for the sites of a seed."""
        if part == REFERENCES:
            return self.predict_references(world, seed)
        return self.train(part, world, seed)  # type: ignore[arg-type]

    def train(self, name: kinds.Name, world: World, seed: int) -> PartResult:
        """Trains a model in both splits, side by side, and predicts all sites with each."""
        model = pretraining.build(ModelChoice(model=name).resolved(), self.scaling)
        usual = PretrainSettings()
        effort = self.efforts[name]
        settings = Settings(
            steps=effort.steps,
            batch=self.batch,
            learning_rate=effort.rate,
            warmup_steps=min(50, effort.steps // 10),
            cosine=True,
            weight_decay=usual.weight_decay,
            validate_every=self.validate_every,
            patience=self.patience,
            dropout="dropout" in kinds.KINDS[name].options,
        )
        scales = {scale.name: scale.sd for scale in self.scaling.targets}
        objective = standard(scales, usual.balance_weight, usual.weighting)
        descent = Descent(model, objective, Direct(), settings)
        init_key, fit_key = jax.random.split(jax.random.key(seed))
        data = fit_data_of(world, kinds.KINDS[name].warmup_days)
        mesh = dividing_mesh(len(SPLITS))
        fit = descend_together(descent, model.init(init_key), data, fit_key, mesh=mesh)
        weights = jax.tree.map(np.asarray, fit.best)
        fluxes = {
            split: predict_sites(model, one_of(weights, row), world.sites)
            for row, split in enumerate(SPLITS)
        }
        return PartResult({name: fluxes}, describe(fit))

    def predict_references(self, world: World, seed: int) -> PartResult:
        """Predicts with the priors, the parameters of the nearest known site, and the true ones."""
        estimates = np.zeros((len(world.sites), len(PARAMETERS)), np.float32)
        columns = [PARAMETERS.index(name) for name in DEFAULT_SUBSET]
        estimates[:, columns] = self._estimate(world, seed)
        true = np.stack([world.parameters[name] for name in PARAMETERS], axis=1)
        known = {split: known_rows(world, split) for split in SPLITS}
        donors = {split: nearest(world.sites, rows) for split, rows in known.items()}
        common = {PRIOR: np.zeros_like(estimates), TRUE: true.astype(np.float32)}
        fluxes: dict[str, dict[str, Predicted]] = {}
        for name, values in common.items():
            found = with_offsets(world.sites, values)
            fluxes[name] = {split: found for split in SPLITS}
        fluxes[TRANSFER] = {
            split: with_offsets(world.sites, estimates[rows]) for split, rows in donors.items()
        }
        return PartResult(fluxes, {})

    def _estimate(self, world: World, seed: int) -> np.ndarray:
        # No site knows of another: each is estimated once, as in the split that trains on it. TRAIN
        # and VALIDATION are less than TEST, the role of its days where it is held out.
        roles = np.minimum.reduce([world.data[split].roles for split in SPLITS])
        found = estimate(
            PROBLEM,
            PROBLEM.model.init(jax.random.key(seed)),
            DividedSites.of_roles(world.sites, roles),
            LevenbergMarquardt(iterations=self.iterations),
            jax.random.key(seed),
            site_batch=SITE_BATCH,
        )
        return found.offsets


def describe(fit: Fit) -> dict[str, np.ndarray]:
    """Returns what the descents came to, (split,)."""
    names = ("start_error", "best_error", "best_step", "step", "healthy")
    return {name: np.asarray(getattr(fit, name), float) for name in names}


def nearest(sites: Sites, known: list[int]) -> np.ndarray:
    """Returns the row of the known site nearest to each site, (site,): a known site's own.

    Near in climate and soil: the distance is Euclidean over all attributes, each in units of its
    standard deviation over the known sites. Where sites have no longitude, no other is at hand.

    Args:
      sites: all sites.
      known: rows of those whose parameters are known.
    """
    fields = [np.asarray(getattr(sites.site.attributes, name)) for name in quantities(Attributes)]
    place = np.stack(fields, axis=1).astype(float)
    spread = place[known].std(axis=0)
    place = place / np.where(spread > 0, spread, 1.0)
    distance = np.linalg.norm(place[:, None] - place[None, known], axis=2)
    return np.asarray(known)[np.argmin(distance, axis=1)]


def with_offsets(sites: Sites, values: np.ndarray) -> Predicted:
    """Predicts with the process model, parameters at offsets from their priors.

    Args:
      sites: all sites.
      values: unbounded offsets of `PARAMETERS`, (site, parameter).
    """
    adaptation, phi = shifted_parameters(PARAMETERS, values)
    weights = PROBLEM.model.init(None)  # type: ignore[arg-type]
    return predict_sites(PROBLEM.model, weights, sites, adaptation, phi)


def common_scaling(world: World) -> Scaling:
    """Fits the standardisation on the days that both splits of a world train on."""
    both = np.all([data.roles == TRAIN for data in world.data.values()], axis=0)
    common = DividedSites.of_roles(world.sites, np.where(both, TRAIN, 0))
    return fit_scaling(INPUT_SETS["default"], common)
