"""Nitrous oxide: the KGML-ag network for N2O over standardised inputs, in physical units."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.models.features import Scale, Scaling, standardise
from kgml_jax.nets.functional import Network
from kgml_jax.nets.kgml_ag_n2o import KGMLAgN2O
from kgml_jax.records import Field
from kgml_jax.sites import Site

EMISSION = "N2O"
INTERMEDIATE = ("Rh", "nitrate", "ammonium", "soil_water_content")
"""The intermediate variables: CO2 flux of the soil, its mineral nitrogen and its water."""

INPUTS = (
    "shortwave_radiation",
    "air_temperature_max",
    "air_temperature_range",
    "vapour_pressure_deficit",
    "wind_speed",
    "logarithmic_precipitation",
    "bulk_density",
    "sand",
    "silt",
    "ph",
    "cation_exchange_capacity",
    "soil_organic_carbon",
    "fertiliser_ammonium",
    "fertiliser_nitrate",
    "planting",
    "crop_type",
)
"""As many inputs as the paper's 16. Humidity is known as a daily mean, which takes one input, not
two; nitrogen is told in its two forms. The day of planting is a pulse, not its date."""


@dataclass(frozen=True)
class NitrousOxideModel:
    """KGML-ag for N2O (Liu et al. 2022, GMD 15:2839) for one plot.

    All outputs are non-negative by construction.

    Attributes:
      scaling: standardisation of inputs and targets, fitted on training days.
      hidden: width of every GRU.
      layers: of each of the two modules.
      intermediate: variables predicted on the way to the emission; none leaves a plain GRU.
      backward: derivative of the recurrences: `"fused"`, or `"plain"` to compare with.
      dropout: share of the units of each module dropped in training.
    """

    scaling: Scaling
    hidden: int = 64
    layers: int = 2
    intermediate: tuple[str, ...] = INTERMEDIATE
    backward: str = "fused"
    dropout: float = 0.2

    @property
    def network(self) -> Network:
        """The network as a pair of pure functions."""
        scales = [self._scale(name) for name in (*self.intermediate, EMISSION)]
        return Network.of(
            KGMLAgN2O,
            features=len(self.scaling.inputs),
            outputs=tuple((scale.name, scale.mean / scale.sd) for scale in scales),
            hidden=self.hidden,
            layers=self.layers,
            dropout=self.dropout,
            backward=self.backward,
        )

    def init(self, key: jax.Array) -> Weights:
        """Draws weights; the calibration head starts neutral.

        Raises:
          ValueError: an output was observed on no training day, so it has no scale.
        """
        return self.network.init(key)

    def predict(
        self, weights: Weights, site: Site, key: jax.Array | None = None
    ) -> dict[str, Field]:
        """Returns the intermediate variables and N2O of one plot, each (time,), physical units.

        Args:
          weights: nested dict as from `init`.
          site: one plot; read are forcing, attributes, calendar, and the intermediate variables on
            the first day, where its mask shows them. They stand for the mean where it does not,
            as in the warm-up of a window.
          key: dropout key; None predicts without dropout.
        """
        inputs = standardise(self.scaling, site)
        raw = self.network.apply(weights, inputs, self.initial(site), key=key)
        return {name: self._scale(name).sd * values for name, values in raw.items()}

    def initial(self, site: Site) -> Field:
        """Returns standard scores of the intermediate variables on the first day, (variable,)."""
        scores = []
        for name in self.intermediate:
            scale = self._scale(name)
            known = name in site.targets
            score = (site.targets[name][0] - scale.mean) / scale.sd if known else jnp.zeros(())
            scores.append(jnp.where(site.mask[name][0], score, 0.0) if known else score)
        return jnp.stack(scores) if scores else jnp.zeros(0)

    def _scale(self, name: str) -> Scale:
        for scale in self.scaling.targets:
            if scale.name == name:
                return scale
        known = ", ".join(scale.name for scale in self.scaling.targets)
        raise ValueError(f"{name} has no scale: it was observed on no training day, only {known}")
