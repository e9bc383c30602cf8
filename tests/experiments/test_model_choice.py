import json
from dataclasses import asdict, replace

import calibrate
import evaluate
import inputs
import jax
import numpy as np
import pretrain
import pretrained as stored
import pytest
import toys
import xarray as xr

from kgml_jax.adaptation import PRESETS
from kgml_jax.models import kinds
from kgml_jax.models.features import Scale
from kgml_jax.models.protocol import model_to_json
from kgml_jax.training.strategies import Strategy


def config_of(name, **changes):
    return pretrain.resolved(pretrain.PretrainConfig(model=name, **changes))


def fitted(config):
    table = toys.sites()
    if config.data.prescribe_gpp:
        forcing = replace(table.site.forcing, prescribed_gpp=table.site.targets["GPP"])
        table = replace(table, site=replace(table.site, forcing=forcing))
    return pretrain.make_scaling(config, table, toys.roles(table))


def test_the_default_is_the_network_it_always_was():
    config = pretrain.resolved(pretrain.PretrainConfig())
    assert (config.model, config.hidden, config.warmup_days) == ("recurrent", 32, 60)
    assert not config.data.prescribe_gpp
    model = pretrain.make_model(config, fitted(config))
    assert (model.hidden, model.basis_layers, model.rh_layers) == (32, 2, 2)
    assert (model.gpp, model.balance, model.dropout) == ("predicted", "hard", 0.2)


@pytest.mark.parametrize("name", kinds.KINDS)
def test_every_model_is_built_from_the_command_line(name):
    config = config_of(name)
    scaling = fitted(config)
    model = pretrain.make_model(config, scaling)
    assert type(model) is kinds.KINDS[name].model
    given = name in ("emulator", "gpp-forced")
    assert config.data.prescribe_gpp == given
    assert ("GPP" in {scale.name for scale in scaling.targets}) != given


def test_legacy_inputs_and_the_emulator_are_the_same_model():
    legacy, emulator = config_of("recurrent", inputs="legacy"), config_of("emulator")
    assert pretrain.make_model(legacy, fitted(legacy)) == pretrain.make_model(
        emulator, fitted(emulator)
    )


def test_gpp_is_told_to_no_model_that_predicts_it():
    with pytest.raises(ValueError, match="--inputs legacy tells GPP, which model closure is to"):
        config_of("closure", inputs="legacy")


def test_what_is_chosen_stays_chosen():
    config = config_of("closure", hidden=5, warmup_days=90, parameters=("albedo",))
    assert config.warmup_days == 90
    model = pretrain.make_model(config, fitted(config))
    assert (model.hidden, model.parameters) == (5, ("albedo",))
    other = config_of("residual", parameters=("albedo",))
    with pytest.raises(ValueError, match="model residual has no option parameters"):
        pretrain.make_model(other, fitted(other))


def test_the_process_model_predicts_what_is_observed_of_stocks_and_yield():
    config = config_of("closure")
    scaling = fitted(config)
    more = (*scaling.targets, Scale("yield", 300.0, 90.0), Scale("soil_carbon_stock", 8e3, 1e3))
    model = pretrain.make_model(config, replace(scaling, targets=more))
    assert model.process.observables == ("yield", "soil_carbon_stock")


def base_of(name):
    config = config_of(name)
    scaling = fitted(config)
    model = pretrain.make_model(config, scaling)
    described = {"model": json.loads(json.dumps(model_to_json(model)))}
    weights = model.init(jax.random.key(0))
    return stored.Pretrained(model, scaling, weights, None, inputs.Data(), described)


@pytest.mark.parametrize("name", ["process", "closure"])
def test_strategies_without_weights_to_move_are_refused_in_one_message(name):
    base = base_of(name)
    stored.require_strategies(("zero-shot", "full", "full-l2sp", "site-only"), base)
    text = "has no weights for strategy bias, ftbsc; it can take zero-shot"
    with pytest.raises(ValueError, match=text) as refusal:
        stored.require_strategies(("bias", "ftbsc", "full"), base)
    offered = str(refusal.value).split("it can take ")[1].split(", ")
    assert "affine" not in offered
    assert ("head" in offered) == (name == "closure")
    assert ("low-rank" in offered) == (name == "closure")


def test_process_parameters_are_calibrated_where_there_are_some(monkeypatch):
    strategy = Strategy("process parameters within their bounds", PRESETS["process"])
    monkeypatch.setitem(stored.STRATEGIES, "process", strategy)
    stored.require_strategies(("process",), base_of("process"))
    stored.require_strategies(("process",), base_of("dpl"))
    with pytest.raises(ValueError, match="RecurrentModel has no weights for strategy process"):
        stored.require_strategies(("process",), base_of("recurrent"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["process", "dpl"])
def test_a_model_with_the_process_in_it_goes_through_all_programs(name, tmp_path):
    first, second, third = (tmp_path / step for step in ("pretrain", "calibrate", "evaluate"))
    world = inputs.Data(synthetic_sites=3, synthetic_years=4)
    small = {"steps": 3, "validate_every": 3}
    pretrain.main(pretrain.PretrainConfig(run=first, data=world, model=name, batch=2, **small))
    base = stored.load(first)
    assert base.header["warmup_days"] == 365
    assert json.loads(json.dumps(asdict(base.scaling))) == base.header["scaling"]
    calibrate.main(
        calibrate.CalibrateConfig(from_run=first, run=second, strategy=("full",), **small)
    )
    evaluate.main(evaluate.EvaluateConfig(from_run=second, run=third))
    with xr.open_dataset(third / "evaluation.nc") as results:
        assert results["strategy"].values.astype(str).tolist() == ["zero-shot", "full"]
        assert np.isfinite(results["mse"].values).any()
