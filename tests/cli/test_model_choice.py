from dataclasses import replace

import jax
import numpy as np
import pytest
import toys
import xarray as xr

from kgml_jax.adaptation import PRESETS
from kgml_jax.cli import calibrate, evaluate, pretrain
from kgml_jax.data.choices import DataChoice
from kgml_jax.models import kinds
from kgml_jax.models.features import Scale
from kgml_jax.runs import saved
from kgml_jax.split import DividedSites
from kgml_jax.training.strategies import Strategy
from kgml_jax.workflows import calibration, pretraining
from kgml_jax.workflows.calibration import CalibrateSettings, require_strategies
from kgml_jax.workflows.pretraining import ModelChoice, PretrainSettings


def choice_of(name, **changes):
    return ModelChoice(model=name, **changes).resolved()


def fitted(choice):
    table = toys.sites()
    if choice.reads_gpp:
        forcing = replace(table.site.forcing, prescribed_gpp=table.site.targets["GPP"])
        table = replace(table, site=replace(table.site, forcing=forcing))
    data = DividedSites.of_roles(table, toys.roles(table))
    return pretraining.make_scaling(choice.inputs, data, choice.reads_gpp)


def made(choice):
    return pretraining.build(choice, fitted(choice))


def test_the_default_is_the_network_it_always_was():
    choice = ModelChoice().resolved()
    assert (choice.model, choice.hidden) == ("recurrent", 32)
    assert not choice.reads_gpp
    model = made(choice)
    assert kinds.memory_days(model) == 60
    assert (model.hidden, model.basis_layers, model.rh_layers) == (32, 2, 2)
    assert (model.gpp, model.balance, model.dropout) == ("predicted", "hard", 0.2)


@pytest.mark.parametrize("name", kinds.KINDS)
def test_every_model_is_built_by_name(name):
    choice = choice_of(name)
    scaling = fitted(choice)
    model = pretraining.build(choice, scaling)
    assert type(model) is kinds.KINDS[name].model
    assert kinds.memory_days(model) == kinds.KINDS[name].warmup_days
    assert kinds.has_process(model) == kinds.KINDS[name].has_process
    given = name in ("emulator", "gpp-forced")
    assert choice.reads_gpp == kinds.reads_gpp(model) == given
    assert ("GPP" in {scale.name for scale in scaling.targets}) != given


def test_legacy_inputs_and_the_emulator_are_the_same_model():
    legacy, emulator = choice_of("recurrent", inputs="legacy"), choice_of("emulator")
    assert made(legacy) == made(emulator)


def test_gpp_is_told_to_no_model_that_predicts_it():
    with pytest.raises(ValueError, match="inputs legacy tell GPP, which model closure is to"):
        choice_of("closure", inputs="legacy")


def test_what_is_chosen_stays_chosen():
    model = made(choice_of("closure", hidden=5, parameters=("albedo",)))
    assert (model.hidden, model.parameters) == (5, ("albedo",))
    other = choice_of("residual", parameters=("albedo",))
    with pytest.raises(ValueError, match="model residual has no option parameters"):
        made(other)


def test_the_process_model_predicts_what_is_observed_of_stocks_and_yield():
    choice = choice_of("closure")
    scaling = fitted(choice)
    more = (*scaling.targets, Scale("yield", 300.0, 90.0), Scale("soil_carbon_stock", 8e3, 1e3))
    model = pretraining.build(choice, replace(scaling, targets=more))
    assert model.process.observables == ("yield", "soil_carbon_stock")


def base_of(name):
    choice = choice_of(name)
    scaling = fitted(choice)
    model = pretraining.build(choice, scaling)
    weights = model.init(jax.random.key(0))
    return saved.Pretrained(model, weights, scaling, None, 1.0, "equal", 60)


@pytest.mark.parametrize("name", ["process", "closure"])
def test_strategies_without_weights_to_move_are_refused_in_one_message(name):
    base = base_of(name)
    require_strategies(("pretrained", "zero-shot", "full", "full-l2sp", "site-only"), base)
    text = "has no weights for strategy bias, ftbsc; it can take pretrained"
    with pytest.raises(ValueError, match=text) as refusal:
        require_strategies(("bias", "ftbsc", "full"), base)
    offered = str(refusal.value).split("it can take ")[1].split(", ")
    assert "affine" not in offered
    assert ("head" in offered) == (name == "closure")
    assert ("low-rank" in offered) == (name == "closure")


def test_process_parameters_are_calibrated_where_there_are_some(monkeypatch):
    strategy = Strategy("process parameters within their bounds", PRESETS["process"])
    monkeypatch.setitem(calibration.STRATEGIES, "process", strategy)
    require_strategies(("process",), base_of("process"))
    require_strategies(("process",), base_of("dpl"))
    with pytest.raises(ValueError, match="RecurrentModel has no weights for strategy process"):
        require_strategies(("process",), base_of("recurrent"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["process", "dpl"])
def test_a_model_with_the_process_in_it_goes_through_all_programs(name, tmp_path):
    first, second, third = (tmp_path / step for step in ("pretrain", "calibrate", "evaluate"))
    world = DataChoice(synthetic_sites=3, synthetic_years=4)
    small = {"steps": 3, "validate_every": 3}
    config = pretrain.PretrainConfig(
        run=first,
        data=world,
        model=ModelChoice(model=name),
        settings=PretrainSettings(batch=2, **small),
    )
    pretrain.main(config)
    assert saved.load_pretrained(first).warmup_days == 365
    settings = CalibrateSettings(**small)
    calibrate.main(
        calibrate.CalibrateConfig(from_run=first, run=second, strategy=("full",), settings=settings)
    )
    evaluate.main(evaluate.EvaluateConfig(from_run=second, run=third))
    with xr.open_dataset(third / "evaluation.nc") as results:
        assert results["strategy"].values.astype(str).tolist() == ["pretrained", "full"]
        assert np.isfinite(results["mse"].values).any()
