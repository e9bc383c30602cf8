"""Functions of one site, called for all sites."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.mapping import over_shares, over_sites

TRACED = []
OWN = (np.arange(3.0, dtype=np.float32), {"daily": np.ones((3, 4), np.float32)})


@dataclass(frozen=True)
class Line:
    slope: float


def along(line, weights, start, series):
    TRACED.append(line)
    return {"sum": line.slope * start + weights["bias"] + jnp.sum(series["daily"])}


def shared():
    return ({"bias": jnp.asarray(0.5)},)


@pytest.mark.parametrize("site_batch", [1, 2, 3])
def test_sites_that_the_devices_do_not_divide_come_back_as_they_are(site_batch):
    assert len(jax.local_devices()) == 2
    found = over_sites(along, OWN, static=(Line(2.0),), shared=shared(), site_batch=site_batch)
    assert isinstance(found["sum"], np.ndarray)
    np.testing.assert_array_equal(found["sum"], [4.5, 6.5, 8.5])


def test_an_equal_call_is_not_compiled_again():
    for line in (Line(3.0), Line(3.0)):
        before = len(TRACED)
        over_sites(along, OWN, static=(line,), shared=shared())
    assert len(TRACED) == before
    over_sites(along, OWN, static=(Line(4.0),), shared=shared())
    assert len(TRACED) > before


def test_a_device_gets_an_equal_share_of_the_sites():
    size = lambda values: jnp.full(values.shape, values.shape[0])
    # Three sites and one that pads them.
    np.testing.assert_array_equal(over_shares(size, OWN[:1]), [2, 2, 2])
