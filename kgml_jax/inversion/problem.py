"""What is estimated at a site: few process parameters, a Gaussian prior, the streams that inform.

Offsets live in the unbounded space of `kgml_jax.bijections`, where 0 is the prior of a parameter.
With them amounts of scheduled updates can be estimated, of which 0 leaves the state alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp

from kgml_jax.adaptation import Weights
from kgml_jax.inversion import lasting
from kgml_jax.models import updates
from kgml_jax.models.protocol import Model
from kgml_jax.process.crops import NAMES
from kgml_jax.process.parameters import CROP_TRAITS, OF_TOWERS, Params, parameter, parted
from kgml_jax.records import Field, Quantity, quantities
from kgml_jax.sites import PREDICTABLE, Site

PRIOR_SD = 0.5
"""Standard deviation of an offset: at the middle of its bounds, a parameter then lies within the
central quarter of them two times out of three."""

TOWER_SD = 1.0
"""Standard deviation of the offset of a parameter of towers: 0.16 for the energy balance."""

UPDATE_SD = 0.3
"""Standard deviation of the amount of an update: most pools move by less than a third."""


@dataclass(frozen=True)
class Stream:
    """Observations that inform: a variable, and the factor by which its uncertainty is inflated.

    Attributes:
      variable: one of `sites.PREDICTABLE`.
      inflation: above 1 it makes up for errors that are correlated from day to day, or for a model
        that cannot be exact.
    """

    variable: str
    inflation: float = 1.0

    def __post_init__(self) -> None:
        if self.variable not in PREDICTABLE:
            raise ValueError(f"no variable {self.variable!r}; there are {', '.join(PREDICTABLE)}")
        if not self.inflation > 0:
            raise ValueError(f"inflation of {self.variable} is {self.inflation}; expected above 0")


@dataclass(frozen=True)
class Problem:
    """Maximum a posteriori estimation of some process parameters and updates of one site.

    The cost of offsets z is half the sum of squares of `residuals`: the negative logarithm of the
    posterior, up to a constant, for independent normal errors and a normal prior of z.

    Attributes:
      model: predicts one site; its weights hold `weights["process"][name]`.
      names: fields of `process.Params` that are estimated, or such of one crop
        (`parameters.trait_of_crop`), or of towers (`parameters.OF_TOWERS`); and then scheduled
        updates of the model, by `ScheduledUpdate.name`.
      prior_sd: standard deviation of each one's offset.
      streams: what informs.
    """

    model: Model
    names: tuple[str, ...]
    prior_sd: tuple[float, ...]
    streams: tuple[Stream, ...]

    def __post_init__(self) -> None:
        _check_names(self.names)
        if len(self.prior_sd) != len(self.names):
            found, expected = len(self.prior_sd), len(self.names)
            raise ValueError(f"{found} prior standard deviations; expected {expected}")
        if not all(sd > 0 for sd in self.prior_sd):
            raise ValueError(f"prior standard deviations {self.prior_sd}; expected all above 0")
        variables = [stream.variable for stream in self.streams]
        if not variables or len(set(variables)) < len(variables):
            raise ValueError(f"streams {variables}; expected one or more, each once")

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names that are parameters; those that are updates come after them."""
        return tuple(name for name in self.names if updates.SEPARATOR not in name)

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Units, bounds and meaning of what is estimated, by name."""
        moved = self.names[len(self.parameters) :]
        return {name: parameter(name) for name in self.parameters} | {
            name: updates.parse(name).quantity for name in moved
        }

    def widened(self, considered: Sequence[str]) -> "Problem":
        """Returns the problem with further parameters, which stand before the updates."""
        count, added = len(self.parameters), tuple(considered)
        return replace(
            self,
            names=(*self.names[:count], *added, *self.names[count:]),
            prior_sd=(
                *self.prior_sd[:count],
                *(PRIOR_SD for _ in added),
                *self.prior_sd[count:],
            ),
        )

    def start(self) -> Field:
        """Returns the offsets of the prior mean: zeros, (p,)."""
        return jnp.zeros(len(self.names), jnp.result_type(float))

    def weights(self, weights: Weights, offsets: Field) -> Weights:
        """Returns the weights with `offsets`, (p,), added to the named parameters and updates.

        Raises:
          KeyError: the weights hold no such process parameter.
        """
        process = dict(weights["process"])
        if unknown := [name for name in self.names if name not in process]:
            raise KeyError(f"the weights hold no parameter or update {', '.join(unknown)}")
        for row, name in enumerate(self.names):
            process[name] = process[name] + offsets[row]
        return {**weights, "process": process}

    def predict(self, weights: Weights, offsets: Field, site: Site) -> dict[str, Field]:
        """Returns daily fluxes of one site by name, (time,), in physical units."""
        return self.model.predict(self.weights(weights, offsets), site, None)

    def misfits(self, fluxes: dict[str, Field], site: Site) -> Field:
        """Returns `(prediction - target) / (inflation uncertainty)`, 0 where masked.

        Where the errors of the site last, these are made independent; see `lasting.whiten`.

        Args:
          fluxes: what the model predicts.
          site: one site with its targets, masks and uncertainties.

        Returns:
          All days of the first stream, then of the second, (streams * time,). A stream of which
          the site has no target is left out.

        Raises:
          KeyError: the site has no target of any stream, or the model does not predict one.
        """
        streams = self._informing(site)
        if lacking := [s.variable for s in streams if s.variable not in fluxes]:
            found = ", ".join(fluxes)
            raise KeyError(f"the model does not predict {', '.join(lacking)}; it predicts {found}")
        left, seen = self.left_over(fluxes, site)
        stated = [s.inflation * site.uncertainty[s.variable] for s in streams]
        sd = jnp.where(seen, jnp.stack(stated, axis=1), 1.0)
        white = left / sd
        if site.errors is not None:
            white = lasting.whiten(site.errors, left, sd, seen)
        return white.T.reshape(-1)

    def left_over(self, fluxes: dict[str, Field], site: Site) -> tuple[Field, Field]:
        """Returns prediction less target, 0 where masked, and where there is one, (time, stream).

        Args:
          fluxes: what the model predicts.
          site: one site with its targets and masks.
        """
        # Masked first: neither a gap nor what is predicted in it may reach a derivative.
        names = [stream.variable for stream in self._informing(site)]
        seen = jnp.stack([site.mask[name] for name in names], axis=1)
        gone = [jnp.where(site.mask[n], fluxes[n] - site.targets[n], 0.0) for n in names]
        return jnp.stack(gone, axis=1), seen

    def observations(self, site: Site) -> Field:
        """Returns how many values inform about one site, int32 ()."""
        counts = [jnp.sum(site.mask[s.variable], dtype=jnp.int32) for s in self._informing(site)]
        return jnp.sum(jnp.stack(counts))

    def deviations(self, offsets: Field) -> Field:
        """Returns the residuals of the prior, (p,): offsets over their standard deviations."""
        return offsets / jnp.asarray(self.prior_sd, offsets.dtype)

    def residuals(self, weights: Weights, base: Field, offsets: Field, site: Site) -> Field:
        """Returns misfits of the data and then of the prior, (n + p,).

        Args:
          weights: shared by all sites.
          base: mean of the site's prior relative to the weights, (p,): a state-level effect, or
            what a network says of the site.
          offsets: from `base`, (p,).
          site: masks are True on the days that count.
        """
        fluxes = self.predict(weights, base + offsets, site)
        return jnp.concatenate([self.misfits(fluxes, site), self.deviations(offsets)])

    def _informing(self, site: Site) -> list[Stream]:
        streams = [stream for stream in self.streams if stream.variable in site.targets]
        if not streams:
            wanted = ", ".join(stream.variable for stream in self.streams)
            raise KeyError(
                f"the sites have no target {wanted}; they have {', '.join(site.targets)}"
            )
        return streams


def default_prior_sd(names: Sequence[str]) -> tuple[float, ...]:
    """Returns the prior standard deviations: `PRIOR_SD`, `TOWER_SD`, or `UPDATE_SD` of updates.

    Bounds differ by what is known of a parameter (its source stands beside them in the table of
    `docs/science.md`), so that one number in unbounded space is a wide prior where they are wide.

    Raises:
      ValueError: a name is no field of `process.Params` and no update.
    """
    _check_names(names)
    other = dict.fromkeys(OF_TOWERS, TOWER_SD)
    return tuple(
        UPDATE_SD if updates.SEPARATOR in name else other.get(name, PRIOR_SD) for name in names
    )


def observed(site: Site, days: Field) -> Site:
    """Returns `site` with all masks False outside `days`, bool (time,)."""
    seen = days & site.valid
    return site.replace(mask={name: mask & seen for name, mask in site.mask.items()})  # type: ignore[attr-defined]


def _known(name: str) -> bool:
    trait, crop = parted(name)
    of_process = trait in quantities(Params)
    of_crop = crop in NAMES and trait in CROP_TRAITS
    return name in OF_TOWERS or (of_process and (not crop or of_crop))


def _check_names(names: Sequence[str]) -> None:
    declared = quantities(Params)
    moved = [updates.SEPARATOR in name for name in names]
    parameters = [name for name, is_update in zip(names, moved, strict=True) if not is_update]
    if unknown := [name for name in parameters if not _known(name)]:
        raise ValueError(f"no parameter {', '.join(unknown)}; there are {', '.join(declared)}")
    if not parameters or len(set(names)) < len(names):
        raise ValueError(f"parameters {list(names)}; expected one or more, each once")
    if moved != sorted(moved):
        raise ValueError(f"parameters {list(names)}; expected updates after all parameters")
    for name in names[len(parameters) :]:
        updates.parse(name)
