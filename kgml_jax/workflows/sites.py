"""Where workflows get their sites and split from: files at a path, or the embedded default."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kgml_jax.data.assemble import assemble
from kgml_jax.data.choices import (
    DataChoice,
    OtherData,
    SplitChoice,
    divide_unseen,
    hide_new_sites,
    make_split,
    require_crops,
    require_gpp,
)
from kgml_jax.data.read import ReadOptions, inputs, read
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.display import counted
from kgml_jax.errors import DataError, listed
from kgml_jax.models import kinds
from kgml_jax.models.simulation import simulate_sites
from kgml_jax.runs import files, provenance
from kgml_jax.runs.fitted import Pretrained
from kgml_jax.sites import TEST, VARIABLES, Sites
from kgml_jax.split import DividedSites, Split


def load(choice: DataChoice, further: tuple[str, ...] = (), fluxes: bool = True) -> Sites:
    """Reads or generates the sites.

    Args:
      choice: which.
      further: names of `sites.FURTHER` that become targets beside the fluxes where data hold them.
      fluxes: whether observed fluxes are needed. Without, files need to hold none, and those they
        hold are left out: for what neither learns nor scores.

    Raises:
      DataError: the data cannot be used, none of the sites observes a flux and they are needed, or
        GPP is to be prescribed and a site has none.
    """
    targets = (*VARIABLES, *further)
    if choice.data is None:
        sites = _synthetic(choice, targets)
    else:
        sites = _read(choice, choice.data, targets, fluxes)
    if choice.prescribe_gpp:
        require_gpp(sites)
    return replace(sites, origin=choice)


def fingerprints(sites: Sites) -> dict[str, Any]:
    """Returns what identifies data: of the arrays that were made of them, and of the files read."""
    found: dict[str, Any] = {
        "sites": len(sites),
        "arrays": files.fingerprint(sites.names, sites.groups, sites.site),
    }
    read_from = [] if sites.origin is None else input_files(sites.origin)
    return found | ({"files": provenance.of_files(read_from)} if read_from else {})


def require_unchanged(run: Path, other: OtherData, origin: DataChoice | None) -> None:
    """Refuses files of data that are not as they were when a run read them.

    A changed digit that leaves a plausible number cannot be seen otherwise. Runs of older versions
    tell nothing.

    Args:
      run: its folder.
      other: data in place of those of the run, which need not be the same.
      origin: the data of the run; None if they are not known.

    Raises:
      DataError: naming the files.
    """
    if other.data is not None or origin is None:
        return
    known = provenance.of_run(run / provenance.FILE) or {}
    before = known.get("data", {}).get("files", {})
    now = provenance.of_files(input_files(origin))
    changed = sorted(name for name in {*before} & {*now} if before[name] != now[name])
    if changed:
        raise DataError(
            "is not as it was when the run read it",
            file=changed[0],
            found=f"{counted(len(changed), 'file')} changed since {run} was made",
            expected="the same content; give --data to use what is there now",
        )


def input_files(choice: DataChoice) -> list[Path]:
    """Returns the files that the sites of a choice are read from or drawn with."""
    if choice.data is None:
        return [] if choice.synthetic_stations is None else [choice.synthetic_stations]
    return inputs(choice.data, choice.metadata, choice.management)


def _synthetic(choice: DataChoice, targets: tuple[str, ...]) -> Sites:
    world = generate(
        SyntheticConfig(
            sites=choice.synthetic_sites,
            years=choice.synthetic_years,
            seed=choice.synthetic_seed,
            stations=choice.synthetic_stations,
            twist=choice.synthetic_twist,
        ),
        simulate_sites,
    )
    if choice.prescribe_gpp:
        # The simulated GPP, as KGML-ag's synthetic pretraining data give it.
        world["prescribed_gpp"] = world["GPP_truth"]
    return replace(assemble(per_site(world), targets), truth=world)


def _read(choice: DataChoice, path: Path, targets: tuple[str, ...], fluxes: bool) -> Sites:
    options = ReadOptions(
        qc_threshold=choice.qc_threshold,
        quality_scale=choice.quality_scale,
        worst_flag=choice.worst_flag,
        crop_codes=choice.crop_codes,
        max_gap=choice.max_gap,
        max_copy=choice.max_copy,
        partition=choice.partition,
        energy_balance=choice.energy_balance,
        prescribe_gpp=choice.prescribe_gpp,
        skip_bad_sites=choice.skip_bad_sites,
        fluxes=fluxes,
    )
    reading = read(path, choice.metadata, options, choice.management)
    sites = replace(assemble(reading, targets), notes=reading.notes)
    if fluxes and not sites.site.targets:
        raise DataError(
            "no flux is observed at any site",
            file=path,
            site=listed(sites.names),
            expected=f"some of {', '.join(targets)}; without fluxes sites can be predicted "
            "(kgml-jax predict) and simulated (kgml-jax simulate), in Python after "
            "read_sites(path, fluxes=False)",
        )
    return sites


def divide(sites: Sites, choice: SplitChoice) -> DividedSites:
    """Divides the days of sites for pretraining.

    With the split by last years, `choice.new_sites` whole sites are held out; by default a third of
    the synthetic ones and none of measured ones.

    Raises:
      ValueError: an option has no meaning beside another, or no site would be left.
      DataError: a name to leave out does not exist.
    """
    split = make_split(choice, sites)
    if choice.split == "last-years":
        default = len(sites) // 3 if sites.truth is not None else 0
        hidden = default if choice.new_sites is None else choice.new_sites
        split = hide_new_sites(split, sites, hidden)
    return split.divide(sites)


def divide_after(base: Pretrained, other: OtherData, choice: SplitChoice) -> DividedSites:
    """Returns the sites to calibrate, divided with no test day the pretrained model saw.

    On the data of the pretraining its split is kept, but sites it never saw are divided anew.

    Args:
      base: the pretrained model.
      other: sites, where they are not those of the pretraining.
      choice: how the days of sites that the pretraining did not see are divided.

    Raises:
      ValueError: an option has no meaning here, or it is not known what the model learnt from.
    """
    sites = load(other.after(base.origin))
    require_drivers(base.model, sites)
    if other.data is not None:
        return divide_new(base, sites, choice)
    return divide_again(base, sites, choice)


def require_drivers(model: Any, sites: Sites) -> None:
    """Refuses sites that lack what a model is driven by beside weather.

    Raises:
      DataError: naming the sites without a crop calendar, or without GPP to prescribe.
    """
    if kinds.has_process(model):
        require_crops(sites)
    if kinds.reads_gpp(model):
        require_gpp(sites)


def divide_new(base: Pretrained, sites: Sites, choice: SplitChoice) -> DividedSites:
    """Divides other sites than those of the pretraining, as chosen.

    Raises:
      DataError: a test day is one that the pretraining looked at.
    """
    data = make_split(choice, sites).divide(sites)
    assert_unseen(base.split, data)
    return data


def divide_again(base: Pretrained, sites: Sites, choice: SplitChoice) -> DividedSites:
    """Keeps the split of the pretraining, and divides anew the sites that it never saw.

    Raises:
      ValueError: there are no such sites, and the choice is not the default.
      DataError: the sites are not those of the pretraining.
    """
    base.split.assert_covers(sites)
    unseen = ~seen_in_pretraining(base, sites)
    if not unseen.any() and choice != SplitChoice():
        raise ValueError("the split of the pretraining run is kept; --split needs --data")
    data = divide_unseen(base.split, choice, sites).divide(sites)
    if base.split.kind.startswith("leave"):
        # The sites it was trained on have no test days in such a split.
        return data.take([int(row) for row in np.flatnonzero(unseen)])
    return data


def seen_in_pretraining(base: Pretrained, sites: Sites) -> np.ndarray:
    """Returns which sites the pretraining learnt from, bool (site,)."""
    known = np.array([name in base.split.periods for name in sites.names])
    before = base.split.divide(sites.take(np.flatnonzero(known).tolist()))
    seen = np.zeros(len(sites), bool)
    seen[known] = before.learning_days.any(axis=1)
    return seen


def assert_unseen(pretrained: Split, data: DividedSites) -> None:
    """Refuses to score days the pretrained weights were trained or stopped on.

    Raises:
      DataError: naming the site and the first such day.
    """
    names = data.sites.names
    shared = data.take([row for row, name in enumerate(names) if name in pretrained.periods])
    if not len(shared):
        return
    seen = pretrained.divide(shared.sites).learning_days & (shared.roles == TEST)
    for row in np.flatnonzero(seen.any(axis=1)):
        days = np.asarray(shared.sites.site.calendar.date)[row, seen[row]].astype("datetime64[D]")
        raise DataError(
            "the pretrained model saw test days of this split",
            site=shared.sites.names[row],
            found=f"{len(days)} days from {days[0]}",
            expected="test days outside its training and validation years",
        )
