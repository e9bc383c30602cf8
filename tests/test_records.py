import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kgml_jax
from kgml_jax.bijections import constrain, constrain_offsets, unconstrain
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.records import CANONICAL_UNITS, Quantity, param, quantities, record, var


@record
class Decay:
    rate: jax.Array = param(0.02, units="d-1", bounds=(1e-3, 0.5), doc="Rate.", transform="log")
    share: jax.Array = param(0.3, units="1", bounds=(0.1, 0.9), doc="Share.")


def every_record():
    for found in pkgutil.walk_packages(kgml_jax.__path__, "kgml_jax."):
        module = importlib.import_module(found.name)
        for _, cls in inspect.getmembers(module, inspect.isclass):
            if cls.__module__ == found.name and hasattr(cls, "__dataclass_fields__"):
                yield cls


def declared():
    return [(c, n, q) for c in every_record() for n, q in quantities(c).items()]


def test_every_field_has_known_units_and_says_what_it_means():
    fields = declared()
    assert len(fields) > 50
    for cls, name, quantity in fields:
        assert quantity.units in CANONICAL_UNITS, (cls, name)
        assert len(quantity.doc) > 3, (cls, name)


def test_every_prior_lies_strictly_inside_its_bounds():
    for cls, name, quantity in declared():
        if quantity.bounds and quantity.default is not None:
            lower, upper = quantity.bounds
            assert lower < quantity.default < upper, (cls, name)


def test_an_unknown_unit_is_refused():
    with pytest.raises(ValueError, match="furlong"):
        var(units="furlong", doc="Length.")


def test_a_record_is_a_frozen_pytree_with_named_strongly_typed_leaves():
    attributes = Attributes()
    paths = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(attributes)]
    assert ".latitude" in paths
    assert not attributes.latitude.weak_type
    with pytest.raises(AttributeError):
        attributes.latitude = jnp.zeros(())


def test_one_record_class_serves_one_day_and_many_sites():
    stacked = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 1]), Attributes())
    doubled = jax.vmap(lambda a: a.replace(ph=a.ph * 2))(stacked)
    np.testing.assert_allclose(doubled.ph, [12.48, 14.48], rtol=1e-6)  # float32
    assert set(quantities(Forcing)) == set(Forcing.__dataclass_fields__)


@pytest.mark.parametrize("quantity", quantities(Decay).values(), ids=quantities(Decay))
@pytest.mark.parametrize("z", [-5.0, -0.3, 0.0, 2.0, 6.0])
def test_bijections_invert(x64, quantity, z):
    value = constrain(jnp.asarray(z), quantity)
    assert quantity.bounds[0] < value < quantity.bounds[1]
    np.testing.assert_allclose(unconstrain(value, quantity), z, atol=1e-9)  # float64 logit


def test_bijections_are_increasing_with_finite_gradient_far_out():
    for quantity in quantities(Decay).values():
        slope = jax.vmap(jax.grad(lambda z, q=quantity: constrain(z, q)))(jnp.linspace(-8, 8, 9))
        assert (slope > 0).all()
        assert np.isfinite(jax.grad(lambda z, q=quantity: constrain(z, q))(jnp.asarray(80.0)))


def test_a_log_parameter_moves_by_ratios():
    quantity = Quantity("d-1", "Rate.", (0.01, 1.0), 0.1, "log")
    np.testing.assert_allclose(constrain(jnp.zeros(()), quantity), 0.1, rtol=1e-6)  # geometric mean


def test_zero_offsets_give_the_prior():
    values = constrain_offsets(Decay, {"rate": jnp.zeros(()), "share": jnp.zeros(3)})
    np.testing.assert_allclose(values.rate, 0.02, rtol=1e-5)  # float32 through exp and log
    np.testing.assert_allclose(values.share, [0.3] * 3, rtol=1e-6)


def test_an_offset_for_an_unknown_parameter_fails():
    with pytest.raises(KeyError, match="no parameter speed"):
        constrain_offsets(Decay, {"speed": jnp.zeros(())})
