import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

from kgml_jax.objectives.compose import Term, Total
from kgml_jax.objectives.errors import MaskedError
from kgml_jax.objectives.knowledge import MassBalance, NonNegativity


@pytest.fixture
def site():
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), toys.sites(count=1, years=1).site)


def fluxes(site, **given):
    zeros = jnp.zeros_like(site.forcing.day_of_year)
    return {"GPP": zeros, "Ra": zeros, "Rh": zeros, "Reco": zeros, "NEE": zeros} | given


def test_the_error_is_the_mean_over_observed_days_only(site):
    error = MaskedError(scales=(("NEE", 2.0),))
    seen = np.asarray(site.mask["NEE"])
    expected = np.mean((np.asarray(site.targets["NEE"])[seen] / 2.0) ** 2)
    np.testing.assert_allclose(error(fluxes(site), site), expected, rtol=1e-5)  # float32 sum
    assert seen.sum() < seen.size


def test_what_lies_under_the_mask_reaches_neither_error_nor_gradient(site):
    error = MaskedError(scales=(("NEE", 2.0),))
    hidden = jnp.where(site.mask["NEE"], site.targets["NEE"], jnp.nan)
    poisoned = site.replace(targets={**site.targets, "NEE": hidden})
    value = lambda nee, data: error(fluxes(data, NEE=nee), data)
    start = jnp.zeros_like(hidden)
    for data in (site, poisoned):
        assert np.isfinite(jax.grad(value)(start, data)).all()
    assert value(start, poisoned) == value(start, site)


def test_an_unobserved_target_adds_nothing(site):
    error = MaskedError(scales=(("NEE", 2.0), ("Rh", 1.0)))
    blind = site.replace(mask={n: jnp.zeros_like(m) for n, m in site.mask.items()})
    assert error(fluxes(blind), blind) == 0
    assert error(fluxes(site), site) == MaskedError(scales=(("NEE", 2.0),))(fluxes(site), site)


def test_weights_of_targets_and_days_count(site):
    plain = MaskedError(scales=(("NEE", 2.0),))
    double = MaskedError(scales=(("NEE", 2.0),), weights=(("NEE", 2.0),))
    np.testing.assert_allclose(double(fluxes(site), site), 2 * plain(fluxes(site), site))
    sure = jnp.arange(site.valid.size) < 100
    sigma = jnp.where(sure, 1e-3, 1e3)
    weighted = MaskedError(scales=(("NEE", 2.0),), inverse_variance=True)
    precise = weighted(fluxes(site), site.replace(uncertainty={"NEE": sigma}))
    seen = np.asarray(site.mask["NEE"]) & np.asarray(sure)
    expected = np.mean((np.asarray(site.targets["NEE"])[seen] / 2.0) ** 2)
    np.testing.assert_allclose(precise, expected, rtol=1e-4)  # float32, weights 1e6 apart


def test_balanced_carbon_costs_nothing_and_a_leak_costs_its_size(site):
    balance = MassBalance(tolerance=0.01)
    ones = jnp.ones_like(site.forcing.day_of_year)
    whole = fluxes(site, GPP=3 * ones, Ra=ones, Rh=ones, NEE=-ones)
    assert balance(whole, site) == 0
    leak = fluxes(site, GPP=3 * ones, Ra=ones, Rh=ones, NEE=-0.5 * ones)
    np.testing.assert_allclose(balance(leak, site), 0.5 - 0.02, rtol=1e-5)  # tolerance 1 % of 2
    slope = jax.grad(lambda nee: balance({**leak, "NEE": nee}, site))(leak["NEE"])
    assert (slope > 0).all()


def test_negative_respiration_is_penalised_towards_zero(site):
    rule = NonNegativity()
    ones = jnp.ones_like(site.forcing.day_of_year)
    assert rule(fluxes(site, Ra=ones), site) == 0
    wrong = fluxes(site, Ra=-0.5 * ones)
    np.testing.assert_allclose(rule(wrong, site), 0.5, rtol=1e-5)  # float32 mean
    assert (jax.grad(lambda ra: rule({**wrong, "Ra": ra}, site))(wrong["Ra"]) < 0).all()


def test_padding_days_do_not_count(site):
    ones = jnp.ones_like(site.forcing.day_of_year)
    half = site.replace(valid=jnp.arange(ones.size) < 100)
    late = jnp.where(half.valid, 0.0, -1.0)
    assert NonNegativity()(fluxes(site, Ra=late), half) == 0


def test_a_total_is_the_weighted_sum_of_its_terms(site):
    wrong = fluxes(site, Ra=-jnp.ones_like(site.forcing.day_of_year))
    total = Total(
        terms=(Term("error", MaskedError(scales=(("NEE", 2.0),))), Term("sign", NonNegativity(), 3))
    )
    loss, terms = total(wrong, site)
    assert set(terms) == {"error", "sign"}
    np.testing.assert_allclose(loss, terms["error"] + 3 * terms["sign"], rtol=1e-6)
