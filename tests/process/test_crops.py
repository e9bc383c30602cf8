import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.process import crops


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
    for traits in crops.TABLE:
        assert set(traits) == names
        assert traits["root_fraction"] * 1.3 < 1.0
        assert 0.0 < traits["vegetative_yield"] < 1.0
        assert 0.0 < traits["harvest_efficiency"] <= 1.0
