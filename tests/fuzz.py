"""Damages a file of every form in thousands of ways and counts what the readers make of them.

    python tests/fuzz.py [--cases 2400] [--seed 0] [--readers csv nass]

Every case is a whole small input, damaged in a way that hypothesis draws, and read. It ends well if
the right numbers are loaded, or others and a note names what differs, or an error of the project
says of which file and why. A number in a cell that became another plausible number cannot be seen
in the content; it is counted apart, as invisible. All else is a fault; the exit status is then 1.
"""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tyro
from fuzzing import campaign
from fuzzing.judgement import FAULTS, GOOD
from fuzzing.sources import SOURCES


@dataclass(frozen=True)
class Fuzzing:
    """What is tried."""

    cases: int = 2400
    """Cases of all readers together."""
    seed: int = 0
    """Of what is drawn."""
    readers: tuple[str, ...] = tuple(source.name for source in SOURCES)
    """Which readers."""
    keep: Path | None = None
    """Folder in which the inputs of faults are kept; None keeps none."""
    seconds: float = 3600.0
    """After which no further reader is begun."""


def main(options: Fuzzing) -> None:
    """Runs the cases and prints the counts of each reader, then the faults."""
    chosen = [source for source in SOURCES if source.name in options.readers]
    each, begun = -(-options.cases // len(chosen)), time.monotonic()
    print(f"{'reader':18}" + "".join(f"{name:>10}" for name in ("cases", *GOOD, *FAULTS)))
    found = []
    for source in chosen:
        if time.monotonic() - begun > options.seconds:
            print(f"{source.name:18} not begun: {options.seconds:g} s are over")
            continue
        counts = campaign.run(source, each, options.seed, options.keep)
        found.append(counts)
        _tell(source.name, counts.outcomes)
        for damage, verdict in counts.faults:
            print(f"    {verdict.outcome}: {damage}: {verdict.why}")
    _tell("all", sum((counts.outcomes for counts in found), Counter()))
    cases = sum(counts.cases for counts in found)
    faults = sum(len(counts.faults) for counts in found)
    print(
        f"{cases} cases, {faults} faults in {time.monotonic() - begun:.0f} s; slowest "
        f"{max(counts.slowest for counts in found):.1f} s, at most "
        f"{max(counts.memory for counts in found) / 2**20:.0f} MiB more memory for a reading"
    )
    sys.exit(bool(faults))


def _tell(name: str, outcomes: Counter[str]) -> None:
    numbers = [outcomes.total(), *(outcomes[one] for one in (*GOOD, *FAULTS))]
    print(f"{name:18}" + "".join(f"{number:10}" for number in numbers), flush=True)


if __name__ == "__main__":
    main(tyro.cli(Fuzzing))
