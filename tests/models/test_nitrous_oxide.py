from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from kgml_jax.models.features import Scale, Scaling, fit_scaling
from kgml_jax.models.nitrous_oxide import EMISSION, INPUTS, INTERMEDIATE, NitrousOxideModel
from kgml_jax.split import DividedSites

MEANS = {"Rh": 1.5, "nitrate": 8.0, "ammonium": 2.0, "soil_water_content": 0.3, EMISSION: 1e-3}


@pytest.fixture(scope="module")
def sites():
    table = toys.sites(count=2, years=1)
    shape = table.site.valid.shape
    random = np.random.default_rng(3)
    draw = lambda mean: (mean * random.uniform(0.2, 1.8, shape)).astype(np.float32)
    site = table.site.replace(
        targets={name: draw(mean) for name, mean in MEANS.items()},
        mask={name: np.ones(shape, bool) for name in MEANS},
        uncertainty={},
    )
    return replace(table, site=site)


@pytest.fixture(scope="module")
def model(sites):
    scaling = fit_scaling(INPUTS, DividedSites.undivided(sites))
    return NitrousOxideModel(scaling, hidden=6)


@pytest.fixture(scope="module")
def weights(model):
    """Larger than fresh ones, so that what is read is seen in the outputs."""
    return jax.tree.map(lambda leaf: 2.0 * leaf, model.init(jax.random.key(0)))


@pytest.fixture
def site(sites):
    return sites.one(sites.names[0])


@partial(jax.jit, static_argnums=0)
def predict(model, *arguments):
    return model.predict(*arguments)


def first_day(site, name, value=None, seen=True):
    """The site with another first value of a target, or without it."""
    values, mask = jnp.asarray(site.targets[name]), jnp.asarray(site.mask[name])
    values = values if value is None else values.at[0].set(value)
    return site.replace(
        targets={**site.targets, name: values}, mask={**site.mask, name: mask.at[0].set(seen)}
    )


def test_the_inputs_are_sixteen_and_hold_no_flux():
    assert len(set(INPUTS)) == 16
    assert not {*INPUTS} & {*MEANS, "prescribed_gpp"}


def test_outputs_are_in_physical_units_and_never_negative(model, site):
    found = predict(model, model.init(jax.random.key(0)), site)
    assert set(found) == {*INTERMEDIATE, EMISSION}
    for name, series in found.items():
        assert np.all(series >= 0.0)
        assert MEANS[name] / 4 < series.mean() < 4 * MEANS[name]  # fresh: about the mean
    large = jax.tree.map(lambda leaf: 30.0 * leaf, model.init(jax.random.key(0)))
    for series in predict(model, large, site).values():
        assert np.all(series >= 0.0)


def test_initial_values_change_the_forecast(model, weights, site):
    before = predict(model, weights, site)[EMISSION]
    for name in INTERMEDIATE:
        after = predict(model, weights, first_day(site, name, 3.0 * MEANS[name]))[EMISSION]
        assert np.max(np.abs(after / before - 1.0)) > 1e-3, name


def test_of_the_targets_only_initial_values_are_read(model, weights, site):
    later = {name: jnp.asarray(v).at[1:].add(5.0) for name, v in site.targets.items()}
    later[EMISSION] = later[EMISSION].at[0].add(5.0)
    before, after = (predict(model, weights, one) for one in (site, site.replace(targets=later)))
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_an_initial_value_that_is_not_known_is_the_mean(model, site):
    nitrate = next(scale for scale in model.scaling.targets if scale.name == "nitrate")
    unseen = model.initial(first_day(site, "nitrate", 99.0, seen=False))
    at_mean = model.initial(first_day(site, "nitrate", nitrate.mean))
    np.testing.assert_allclose(unseen, at_mean, atol=1e-6)  # float32 of the mean
    without = {name: values for name, values in site.targets.items() if name != "nitrate"}
    np.testing.assert_array_equal(model.initial(site.replace(targets=without)), unseen)


def test_initial_values_are_standard_scores(model, site):
    above = {scale.name: scale.mean + scale.sd for scale in model.scaling.targets}
    for name in INTERMEDIATE:
        site = first_day(site, name, above[name])
    np.testing.assert_allclose(model.initial(site), 1.0, rtol=1e-5)


def test_the_gradient_is_finite(model, weights, site):
    total = lambda weights: sum(map(jnp.sum, model.predict(weights, site).values()))
    for leaf in jax.tree.leaves(jax.jit(jax.grad(total))(weights)):
        assert np.all(np.isfinite(leaf))


def test_a_plain_network_reads_no_initial_value(model, site):
    plain = replace(model, intermediate=())
    weights = plain.init(jax.random.key(0))
    before = predict(plain, weights, site)
    after = predict(plain, weights, first_day(site, "nitrate", 99.0))
    assert set(before) == {EMISSION}
    np.testing.assert_array_equal(before[EMISSION], after[EMISSION])


def test_an_output_without_observations_is_named(model):
    known = tuple(scale for scale in model.scaling.targets if scale.name != "ammonium")
    blind = replace(model, scaling=Scaling(inputs=model.scaling.inputs, targets=known))
    with pytest.raises(ValueError, match="ammonium has no scale"):
        blind.init(jax.random.key(0))


def test_an_unknown_input_is_named(model, site):
    inputs = (Scale("rainfall", 0.0, 1.0), *model.scaling.inputs[1:])
    other = replace(model, scaling=replace(model.scaling, inputs=inputs))
    with pytest.raises(ValueError, match="'rainfall' is no input"):
        other.predict(model.init(jax.random.key(0)), site)
