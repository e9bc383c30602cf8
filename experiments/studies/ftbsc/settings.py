"""What the FTBSC-KGML experiment runs: its configuration and the cells that follow from it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from kgml_jax.cli import command
from kgml_jax.data import choices
from studies.ftbsc.training import Knobs

Training = Literal["scratch", "continued", "calibrated"]
Balance = Literal["soft", "hard"]
GIVEN, PAPER, EQUAL = "given", "paper", "equal"


@dataclass(frozen=True)
class FtbscConfig:
    """Test the claims of FTBSC-KGML: global, independent and calibrated models of three states."""

    run: Path = Path("runs/ftbsc")
    """Folder for everything this run writes; finished cells found there are kept, so that a run
    that was stopped goes on where it was, and more seeds can be added."""
    quick: bool = False
    """The small form, under ten minutes on two cores; overrides the sizes below."""
    data: Annotated[choices.DataChoice, command.FLAT] = field(
        default_factory=lambda: choices.DataChoice(synthetic_sites=90, synthetic_years=8)
    )
    seeds: int | None = None
    """Repetitions; each draws its own synthetic world, weights and batches. None: 3 in the quick
    form, else 5."""
    spread: float = 1.0
    """Scales how far the true parameters of synthetic sites and states lie apart."""
    inputs: Literal["kgml-ag", "default", "dynamic"] = "kgml-ag"
    """kgml-ag: the paper's, with GPP and soil; default: weather, management, place and soil, GPP
    being predicted; dynamic: as default without place and soil."""
    hidden: int = 16
    """Width of every recurrent layer."""
    dropout: float = 0.2
    """Share of the shared units dropped in training."""
    test_years: int = 2
    """Years at the end of each record that are only ever scored."""
    validation_years: int = 1
    """Years before those, for stopping and for the choice of mu and rho."""
    warmup_days: int = 30
    """Days before 1 January that bring the state up to date and are not scored."""
    steps: int = 300
    """Most gradient steps of a stage; every arm has two stages, so all have as many."""
    scratch_rate: float = 1e-2
    """Learning rate of the first stage, from scratch."""
    rate: float = 1e-3
    """Learning rate of the second stage."""
    batch: int = 32
    """Site-years a step looks at."""
    validate_every: int = 20
    """Steps between validations."""
    patience: int = 10
    """Validations without improvement before a stage stops."""
    mu: tuple[float, ...] = (1e-2, 0.0, 1e-1, 1.0, 10.0)
    """Ridges on theta_s - theta; the first is the reference, around which others are varied."""
    rho: tuple[float, ...] = (1e-2, 0.0, 1.0)
    """Ridges on phi_s; the first is the reference."""
    knowledge: tuple[float, ...] = (1.0, 0.0, 0.1, 10.0)
    """Weights lambda of the knowledge terms; the first is the reference, 0 is without."""
    other_batch: int = 16
    """The other batch size of T4."""
    other_rate: float = 1e-2
    """The other learning rate of T4."""
    seed: int = 0
    """First seed."""
    overwrite: bool = False
    """Begin anew where `run` holds cells of another configuration."""
    debug: bool = False
    """Show tracebacks."""


def seeds(config: FtbscConfig) -> range:
    """Returns the seeds of a run."""
    count = config.seeds if config.seeds is not None else 3 if config.quick else 5
    return range(config.seed, config.seed + count)


def resolved(config: FtbscConfig) -> FtbscConfig:
    """Returns the configuration with the sizes of the quick form, if that is asked for."""
    if not config.quick:
        return config
    return replace(
        config,
        data=replace(config.data, synthetic_sites=18, synthetic_years=6),
        warmup_days=15,
        steps=60,
        mu=(1e-2, 1.0),
        rho=(1e-2, 1.0),
        knowledge=(1.0, 0.0),
    )


@dataclass(frozen=True)
class Setting:
    """One cell of the experiment, but for its seed.

    Attributes:
      counts: whose series: in the paper's ratio, equal for all states, or given by the data.
      balance: `"hard"`: NEE := Ra + Rh - GPP.
      knowledge: weight lambda of the knowledge terms.
      training: `"scratch"`: first stage of each state's own model and of the pooled one;
        `"continued"`: their second stage; `"calibrated"`: second stage of the states from the
        pooled model.
      knobs: mu, rho and what is free.
      batch: site-years a step looks at.
      rate: learning rate.
    """

    counts: str
    balance: Balance
    knowledge: float
    training: Training
    knobs: Knobs
    batch: int
    rate: float

    @property
    def name(self) -> str:
        """A name that tells all settings apart and fits a file system."""
        knobs = self.knobs
        parts = [self.counts, self.training, self.balance, f"lambda{self.knowledge:g}"]
        if self.training == "calibrated":
            free = [part for part in ("head", "backbone") if getattr(knobs, part)]
            parts += [f"mu{knobs.mu:g}", f"rho{knobs.rho:g}", "+".join(free) or "frozen"]
        return "-".join([*parts, f"batch{self.batch}", f"rate{self.rate:g}"])


@dataclass(frozen=True)
class Design:
    """Design of the experiment: all its settings, with the part each plays."""

    scratch: Setting
    continued: Setting
    reference: Setting
    sweep: tuple[Setting, ...]
    """The calibrated arms among which validation chooses mu and rho; the reference is one."""
    ablation: dict[str, Setting]
    sensitivity: dict[str, Setting]
    knowledge: dict[str, Setting]
    """Calibrated arms by their balance: `soft, lambda=...` or `hard`; the reference is one."""
    equal: dict[str, Setting]
    """`continued` and `calibrated` with as many series in each state; empty on given data."""

    def settings(self) -> list[Setting]:
        """Returns all cells to run, each after the one it starts from."""
        several = (self.ablation, self.sensitivity, self.knowledge, self.equal)
        wanted = [self.continued, *self.sweep, *(s for part in several for s in part.values())]
        ordered: dict[Setting, None] = {}
        for setting in wanted:
            ordered |= {scratch_of(setting, self.scratch): None, setting: None}
        return list(ordered)


def check(config: FtbscConfig) -> None:
    """Refuses a configuration that would compare a setting with itself, or nothing.

    Raises:
      ValueError: naming the option.
    """
    if 0.0 not in config.knowledge[1:]:
        expected = "expected 0 among them, but not first, for claim T5"
        raise ValueError(f"--knowledge {config.knowledge}; {expected}")
    for name in ("batch", "rate"):
        if getattr(config, f"other_{name}") == getattr(config, name):
            raise ValueError(f"--other-{name} is --{name}; expected another one, for claim T4")
    for name in ("seeds", "steps", "batch", "validate_every"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} {value}; expected at least 1")


def scratch_of(setting: Setting, scratch: Setting) -> Setting:
    """Returns the first stage from which a setting starts."""
    return replace(
        scratch, counts=setting.counts, balance=setting.balance, knowledge=setting.knowledge
    )


def design_of(config: FtbscConfig) -> Design:
    """Returns what a resolved configuration runs.

    Raises:
      ValueError: as `check`.
    """
    check(config)
    counts = PAPER if config.data.data is None else GIVEN
    mu, rho, weight = config.mu[0], config.rho[0], config.knowledge[0]
    scratch = Setting(counts, "soft", weight, "scratch", Knobs(), config.batch, config.scratch_rate)
    continued = replace(scratch, training="continued", rate=config.rate)
    reference = replace(continued, training="calibrated", knobs=Knobs(mu, rho))
    with_knobs = lambda knobs: replace(reference, knobs=knobs)
    sweep = [reference]
    sweep += [with_knobs(Knobs(other, rho)) for other in config.mu[1:]]
    sweep += [with_knobs(Knobs(mu, other)) for other in config.rho[1:]]
    without = {
        f"soft, lambda={other:g}": replace(reference, knowledge=other) for other in config.knowledge
    }
    equal = {s.training: replace(s, counts=EQUAL) for s in (continued, reference)}
    return Design(
        scratch=scratch,
        continued=continued,
        reference=reference,
        sweep=tuple(sweep),
        ablation={
            "head and backbone": reference,
            "head only": with_knobs(Knobs(mu, rho, backbone=False)),
            "backbone only": with_knobs(Knobs(mu, rho, head=False)),
        },
        sensitivity={
            f"batch {config.other_batch}": replace(reference, batch=config.other_batch),
            f"rate {config.other_rate:g}": replace(reference, rate=config.other_rate),
        },
        knowledge=without | {"hard": replace(reference, balance="hard", knowledge=0.0)},
        equal=equal if counts == PAPER else {},
    )
