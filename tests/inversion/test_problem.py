import dataclasses

import inversion_toys
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from kgml_jax.inversion.problem import (
    PRIOR_SD,
    UPDATE_SD,
    Problem,
    Stream,
    default_prior_sd,
    observed,
)
from kgml_jax.models.process import ProcessModel
from kgml_jax.process.parameters import DEFAULT_SUBSET

PROBLEM = inversion_toys.problem()


@pytest.fixture(scope="module")
def site():
    return toys.sites(count=1, years=1).one("IA-00")


@pytest.fixture
def weights(key):
    return PROBLEM.model.init(key)


def test_residuals_are_standardised_misfits_of_each_stream_and_then_of_the_prior(site, weights):
    problem = dataclasses.replace(PROBLEM, streams=(Stream("NEE", inflation=2.0), Stream("Reco")))
    offsets = jnp.array([0.1, -0.2, 0.3])
    found = problem.residuals(weights, problem.start(), offsets, site)
    fluxes = problem.predict(weights, offsets, site)
    expected = [
        np.where(site.mask[name], fluxes[name] - site.targets[name], 0) / (factor * 0.3)
        for name, factor in (("NEE", 2.0), ("Reco", 1.0))
    ]
    np.testing.assert_allclose(found, np.concatenate([*expected, offsets / 0.5]), rtol=1e-5)


def test_the_prior_counts_from_the_base_and_the_model_from_both(site, weights):
    base, offsets = jnp.array([0.2, 0.0, -0.1]), jnp.array([0.1, 0.3, 0.0])
    shifted = PROBLEM.residuals(weights, base, offsets, site)
    whole = PROBLEM.residuals(weights, PROBLEM.start(), base + offsets, site)
    np.testing.assert_array_equal(shifted[:-3], whole[:-3])
    np.testing.assert_allclose(shifted[-3:], offsets / 0.5, rtol=1e-6)


def test_offsets_are_added_to_what_the_weights_hold_and_to_nothing_else(weights):
    start = {"process": {**weights["process"], "albedo": jnp.asarray(0.4)}, "network": {"w": 1.0}}
    moved = PROBLEM.weights(start, jnp.array([0.1, 0.2, 0.3]))
    assert float(moved["process"]["albedo"]) == pytest.approx(0.5)
    assert float(moved["process"]["curve_number"]) == pytest.approx(0.3)
    assert float(moved["process"]["degree_day_factor"]) == 0.0
    assert moved["network"] == start["network"]
    assert float(start["process"]["albedo"]) == pytest.approx(0.4)


@dataclasses.dataclass(frozen=True)
class Singular(inversion_toys.SlopeModel):
    """Predicts no number wherever nothing is observed."""

    def predict(self, weights, site, key=None):
        fluxes = super().predict(weights, site, key)
        return {name: v / jnp.where(site.mask[name], 1.0, 0.0) for name, v in fluxes.items()}


def test_what_is_predicted_in_a_gap_reaches_neither_residuals_nor_jacobian(site, weights):
    gaps = inversion_toys.changed(
        site,
        targets={name: np.where(site.mask[name], v, np.nan) for name, v in site.targets.items()},
    )
    residuals = lambda model, site: (
        lambda z: dataclasses.replace(PROBLEM, model=model).residuals(
            weights, PROBLEM.start(), z, site
        )
    )
    at = jnp.array([0.1, -0.2, 0.3])
    sound = residuals(PROBLEM.model, site)
    with_gaps = residuals(Singular(), gaps)
    np.testing.assert_allclose(with_gaps(at), sound(at), rtol=1e-6)
    np.testing.assert_allclose(jax.jacfwd(with_gaps)(at), jax.jacfwd(sound)(at), rtol=1e-6)


def test_only_observed_days_of_a_role_count(site):
    days = np.arange(365) < 100
    seen = observed(site, jnp.asarray(days))
    assert int(PROBLEM.observations(seen)) == sum(
        int((site.mask[name] & days).sum()) for name in ("NEE", "Reco")
    )


def test_a_stream_that_a_site_does_not_have_is_left_out(site, weights):
    problem = dataclasses.replace(PROBLEM, streams=(Stream("NEE"), Stream("N2O")))
    assert problem.residuals(weights, problem.start(), problem.start(), site).shape == (365 + 3,)
    with pytest.raises(KeyError, match="the model does not predict NEE; it predicts Reco"):
        problem.misfits({"Reco": jnp.zeros(365)}, site)
    none = dataclasses.replace(PROBLEM, streams=(Stream("N2O"),))
    with pytest.raises(KeyError, match="no target N2O; they have"):
        none.residuals(weights, none.start(), none.start(), site)


def test_the_default_prior_is_as_wide_for_every_parameter():
    assert default_prior_sd(DEFAULT_SUBSET) == (PRIOR_SD,) * 18
    with pytest.raises(ValueError, match="no parameter albeedo"):
        default_prior_sd(["albeedo"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ("albedo", "growth", "curve_number")}, "no parameter growth; there are vcmax"),
        ({"names": ("albedo", "albedo", "curve_number")}, "each once"),
        ({"names": ()}, "one or more"),
        ({"names": ("litter@2001-05-01",)}, "one or more"),
        ({"names": ("albedo", "litter@2001-05-01", "curve_number")}, "updates after all"),
        ({"names": ("albedo", "curve_number", "colour@2001-05-01")}, "no pool 'colour'"),
        ({"prior_sd": (0.5,)}, "1 prior standard deviations; expected 3"),
        ({"prior_sd": (0.5, 0.0, 0.5)}, "expected all above 0"),
        ({"streams": ()}, "one or more"),
        ({"streams": (Stream("NEE"), Stream("NEE"))}, "each once"),
    ],
)
def test_a_problem_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PROBLEM, **changes)


def test_a_stream_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="no variable 'nee'; there are GPP"):
        Stream("nee")
    with pytest.raises(ValueError, match="inflation of NEE is 0"):
        Stream("NEE", inflation=0)


def test_weights_without_the_parameter_are_refused(weights):
    with pytest.raises(KeyError, match="no parameter or update albedo"):
        PROBLEM.weights({"process": {"growth_rate": 0.0, "curve_number": 0.0}}, PROBLEM.start())


def test_updates_are_estimated_beside_parameters():
    names = ("albedo", "litter@2001-05-01")
    assert default_prior_sd(names) == (PRIOR_SD, UPDATE_SD)
    problem = dataclasses.replace(PROBLEM, names=names, prior_sd=default_prior_sd(names))
    assert problem.parameters == ("albedo",)
    assert problem.quantities["albedo"].bounds is not None
    assert problem.quantities["litter@2001-05-01"].bounds is None
    moved = problem.weights({"process": dict.fromkeys(names, 0.0)}, jnp.array([0.1, 0.2]))
    assert float(moved["process"]["litter@2001-05-01"]) == pytest.approx(0.2)


def test_a_problem_is_a_value(key):
    make = lambda: Problem(
        ProcessModel(), DEFAULT_SUBSET, default_prior_sd(DEFAULT_SUBSET), (Stream("NEE"),)
    )
    assert make() == make()
    assert hash(make()) == hash(make())
