"""Traits of a crop hold on the days of that crop, and nothing else changes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.models.control import by_crop, constrained, offsets_of
from kgml_jax.models.process import ProcessModel
from kgml_jax.process.crops import NAMES
from kgml_jax.process.parameters import CROP_TRAITS, DEFAULT_SUBSET, Params, parameter
from kgml_jax.records import quantities

CORN, SOYBEAN = NAMES.index("corn"), NAMES.index("soybean")


def weights_of(**offsets):
    held = ProcessModel().init(jax.random.key(0))["process"]
    return {"process": {**held, **{name: jnp.asarray(value) for name, value in offsets.items()}}}


def days_of(weights, crop):
    """vcmax_multiplier of every day."""
    return np.asarray(by_crop(weights, jnp.asarray(crop)).inputs["vcmax_multiplier"])


def test_of_the_default_subset_eight_are_traits_and_ten_the_soils():
    assert sum(name in CROP_TRAITS for name in DEFAULT_SUBSET) == 8
    assert parameter("albedo").level == "site"
    assert {one.level for one in quantities(Params).values()} == {"crop", "site"}


def test_a_trait_of_a_crop_holds_while_it_stands():
    weights = weights_of(**{"vcmax_multiplier:corn": 0.5, "vcmax_multiplier": 0.2})
    multiplier = days_of(weights, [CORN, CORN, SOYBEAN, -1])
    of_all = float(constrained(offsets_of(weights), {}).vcmax_multiplier)
    both = float(
        constrained(
            {**offsets_of(weights), "vcmax_multiplier": jnp.asarray(0.7)}, {}
        ).vcmax_multiplier
    )
    np.testing.assert_allclose(multiplier, [both, both, of_all, of_all], rtol=1e-6)
    assert both > of_all > 1


def test_traits_of_zero_give_the_parameters_of_all_crops():
    weights = weights_of(**{"vcmax_multiplier:corn": 0.0})
    np.testing.assert_array_equal(days_of(weights, [CORN, SOYBEAN, -1]), np.float32(1.0))
    # Without any nothing is gathered at all.
    assert by_crop(weights_of(), jnp.asarray([CORN])).inputs == ()


@pytest.mark.parametrize("crop", [CORN, SOYBEAN])
def test_a_trait_has_a_derivative_at_the_sites_that_grow_the_crop_alone(crop):
    def mean(offset):
        weights = weights_of()
        weights["process"]["vcmax_multiplier:corn"] = offset
        controller = by_crop(weights, jnp.asarray([crop, crop]))
        return jnp.mean(controller.inputs["vcmax_multiplier"])

    assert (float(jax.grad(mean)(0.1)) > 0) == (crop == CORN)
