import functools

import compile as tpu_compile
import jax
import pytest

from kgml_jax.mapping import site_mesh

SMALL = tpu_compile.CompileConfig(sites=4, windows=2, days=40, hidden=8, layers=1, site_batch=2)


@functools.cache
def traced(round_of):
    return round_of(SMALL, site_mesh(jax.devices()[:2]))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_both_training_steps_lower_for_every_platform(platform):
    for round_of in (tpu_compile.pretraining_round, tpu_compile.calibration_round):
        text = traced(round_of).lower(lowering_platforms=(platform,)).as_text()
        assert "stablehlo.while" in text


def test_calibration_holds_no_collective_and_pretraining_reduces_gradients():
    calibration = traced(tpu_compile.calibration_round).lower().compile().as_text()
    assert tpu_compile.collectives(calibration) == {}
    pretraining = traced(tpu_compile.pretraining_round).lower().compile().as_text()
    assert tpu_compile.collectives(pretraining)["all-reduce"] >= 1
