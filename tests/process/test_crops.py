import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import assert_vmap_equals_loop

from kgml_jax.process import crop_table, crops

POUNDS = 0.45359237 / 0.40468564e-3  # Mg ha-1 in 1e6 pounds per acre


@pytest.mark.parametrize("row", range(len(crops.TABLE)))
def test_lookup_returns_every_trait_of_its_row(row):
    found = jax.jit(crops.lookup)(jnp.asarray(row))
    for field in dataclasses.fields(crops.Crop):
        expected = crops.TABLE[row][field.name]
        np.testing.assert_allclose(getattr(found, field.name), expected, rtol=1e-6)  # float32


def test_unknown_crop_reads_the_first_row():
    found, first = crops.lookup(jnp.asarray(-1)), crops.lookup(jnp.asarray(0))
    jax.tree.map(np.testing.assert_array_equal, found, first)


def test_rows_have_the_same_traits_within_physical_bounds():
    names = {field.name for field in dataclasses.fields(crops.Crop)}
    shares = ("c4", "nitrogen_fixation", "photoperiod_sensitivity", "litter_lignin")
    shares += ("vegetative_yield", "grain_yield", "harvest_efficiency", "market_moisture")
    shares += ("shoot_harvested", "perennial")
    for traits in crops.TABLE:
        assert set(traits) == names
        assert traits["root_fraction"] * 1.3 < 1.0
        assert all(0.0 <= traits[name] <= 1.0 for name in shares)
        assert traits["stem_nitrogen"] < traits["leaf_nitrogen"]


def test_only_legumes_fix_nitrogen_and_what_winters_stands_hard_frost():
    having = lambda trait, least: {n for n, row in crop_table.ROWS.items() if row[trait] > least}
    assert having("nitrogen_fixation", 0.0) == {"soybean", "alfalfa", "temperate grass"}
    tender = having("frost_temperature", -10.0)
    hardy = {"winter wheat", "winter barley", "rapeseed", "alfalfa", "temperate grass"}
    assert set(crops.NAMES) - tender == hardy


def test_existing_rows_keep_their_numbers():
    assert crops.NAMES[:3] == ("corn", "soybean", "winter wheat")


@pytest.mark.parametrize(
    ("row", "pounds", "carbon"),
    # Bushels per acre of Champaign County, 1992-2011, and the grain carbon they stand for; wheat of
    # Oklahoma, 35 bushels of 60 pounds.
    [(0, 160.2 * 56.0, 382.4), (1, 49.8 * 60.0, 154.4), (2, 35.0 * 60.0, 91.6)],
)
def test_market_yield_is_that_of_the_grain_trade(row, pounds, carbon):
    found = crops.market_yield(crops.lookup(jnp.asarray(row)), carbon)
    np.testing.assert_allclose(found, 1e-6 * pounds * POUNDS, rtol=1e-3)


def test_market_yield_is_linear_in_carbon():
    crop = crops.lookup(jnp.asarray(0))
    slope = jax.grad(lambda carbon: crops.market_yield(crop, carbon))
    np.testing.assert_allclose(slope(0.0), 0.01 / (0.45 * 0.845), rtol=1e-6)
    np.testing.assert_allclose(slope(500.0), slope(0.0))


def test_vmapped_lookup_equals_looped():
    assert_vmap_equals_loop(crops.lookup, [(jnp.asarray(row),) for row in (-1, 0, 1, 2)])
