import json
from typing import get_args

import pytest

from kgml_jax.models import kinds
from kgml_jax.models.features import Scale, Scaling
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import model_from_json, model_to_json, scaling_from_json

SCALING = Scaling(
    inputs=(Scale("sand", 0.2, 0.1), Scale("air_temperature_mean", 10.0, 9.0)),
    targets=(Scale("NEE", -0.5, 3.0),),
)
BESIDE_PROCESS = ("dpl", "dpl-dynamic", "closure", "residual", "residual-conserving")


def test_every_name_has_a_model():
    assert set(kinds.KINDS) == set(get_args(kinds.Name))
    assert {kind.model for kind in kinds.KINDS.values()} <= set(kinds.CLASSES.values())


@pytest.mark.parametrize("name", kinds.KINDS)
def test_a_model_survives_json_equal_and_hashable(name):
    model = kinds.build(name, SCALING)
    described = json.loads(json.dumps(model_to_json(model)))
    again = model_from_json(kinds.CLASSES, described)
    assert again == model
    assert hash(again) == hash(model)
    assert type(again) is kinds.KINDS[name].model


def test_the_process_model_in_a_hybrid_survives_json():
    process = ProcessModel(spin_up_cycles=1, observables=("yield",), gpp="prescribed")
    model = kinds.build("closure", SCALING, process=process, parameters=("albedo",), hidden=4)
    described = json.loads(json.dumps(model_to_json(model)))
    assert model_from_json(kinds.CLASSES, described) == model


def test_the_standardisation_survives_json():
    described = model_to_json(kinds.build("recurrent", SCALING))["scaling"]
    assert scaling_from_json(json.loads(json.dumps(described))) == SCALING


def test_what_this_version_does_not_know_is_named():
    described = model_to_json(kinds.build("closure", SCALING))
    with pytest.raises(ValueError, match="ClosureModel has no argument depth"):
        model_from_json(kinds.CLASSES, described | {"depth": 2})
    process = described["process"] | {"layers": 9}
    with pytest.raises(ValueError, match="ProcessModel has no argument layers"):
        model_from_json(kinds.CLASSES, described | {"process": process})
    with pytest.raises(ValueError, match="model kind 'Oracle' is unknown"):
        model_from_json(kinds.CLASSES, {"kind": "Oracle"})


def test_an_unknown_name_or_option_is_refused():
    with pytest.raises(ValueError, match="no model 'oracle'; there are recurrent, emulator"):
        kinds.build("oracle", SCALING)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="model process has no option hidden, only spin_up"):
        kinds.build("process", SCALING, hidden=3)


def test_names_stand_for_their_arguments():
    assert kinds.build("gpp-forced", SCALING).gpp == "prescribed"
    assert kinds.build("emulator", SCALING).gpp == "input"
    assert kinds.build("dpl", SCALING).dynamic == ()
    assert kinds.build("dpl-dynamic", SCALING).dynamic == kinds.DYNAMIC
    assert kinds.build("dpl-dynamic", SCALING, dynamic=("albedo",)).dynamic == ("albedo",)


@pytest.mark.parametrize("name", kinds.KINDS)
def test_windows_warm_up_for_a_year_where_the_process_model_is_part(name):
    process = name in (*BESIDE_PROCESS, "process", "gpp-forced")
    assert kinds.KINDS[name].warmup_days == (365 if process else 60)


@pytest.mark.parametrize("name", BESIDE_PROCESS)
def test_only_what_conserves_says_so(name):
    model = kinds.build(name, SCALING)
    every = ("carbon", "nitrogen", "water", "heat")
    assert model.conserves == (() if name == "residual" else every)
