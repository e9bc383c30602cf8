import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.evaluation import responses
from kgml_jax.models.features import Scale, Scaling
from kgml_jax.objectives.responses import curve

SCALING = Scaling(
    inputs=(Scale("shortwave_radiation", 15.0, 7.0), Scale("sand", 0.3, 0.1)), targets=()
)


@jax.jit
def predict(site):
    light = site.forcing.shortwave_radiation
    place = site.attributes.sand[:, None]
    return {"Ra": light**2 + place, "Rh": jnp.sin(5 * place) * jnp.ones_like(light)}


def test_only_what_the_model_reads_is_probed():
    assert [probe.name for probe in responses.probes(SCALING)] == ["shortwave_radiation", "sand"]


def test_a_given_gpp_is_probed_like_the_weather():
    scaling = Scaling(inputs=(Scale("prescribed_gpp", 3.0, 5.0),), targets=())
    (probe,) = responses.probes(scaling)
    assert (probe.name, responses.bound(probe)) == ("prescribed_gpp", 0.8)


def test_an_attribute_that_never_varied_is_not_probed():
    scaling = Scaling(inputs=(Scale("sand", 0.4, 1.0), Scale("ph", 6.5, 0.4)), targets=())
    assert [probe.name for probe in responses.probes(scaling)] == ["ph"]


def test_the_bounds_are_those_of_kgml_ag():
    assert [responses.bound(probe) for probe in responses.probes(SCALING)] == [0.8, 0.9]


def test_curves_are_those_of_the_objective(sites):
    chosen = responses.probes(SCALING)
    found = responses.curves(predict, sites.site, chosen)
    for row, probe in enumerate(chosen):
        for column, flux in enumerate(responses.PROBED_FLUXES):
            expected = np.asarray(curve(predict, sites.site, probe, flux)).mean(axis=0)
            # float32 sums over some hundred days
            np.testing.assert_allclose(found[row, column], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("after", "expected"),
    [([2.0, 4.0, 6.0], 1.0), ([3.0, 2.0, 1.0], -1.0), ([1.0, 1.0, 1.0], 0.0)],
)
def test_correlation_of_responses(after, expected):
    before = np.array([1.0, 2.0, 3.0])
    assert responses.correlations(before, np.array(after)) == pytest.approx(expected)


def test_two_flat_responses_agree():
    assert responses.correlations(np.ones(3), np.zeros(3)) == 1.0
