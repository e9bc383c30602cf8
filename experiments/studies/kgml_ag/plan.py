"""The five training steps of KGML-ag-Carbon (Liu et al. 2024, Methods and table S3) as a plan."""

import math
from dataclasses import dataclass, replace
from typing import Any

from kgml_jax.models.features import Scaling
from kgml_jax.objectives.compose import BehaviourTerm, Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.objectives.knowledge import (
    MassBalance,
    MonotoneResponse,
    PreservedResponse,
    WinterRespiration,
    YieldRange,
)
from kgml_jax.objectives.pacing import SelfPaced
from kgml_jax.objectives.responses import YEAR, Probe
from kgml_jax.training.series import Course
from kgml_jax.training.stages import Stage

SYNTHETIC, COUNTIES, TOWERS = "synthetic", "counties", "towers"

BASIS = ("gru_basis/*",)
YIELD = ("attention/*", "to_yield/*")
RA, RH = ("gru_ra/*", "to_ra/*"), ("gru_rh/*", "to_rh/*")
NEE = ("gru_nee/*", "to_nee/*")
"""Weights of the network by part."""

LEAST_PATIENCE = 5
"""Epochs without gain that are always waited for; the smallest of the published ones."""

SOIL_CARBON = Probe("soil_organic_carbon", "set", (8.0, 20.0, 35.0))
GPP_LEVEL = Probe("prescribed_gpp", "scale", (0.8, 1.0, 1.2))
YEARS = Probe(YEAR, "add", (-5.0, 0.0, 5.0))
WEATHER = (
    Probe("air_temperature_max", "add", (-4.0, -2.0, 0.0, 2.0, 4.0)),
    Probe("shortwave_radiation", "scale", (0.8, 0.9, 1.0, 1.1, 1.2)),
    Probe("precipitation", "scale", (0.5, 0.75, 1.0, 1.25, 1.5)),
    Probe("prescribed_gpp", "scale", (0.8, 0.9, 1.0, 1.1, 1.2)),
)
SOIL = (
    Probe("soil_organic_carbon", "set", (8.0, 14.0, 20.0, 28.0, 35.0)),
    Probe("ph", "set", (5.5, 6.0, 6.5, 7.0, 7.5)),
)
"""Inputs whose responses step 5 preserves."""


@dataclass(frozen=True)
class Losses:
    """Objectives of the steps; errors in units of the targets' training deviation.

    Attributes:
      scaling: standardisation of the model.
      weight: factor on every knowledge term; 0 trains without them.
    """

    scaling: Scaling
    weight: float = 1.0

    def sd(self, name: str) -> float:
        """Returns the training deviation of a target, 1 for one that was never observed."""
        return {scale.name: scale.sd for scale in self.scaling.targets}.get(name, 1.0)

    def total(
        self, knowledge: tuple[Term, ...] = (), behaviours: tuple[BehaviourTerm, ...] = ()
    ) -> Total:
        """Returns the masked error with what is known beside it."""
        scales = tuple((scale.name, scale.sd) for scale in self.scaling.targets)
        known = (knowledge, behaviours) if self.weight else ((), ())
        return Total((Term("error", MaskedError(scales)), *known[0]), known[1])

    def balance(self) -> Term:
        """GPP, Ra, Rh and NEE balance to 1 % of respiration."""
        return Term("mass_balance", MassBalance(), self.weight)

    def rises(self, flux: str, probe: Probe) -> BehaviourTerm:
        """The flux rises with the input."""
        name = f"{flux}_with_{probe.name}"
        return BehaviourTerm(name, MonotoneResponse(probe, flux), self.weight / self.sd(flux))

    def preserved(self, name: str, probes: tuple[Probe, ...], least: float) -> BehaviourTerm:
        """Responses stay correlated with those of the model before the step."""
        return BehaviourTerm(name, PreservedResponse(probes, least=least), self.weight)

    def yield_range(self) -> Term:
        """0 < yield < GPP / 2."""
        return Term("yield_range", YieldRange(), self.weight / self.sd("yield"))

    def winter(self) -> Term:
        """Outside the season respiration is heterotrophic."""
        return Term("winter", WinterRespiration(self.sd("Reco")), self.weight)


def five_steps(losses: Losses, nee: tuple[str, ...] = NEE) -> tuple[Stage, ...]:
    """Returns the published steps in their order.

    Args:
      losses: objectives.
      nee: weights of the network of NEE; none where NEE follows from the balance.
    """
    step_2 = respiration(losses, nee)
    again = replace(step_2.course, epochs=40, patience=5, decay_every=10)
    return (
        yield_and_ra(losses),
        step_2,
        county_yield(losses),
        replace(step_2, name="respiration-again", course=again),
        towers(losses, nee),
    )


def yield_and_ra(losses: Losses) -> Stage:
    """Step 1: annual yield and daily Ra of the process model."""
    return Stage(
        "yield-and-ra",
        SYNTHETIC,
        targets=("Ra", "yield"),
        course=Course(
            objective=losses.total(),
            rates=at(1e-3, BASIS, YIELD, RA),
            epochs=1000,
            patience=100,
            decay=0.5,
            decay_every=100,
            pacing=SelfPaced(),
        ),
    )


def respiration(losses: Losses, nee: tuple[str, ...]) -> Stage:
    """Step 2: the daily fluxes of the process model, in balance."""
    return Stage(
        "respiration",
        SYNTHETIC,
        targets=("Ra", "Rh", "NEE"),
        course=Course(
            objective=losses.total((losses.balance(),), (losses.rises("Rh", SOIL_CARBON),)),
            rates=at(1e-3, BASIS, RA, RH, nee),
            epochs=80,
            patience=10,
            decay=0.5,
            decay_every=20,
        ),
    )


def county_yield(losses: Losses) -> Stage:
    """Step 3: reported yields of counties."""
    rising = tuple(losses.rises("yield", probe) for probe in (GPP_LEVEL, YEARS, SOIL_CARBON))
    return Stage(
        "county-yield",
        COUNTIES,
        targets=("yield",),
        course=Course(
            objective=losses.total((losses.yield_range(),), rising),
            rates=at(2e-4, BASIS) + at(1e-3, YIELD),
            epochs=1000,
            patience=100,
            decay=0.5,
            decay_every=100,
            pacing=SelfPaced(),
        ),
    )


def towers(losses: Losses, nee: tuple[str, ...]) -> Stage:
    """Step 5: Reco and NEE of towers, responses to weather and soil kept."""
    responses = (
        losses.preserved("weather_response", WEATHER, least=0.8),
        losses.preserved("soil_response", SOIL, least=0.9),
    )
    return Stage(
        "towers",
        TOWERS,
        targets=("Reco", "NEE"),
        course=Course(
            objective=losses.total((losses.balance(), losses.winter()), responses),
            rates=at(5e-4, RA, nee) + at(2e-4, RH),
            epochs=120,
            patience=5,
            decay=0.6,
            decay_every=30,
        ),
    )


def at(rate: float, *parts: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Returns the learning rate of every pattern of some parts of the network."""
    return tuple((pattern, rate) for part in parts for pattern in part)


def shortened(stage: Stage, most: int | None, **changes: Any) -> Stage:
    """Returns a stage of at most so many epochs, its patience and decay shrunk alike.

    The smallest patience published, five epochs, is never shrunk: one epoch without gain says
    nothing.

    Args:
      stage: as published.
      most: epochs, at least 1; None leaves it.
      **changes: further fields of its course.
    """
    course = stage.course
    share = 1.0 if most is None else min(1.0, most / course.epochs)
    of = lambda published: max(1, math.ceil(share * published))
    patience = max(of(course.patience), min(LEAST_PATIENCE, course.patience))
    lengths = {"epochs": of(course.epochs), "decay_every": of(course.decay_every)}
    return replace(stage, course=replace(course, patience=patience, **lengths, **changes))
