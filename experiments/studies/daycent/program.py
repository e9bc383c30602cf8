"""Emulates heterotrophic respiration of another process model; see `docs/daycent.md`.

Run as `python experiments/daycent.py --help`.
"""

import time
from dataclasses import replace

import xarray as xr

from kgml_jax.cli import console
from kgml_jax.data import splits
from kgml_jax.data.assemble import assemble
from kgml_jax.data.formats import daycent
from kgml_jax.data.schema import Note, expected_units
from kgml_jax.evaluation import tables
from kgml_jax.runs import directory, files, saved
from kgml_jax.sites import Sites
from kgml_jax.split import Split
from kgml_jax.workflows.sites import assert_unseen
from studies.daycent.report import TARGET, as_dataset, draw, score_table
from studies.daycent.schedule import SITE_ATTRIBUTES, history
from studies.daycent.settings import DaycentConfig
from studies.daycent.training import emulate
from studies.measured_fields import readers


def load(config: DaycentConfig) -> tuple[xr.Dataset, tuple[Note, ...]]:
    """Returns the field of the run with management, soil and targets, and notes.

    Raises:
      DataError: the folder or its tables are absent, or cannot be used.
    """
    folder = config.data or readers.default_folder() / "daycent_demo"
    daily, harvests = daycent.find(folder)
    latitude = SITE_ATTRIBUTES["latitude"]
    reading = daycent.read(daily, latitude, harvests=harvests, first_year=config.first_year)
    ready = readers.field(history(), reading.sites[0], reading.notes)
    named = {str(name): array for name, array in ready.dataset.data_vars.items()}
    with_units = {
        name: array.assign_attrs(units=expected_units(name)) for name, array in named.items()
    }
    return ready.dataset.assign(with_units), ready.notes


def make_splits(config: DaycentConfig, sites: Sites) -> dict[str, Split]:
    """Returns the splits asked for: the last years, or every fifth block of years, held out."""
    known = {
        "last-years": lambda: splits.last_years(sites, config.test_years, config.validation_years),
        "blocked-years": lambda: splits.blocked(sites, config.block_years),
    }
    return {name: known[name]() for name in config.splits}


def main(config: DaycentConfig) -> None:
    """Trains, scores, draws and writes, once for each split."""
    source = config.from_checkpoint
    with directory.claimed(config.run, config, config.overwrite, "daycent", source=source) as run:
        train(replace(config, run=run.folder))


def train(config: DaycentConfig) -> None:
    """Does all of it in a claimed folder."""
    started, folder = time.perf_counter(), config.run
    dataset, notes = load(config)
    sites = assemble([dataset], (TARGET,))
    divided = {name: split.divide(sites) for name, split in make_splits(config, sites).items()}
    source = config.from_checkpoint
    before = None if source is None else saved.load_pretrained(source)
    for data in divided.values():
        data.split.assert_disjoint()
        if before is not None:
            assert_unseen(before.split, data)
    fingerprints = {name: files.fingerprint(data.sites.site) for name, data in divided.items()}
    files.write_json(folder / "data_notes.json", notes)
    files.record_data(folder, fingerprints)
    files.write_dataset(folder / "daycent.nc", dataset, "Daily output of DayCent, as it was read")
    predictions, scores, text = {}, {}, []
    for name, data in divided.items():
        predictions[name] = emulate(config, name, data, before)
        scores[name], grid = score_table(predictions[name], data, name)
        text.append(tables.markdown(grid))
        console.say(text[-1])
        draw(folder / name, predictions[name], data)
    files.write_text(folder / "scores.md", "\n".join(text))
    found = as_dataset(predictions, divided, scores)
    files.write_dataset(folder / "daycent_rh.nc", found, "Emulation of DayCent, with scores")
    console.say(f"wrote {directory.final_name(folder)} in {time.perf_counter() - started:.0f} s")
