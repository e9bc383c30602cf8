"""Options of the DayCent study."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from studies.daycent.schedule import FIRST_YEAR


@dataclass(frozen=True)
class DaycentConfig:
    """Train a network on heterotrophic respiration of a DayCent run and score held-out years."""

    run: Path = Path("runs/daycent")
    """Folder for everything this run writes."""
    data: Path | None = None
    """Folder with the daily table and the table of harvests. None: the folder `daycent_demo` of the
    real data (`KGML_JAX_DATA`, else `../shared/data`)."""
    from_checkpoint: Path | None = None
    """A pretraining run to start from too; its network is then also trained from scratch."""
    splits: tuple[Literal["last-years", "blocked-years"], ...] = (
        "last-years",
        "blocked-years",
    )
    """Which years are held out: the last, or every fifth block."""
    first_year: int = FIRST_YEAR
    """First year used; years before 1889 of the demonstration repeat later weather."""
    test_years: int = 20
    """Years held out at the end of the record (last years)."""
    validation_years: int = 10
    """Years before those that stop the training (last years)."""
    block_years: int = 5
    """Length of the blocks of which every fifth is held out (blocked years)."""
    hidden: int = 32
    """Width of every recurrent layer."""
    warmup_days: int = 365
    """Days before 1 January that bring the state up to date and are not scored."""
    steps: int = 400
    """Most gradient steps."""
    batch: int = 16
    """Years a step looks at."""
    learning_rate: float = 1e-2
    """Peak learning rate from scratch; it falls along a cosine."""
    tuning_rate: float = 2e-3
    """Peak learning rate from the checkpoint."""
    validate_every: int = 25
    """Steps between validations."""
    patience: int = 10
    """Validations without improvement before training stops."""
    seed: int = 0
    """Seed of the weights, batches and dropout."""
    overwrite: bool = False
    """Replace the run directory if it exists."""
    debug: bool = False
    """Show tracebacks."""
