"""Self-paced learning: samples that are too hard for now do not count yet."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from kgml_jax.records import Field


@dataclass(frozen=True)
class SelfPaced:
    """Counts a sample only if its loss is below a threshold that grows every epoch.

    Kumar et al. (2010), as used by Liu et al. (2024) in steps 1 and 3.

    Attributes:
      threshold: of the first epoch, in the units of the loss.
      growth: factor from one epoch to the next.
    """

    threshold: float = 1.0
    growth: float = 1.1

    def __post_init__(self) -> None:
        if self.threshold <= 0 or self.growth < 1:
            raise ValueError(f"{self}; expected a threshold above 0 and a growth of at least 1")

    def weights(self, losses: Field, epoch: Field) -> Field:
        """Returns 1 for samples that count in `epoch` (from 0), 0 for others."""
        most = self.threshold * self.growth**epoch
        return (jax.lax.stop_gradient(losses) < most).astype(jnp.result_type(float))
