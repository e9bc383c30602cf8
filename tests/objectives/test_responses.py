import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from programs import compiled

from kgml_jax.objectives.compose import BehaviourTerm, Term, Total
from kgml_jax.objectives.knowledge import (
    MonotoneResponse,
    PreservedResponse,
    WinterRespiration,
    YieldRange,
    correlation,
)
from kgml_jax.objectives.pacing import SelfPaced
from kgml_jax.objectives.responses import Probe, changed, curve

CARBON = Probe("soil_organic_carbon", "set", (5.0, 20.0, 40.0))
WARMTH = Probe("air_temperature_mean", "add", (-5.0, 0.0, 5.0))


@pytest.fixture
def site():
    return jax.tree.map(lambda leaf: np.asarray(leaf[0]), toys.sites(count=1, years=2).site)


def linear(slope):
    """A model whose Rh is linear in soil carbon and whose Ra is linear in temperature."""

    def predict(site):
        temperature = site.forcing.air_temperature_mean
        rh = slope * site.attributes.soil_organic_carbon + 0.0 * temperature
        return {"Rh": rh, "Ra": slope * temperature}

    return predict


def test_a_probe_changes_one_input_and_nothing_else(site):
    warmer = changed(site, WARMTH, 5.0)
    np.testing.assert_allclose(
        warmer.forcing.air_temperature_mean, site.forcing.air_temperature_mean + 5.0
    )
    before, after = vars(site.forcing).copy(), vars(warmer.forcing).copy()
    del before["air_temperature_mean"], after["air_temperature_mean"]
    jax.tree.map(np.testing.assert_array_equal, after, before)
    doubled = changed(site, Probe("shortwave_radiation", "scale", (1.0, 2.0)), 2.0)
    expected = 2.0 * site.forcing.shortwave_radiation
    np.testing.assert_array_equal(doubled.forcing.shortwave_radiation, expected)
    other = changed(site, Probe("year", "set", (2001.0, 2018.0)), 2018.0)
    assert np.all(other.calendar.year == 2018.0)
    np.testing.assert_array_equal(other.calendar.year_index, site.calendar.year_index)


def test_a_curve_is_the_mean_over_valid_days(site):
    found = compiled(lambda site: curve(linear(0.1), site, CARBON, "Rh"))(site)
    np.testing.assert_allclose(found, 0.1 * np.asarray(CARBON.values), rtol=1e-6)
    half = dataclasses.replace(site, valid=site.forcing.day_of_year < 180)
    expected = np.mean(np.asarray(site.forcing.air_temperature_mean)[np.asarray(half.valid)])
    np.testing.assert_allclose(
        compiled(lambda site: curve(linear(1.0), site, WARMTH, "Ra"))(half),
        expected + np.array(WARMTH.values),
        rtol=1e-5,
    )


@pytest.mark.parametrize("values", [(1.0,), (2.0, 1.0)])
def test_a_probe_needs_rising_values(values):
    with pytest.raises(ValueError, match="rising"):
        Probe("ph", "set", values)


def test_a_response_in_the_wrong_direction_is_penalised_and_pushed_back(site):
    demand = MonotoneResponse(CARBON, "Rh")
    value = lambda slope: demand(linear(slope), linear(slope), site)
    value, slope = compiled(value), compiled(jax.grad(value))
    assert value(0.1) == 0.0
    np.testing.assert_allclose(value(-0.1), 0.1 * 35.0, rtol=1e-5)
    assert slope(-0.1) < 0 == slope(0.1)
    falling = MonotoneResponse(CARBON, "Rh", sign=-1.0)
    started = compiled(lambda slope: falling(linear(slope), linear(slope), site))
    unstarted = compiled(lambda slope: falling(linear(slope), None, site))
    assert started(0.1) > 0 == unstarted(-0.1)


def test_a_response_that_turned_round_is_penalised_and_one_that_was_kept_is_not(site):
    demand = PreservedResponse((WARMTH, CARBON), least=0.8)
    value = lambda slope: demand(linear(slope), linear(1.0), site)
    value, slope = compiled(value), compiled(jax.grad(value))
    assert value(0.3) == 0.0
    # Of two inputs and two fluxes, two responses turned and two are flat in the start.
    np.testing.assert_allclose(value(-0.3), 0.5 * 1.8, rtol=1e-3)

    def bent(amount):
        def predict(site):
            temperature = site.forcing.air_temperature_mean
            return {"Ra": temperature - amount * temperature**2, "Rh": 0.0 * temperature}

        return predict

    value = lambda amount: PreservedResponse((WARMTH,), least=0.9)(bent(amount), linear(1.0), site)
    value, slope = compiled(value), compiled(jax.grad(value))
    assert value(0.0) == 0.0
    assert value(0.08) > 0.0
    assert slope(0.08) > 0.0


def test_correlation_is_that_of_numpy_and_one_for_a_flat_start():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 3, 7))
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(compiled(correlation)(first, second), expected, rtol=1e-4)
    assert compiled(correlation)(np.ones(5), np.arange(5.0)) == 1.0
    gradient = compiled(jax.grad(correlation, argnums=1))(np.arange(5.0), np.zeros(5))
    assert np.isfinite(gradient).all()


def test_a_yield_outside_its_range_is_penalised_with_the_sign_that_leads_back(site):
    gpp = np.full_like(site.forcing.day_of_year, 2.0)
    value = lambda harvest: YieldRange()({"GPP": gpp, "yield": jnp.full_like(gpp, harvest)}, site)
    value, slope = compiled(value), compiled(jax.grad(value))
    assert value(300.0) == 0.0
    np.testing.assert_allclose(value(400.0), 400.0 - 365.0, rtol=1e-5)
    np.testing.assert_allclose(value(-10.0), 10.0, rtol=1e-5)
    assert slope(400.0) > 0.0 > slope(-10.0)


def test_the_yield_of_a_stack_of_windows_is_held_to_the_gpp_of_each(site):
    gpp = np.full_like(site.forcing.day_of_year, 2.0)
    fluxes = {"GPP": np.stack([gpp, 3.0 * gpp]), "yield": np.full((2, gpp.size), 400.0)}
    twice = jax.tree.map(lambda leaf: np.stack([leaf, leaf]), site)
    np.testing.assert_allclose(compiled(YieldRange())(fluxes, twice), 0.5 * 35.0, rtol=1e-5)


def test_a_part_of_a_year_says_nothing_of_its_yield(site):
    part = jax.tree.map(lambda leaf: leaf[:200] if leaf.ndim else leaf, site)
    gpp = np.zeros(200)
    assert compiled(YieldRange())({"GPP": gpp, "yield": gpp + 500.0}, part) == 0.0


def test_winter_respiration_is_compared_on_observed_winter_days_without_a_crop(site):
    day = np.asarray(site.calendar.day_of_year)
    counts = np.asarray(site.mask["Reco"]) & ((day < 105) | (day > 300))
    counts &= np.asarray(site.forcing.occupied) == 0
    rule = WinterRespiration(sd=2.0)
    value = lambda shift: rule({"Rh": site.targets["Reco"] + shift}, site)
    value, slope = compiled(value), compiled(jax.grad(value))
    assert 0 < counts.sum() < site.mask["Reco"].sum()
    assert value(0.0) == 0.0
    np.testing.assert_allclose(value(1.0), 0.25, rtol=1e-5)
    assert slope(1.0) > 0.0 > slope(-1.0)
    sown = dataclasses.replace(
        site, forcing=dataclasses.replace(site.forcing, occupied=np.ones_like(day))
    )
    assert compiled(rule)({"Rh": site.targets["Reco"] + 1.0}, sown) == 0.0


def test_winter_respiration_of_windows_knows_the_hemisphere_of_each(site):
    southern = dataclasses.replace(
        site, attributes=dataclasses.replace(site.attributes, latitude=np.float32(-35.0))
    )
    windows = jax.tree.map(lambda *leaves: np.stack(leaves), site, southern, site)
    rule = compiled(WinterRespiration(sd=2.0))
    off = {"Rh": windows.targets["Reco"] + np.float32([1.0, 3.0, 1.0])[:, None]}
    winters = []
    for one in (site, southern, site):
        day = np.asarray(one.calendar.day_of_year)
        day = day if one is site else np.where(day > 182, day - 182, day + 184)
        free = np.asarray(one.forcing.occupied) == 0
        winters.append(((day < 105) | (day > 300)) & free & np.asarray(one.mask["Reco"]))
    expected = sum(w.sum() * e**2 / 4 for w, e in zip(winters, (1.0, 3.0, 1.0), strict=True))
    expected /= sum(w.sum() for w in winters)
    np.testing.assert_allclose(rule(off, windows), expected, rtol=1e-5)


def test_hard_samples_count_later():
    pacing = SelfPaced(threshold=1.0, growth=2.0)
    losses = jnp.array([0.5, 1.5, 3.0])
    counted = [pacing.weights(losses, epoch).tolist() for epoch in range(3)]
    assert counted == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    with pytest.raises(ValueError, match="growth"):
        SelfPaced(growth=0.5)


def test_behaviours_enter_the_loss_only_where_the_model_is_given(site):
    total = Total(
        (Term("level", lambda fluxes, site: jnp.mean(fluxes["Ra"]) ** 2),),
        (BehaviourTerm("rises", MonotoneResponse(CARBON, "Rh"), weight=2.0),),
    )
    fluxes = linear(-0.1)(site)
    without, terms = total(fluxes, site)
    assert set(terms) == {"level"}
    loss, terms = total(fluxes, site, linear(-0.1))
    np.testing.assert_allclose(loss, without + 2.0 * terms["rises"], rtol=1e-6)
    assert terms["rises"] > 0
