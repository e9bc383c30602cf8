from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr

from kgml_jax.cli.pretrain import PretrainConfig, main
from kgml_jax.data.choices import DataChoice, SplitChoice
from kgml_jax.runs import saved
from kgml_jax.workflows import pretraining, sites
from kgml_jax.workflows.pretraining import ModelChoice, PretrainSettings

WORLD = DataChoice(synthetic_sites=3, synthetic_years=4)
ONE_STEP = PretrainSettings(steps=1, batch=2, warmup_days=10, validate_every=1)


def further(folder, base, **options):
    choices = {"data": WORLD, "settings": ONE_STEP, "figures": False} | options
    return PretrainConfig(run=folder, from_run=base, **choices)


def test_a_second_stage_starts_from_the_weights_of_the_first(pretrained_run, tmp_path):
    run = tmp_path / "further"
    still = replace(ONE_STEP, learning_rate=0.0)
    main(further(run, pretrained_run, settings=still))
    first, second = map(saved.load_pretrained, (pretrained_run, run))
    assert second.model == first.model
    jax.tree.map(np.testing.assert_array_equal, first.weights, second.weights)
    assert second.training.steps == 1


def test_what_the_first_stage_saw_counts_as_seen_by_the_second(pretrained_run):
    first = saved.load_pretrained(pretrained_run)
    data = sites.divide(sites.load(WORLD), SplitChoice()).take([0])
    second = pretraining.pretrain(first.model, data, 0, ONE_STEP, start=first)
    alone = pretraining.pretrain(first.model, data, 0, ONE_STEP)
    assert set(second.learnt) == set(first.learnt) > set(alone.learnt)
    assert second.envelope == first.envelope != alone.envelope


def test_a_second_stage_tests_no_day_that_the_first_saw(pretrained_run, tmp_path):
    path = tmp_path / "early.nc"
    with xr.open_dataset(pretrained_run / "synthetic_world.nc") as world:
        world.isel(time=slice(0, 1096)).to_netcdf(path)
    with pytest.raises(ValueError, match="the pretrained model saw test days"):
        main(further(tmp_path / "run", pretrained_run, data=DataChoice(path)))
    assert not (tmp_path / "run").exists()


def test_the_model_of_a_second_stage_is_that_of_the_first(pretrained_run, tmp_path):
    other = further(tmp_path / "run", pretrained_run, model=ModelChoice(hidden=8))
    with pytest.raises(ValueError, match="with --from the model is that of the run"):
        main(other)
    first = saved.load_pretrained(pretrained_run)
    data = sites.divide(sites.load(WORLD), SplitChoice())
    grown = replace(first.model, dropout=0.5)
    with pytest.raises(ValueError, match="those of another RecurrentModel; expected the model"):
        pretraining.pretrain(grown, data, 0, ONE_STEP, start=first)
