"""Models by name: what each is, how it is built, and what its windows need."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from kgml_jax.models.closure import ClosureModel
from kgml_jax.models.features import Scale, Scaling
from kgml_jax.models.nitrous_oxide import NitrousOxideModel
from kgml_jax.models.parameter_learning import DYNAMIC, ParameterLearningModel
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.recurrent import RecurrentModel
from kgml_jax.models.residual import ConservingResidualModel, ResidualModel
from kgml_jax.models.season import PROGRESS

Name = Literal[
    "recurrent",
    "emulator",
    "process",
    "gpp-forced",
    "dpl",
    "dpl-dynamic",
    "closure",
    "residual",
    "residual-conserving",
]

CLASSES = {
    cls.__name__: cls
    for cls in (
        RecurrentModel,
        NitrousOxideModel,
        ProcessModel,
        ParameterLearningModel,
        ClosureModel,
        ResidualModel,
        ConservingResidualModel,
    )
}
"""All models by the name `protocol.model_to_json` gives them."""

FADED_MEMORY = 60
"""d; a recurrent network has forgotten by then from where it started."""

FROM_NEW_YEAR = 365
"""d; the process model starts on a 1 January, for which its initial state is meant: bare ground and
moist, cold soil. A year later litter, residue and soil water are those of the crop before. Windows
repeat at most one year before the record, so it cannot be more."""


@dataclass(frozen=True)
class Kind:
    """A way of predicting, by name.

    Attributes:
      doc: one line for tables and help.
      model: class of the model.
      arguments: of the class, that the name stands for.
      hidden: default width of its networks; 0 without.
      warmup_days: default days before 1 January that bring the state of a window up to date.
      gpp_given: whether GPP comes from the forcing and is no target.
    """

    doc: str
    model: type
    arguments: tuple[tuple[str, Any], ...] = ()
    hidden: int = 16
    warmup_days: int = FROM_NEW_YEAR
    gpp_given: bool = False

    @property
    def has_process(self) -> bool:
        """Whether the process model is in it, which needs to know the crops."""
        return self.model is ProcessModel or "process" in self.options

    @property
    def options(self) -> tuple[str, ...]:
        """Arguments of the class."""
        return tuple(field.name for field in dataclasses.fields(self.model))


KINDS: dict[Name, Kind] = {
    "recurrent": Kind(
        "recurrent network alone", RecurrentModel, hidden=32, warmup_days=FADED_MEMORY
    ),
    "emulator": Kind(
        "recurrent network with GPP as input, taught by the process model (KGML-ag)",
        RecurrentModel,
        (("gpp", "input"),),
        hidden=32,
        warmup_days=FADED_MEMORY,
        gpp_given=True,
    ),
    "process": Kind("process model alone, one set of parameters", ProcessModel, hidden=0),
    "gpp-forced": Kind(
        "process model with GPP as input",
        ProcessModel,
        (("gpp", "prescribed"),),
        hidden=0,
        gpp_given=True,
    ),
    "dpl": Kind("attributes of a site set its parameters", ParameterLearningModel),
    "dpl-dynamic": Kind(
        "attributes set parameters, weather moves some of them daily",
        ParameterLearningModel,
        (("dynamic", DYNAMIC),),
    ),
    "closure": Kind("network in the daily step sees the state and moves rates", ClosureModel),
    "residual": Kind("outputs corrected; they do not close with stocks", ResidualModel),
    "residual-conserving": Kind("fluxes scaled in the daily step", ConservingResidualModel),
}
"""Models every program knows."""


def build(name: Name, scaling: Scaling, **options: Any) -> Any:
    """Returns the model called `name`.

    Args:
      name: one of `KINDS`.
      scaling: standardisation of inputs and targets; a process model by itself needs none.
      options: arguments of the class of the model.

    Raises:
      ValueError: there is no such model, or it has no such option.
    """
    if name not in KINDS:
        raise ValueError(f"no model {name!r}; there are {', '.join(KINDS)}")
    kind = KINDS[name]
    if unknown := sorted(set(options) - set(kind.options)):
        own = ", ".join(kind.options)
        raise ValueError(f"model {name} has no option {', '.join(unknown)}, only {own}")
    given = {"scaling": scaling} if "scaling" in kind.options else {}
    return kind.model(**given, **{**dict(kind.arguments), **options})


def has_process(model: Any) -> bool:
    """Returns whether the process model is, or is in, a model; it needs to know the crops."""
    return isinstance(model, ProcessModel) or hasattr(model, "process")


def memory_days(model: Any) -> int:
    """Returns how many days before 1 January bring the state of a model's windows up to date.

    Inputs that count from sowing need the sowing within the window, which may be in autumn.
    """
    from_sowing = any(scale.name in PROGRESS for scale in _inputs(model))
    return FROM_NEW_YEAR if has_process(model) or from_sowing else FADED_MEMORY


def reads_gpp(model: Any) -> bool:
    """Returns whether a model is given GPP, which is then no target."""
    if isinstance(model, ProcessModel):
        return model.gpp == "prescribed"
    return any(scale.name == "prescribed_gpp" for scale in _inputs(model))


def _inputs(model: Any) -> tuple[Scale, ...]:
    scaling = getattr(model, "scaling", None)
    return scaling.inputs if scaling else ()
