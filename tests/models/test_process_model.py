import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgml_jax.data.assemble import assemble
from kgml_jax.data.synthetic import SyntheticConfig, generate, per_site
from kgml_jax.data.synthetic.world import OUTPUTS
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import model_from_json, model_to_json
from kgml_jax.models.simulation import priors, simulate_batches, simulate_sites
from kgml_jax.process import ecosystem
from kgml_jax.records import quantities
from kgml_jax.sites import VARIABLES

CONFIG = SyntheticConfig(sites=3, years=2, spin_up_years=0)
TOLERANCE = 5e-3
"""g C m-2 d-1, mm d-1: single precision, two years of feedbacks and another order of sums."""

# Three sites in batches of two: the second batch is filled up.
simulate = functools.partial(simulate_sites, site_batch=2)
predict = jax.jit(ProcessModel().predict)


@pytest.fixture(scope="module")
def world():
    return generate(CONFIG, simulate)


@pytest.fixture(scope="module")
def sites(world):
    return assemble(per_site(world))


def on_devices(site):
    return jax.tree.map(jnp.asarray, site)


def first_days(site, days):
    cut = lambda leaf: leaf[:days] if leaf.ndim else leaf
    return jax.tree.map(cut, on_devices(site))


def few_days(sites, count, days=40):
    """Arguments of `simulate_batches` for some sites at their priors."""
    rows = np.arange(count) % len(sites)
    attributes = {name: leaf[rows] for name, leaf in vars(sites.site.attributes).items()}
    forcing = {name: leaf[rows, :days] for name, leaf in vars(sites.site.forcing).items()}
    return priors(count), attributes, forcing


def true_offsets(world, row):
    """Unbounded offsets of the true parameters of a site from their priors."""
    offsets = {}
    for name, quantity in quantities(ecosystem.Params).items():
        ends = np.array([*quantity.bounds, quantity.default, float(world[f"true_{name}"][row])])
        low, high, prior, value = np.log(ends) if quantity.transform == "log" else ends
        odds = lambda inner, low=low, high=high: np.log((inner - low) / (high - inner))
        offsets[name] = jnp.asarray(odds(value) - odds(prior))
    return {"process": offsets}


def test_the_world_has_magnitudes_of_midwestern_fields(world):
    annual = {name: float(world[f"{name}_truth"].sum("time").mean()) / 2 for name in VARIABLES}
    annual["grain"] = float(world["grain_carbon_truth"].sum("time").mean()) / 2
    # Wide brackets about towers and simulations of corn and soybean, g C m-2 and mm a year.
    brackets = {
        "GPP": (800, 1800),
        "Ra": (300, 800),
        "Rh": (250, 800),
        "NEE": (-750, 100),
        "ET": (350, 750),
        "grain": (150, 600),
    }
    for name, (low, high) in brackets.items():
        assert low < annual[name] < high, name


@pytest.mark.slow
def test_the_true_parameters_reproduce_the_true_fluxes_site_by_site(world, sites):
    for row, name in enumerate(world["site"].values):
        fluxes = predict(true_offsets(world, row), on_devices(sites.one(str(name))))
        for variable in VARIABLES:
            truth = world[f"{variable}_truth"].values[row]
            np.testing.assert_allclose(fluxes[variable], truth, atol=TOLERANCE, err_msg=variable)


def test_the_priors_miss_the_truth_so_that_there_is_something_to_find(world, sites, key):
    weights = ProcessModel().init(key)
    gaps = []
    for row, name in enumerate(world["site"].values):
        gpp = np.asarray(predict(weights, on_devices(sites.one(str(name))))["GPP"])
        gaps.append(np.sqrt(np.mean((gpp - world["GPP_truth"].values[row]) ** 2)))
    assert max(gaps) > 0.5


def test_zero_offsets_are_the_prior(sites, key):
    weights = ProcessModel().init(key)
    declared = quantities(ecosystem.Params)
    assert set(weights["process"]) == set(declared)
    # The program that made the world is asked for the same outputs, and compiled once.
    place = priors(3), vars(sites.site.attributes), vars(sites.site.forcing)
    expected = simulate(*place, outputs=tuple(OUTPUTS.values()))
    fluxes = predict(weights, on_devices(sites.one(sites.names[0])))
    for name in VARIABLES:
        np.testing.assert_allclose(fluxes[name], expected[name][0], atol=TOLERANCE)


def test_carbon_balances_and_respiration_is_positive_on_every_day(sites, key):
    fluxes = predict(ProcessModel().init(key), on_devices(sites.one("IL-01")))
    assert set(fluxes) == set(VARIABLES)
    for name in ("GPP", "Ra", "Rh", "Reco"):
        assert (np.asarray(fluxes[name]) >= 0).all()
    # Rounding of terms up to 30 g C m-2 d-1 in single precision.
    balance = fluxes["Ra"] + fluxes["Rh"] - fluxes["GPP"]
    np.testing.assert_allclose(fluxes["NEE"], balance, atol=1e-5)
    np.testing.assert_allclose(fluxes["Reco"], fluxes["Ra"] + fluxes["Rh"], atol=1e-5)


@pytest.mark.slow
def test_most_parameters_have_leverage_and_all_a_finite_gradient(sites, key):
    model, site = ProcessModel(segment=73), first_days(sites.one("IL-01"), 240)

    def mean_flux(weights):
        fluxes = model.predict(weights, site)
        return jnp.mean(fluxes["NEE"]) + 0.1 * jnp.mean(fluxes["ET"])

    gradient = jax.jit(jax.grad(mean_flux))(model.init(key))["process"]
    values = np.array([float(leaf) for leaf in gradient.values()])
    assert np.isfinite(values).all()
    assert (values != 0).mean() > 0.8


@pytest.mark.slow
def test_spin_up_starts_from_a_soil_that_has_seen_the_climate(sites, key):
    spun = ProcessModel(spin_up_cycles=1, spin_up_days=365)
    site, weights = on_devices(sites.one("IL-01")), spun.init(key)
    respired = np.asarray(jax.jit(spun.predict)(weights, site)["Rh"])
    fresh = np.asarray(predict(weights, site)["Rh"])
    assert np.isfinite(respired).all()
    assert np.abs(respired - fresh)[:90].mean() > 0.01
    asked = ("heterotrophic_respiration",)
    [(_, many)] = simulate_batches(*few_days(sites, 1, days=730), asked, 2, spun)
    np.testing.assert_allclose(many[asked[0]][0], respired, atol=TOLERANCE)


def test_prescribed_photosynthesis_is_what_the_forcing_says(sites, key):
    site = first_days(sites.one("IL-01"), 240)
    given = 4.0 * site.forcing.occupied
    forcing = dataclasses.replace(site.forcing, prescribed_gpp=given)
    model = ProcessModel(gpp="prescribed")
    fluxes = jax.jit(model.predict)(model.init(key), dataclasses.replace(site, forcing=forcing))
    np.testing.assert_array_equal(fluxes["GPP"], given)
    assert fluxes["Ra"].max() > 0.5


def test_the_model_is_described_as_json():
    model = ProcessModel(spin_up_cycles=2, segment=73, gpp="prescribed")
    described = model_to_json(model)
    assert model_from_json({"ProcessModel": ProcessModel}, described) == model
    assert dataclasses.replace(model, segment=None) != model


FEW = ("net_ecosystem_exchange", "soil_organic_carbon", "layer_temperature")


@pytest.mark.slow
def test_any_number_of_sites_takes_one_trace_and_gives_the_same_numbers(sites, monkeypatch):
    step, traced = ecosystem.step, []

    def counted(*arguments):
        traced.append(1)
        return step(*arguments)

    monkeypatch.setattr(ecosystem, "step", counted)
    found = {
        count: list(simulate_batches(*few_days(sites, count), FEW, site_batch=4))
        for count in (4, 1, 9)
    }
    assert len(traced) == 1
    assert [rows for rows, _ in found[9]] == [slice(0, 4), slice(4, 8), slice(8, 9)]
    assert [rows for rows, _ in found[1]] == [slice(0, 1)]
    for name in FEW:
        parts = [values[name] for _, values in found[9]]
        # The sites repeat, so the rows of the nine must, whatever batch they fell in.
        whole = np.concatenate(parts)
        np.testing.assert_array_equal(whole, whole[np.arange(9) % len(sites)])
        np.testing.assert_array_equal(found[1][0][1][name], whole[:1])


def test_outputs_are_those_asked_for_with_their_layers(sites):
    [(_, values)] = simulate_batches(*few_days(sites, 3), FEW, site_batch=4)
    assert tuple(values) == FEW
    assert values["soil_organic_carbon"].shape == (3, 40)
    assert values["layer_temperature"].shape == (3, 40, 5)
    # In winter only the soil breathes.
    assert (values["net_ecosystem_exchange"] > 0).all()


def test_an_unknown_output_is_refused_before_anything_is_simulated(sites):
    with pytest.raises(ValueError, match=r"no output biomas; there are gross_primary"):
        simulate_batches(*few_days(sites, 1), ("biomas",))


def test_outputs_stand_beside_the_variables_of_the_synthetic_world(world):
    assert {"soil_water_content_truth", "soil_temperature_truth"} <= set(world)


@pytest.mark.slow
def test_days_that_pad_a_record_do_not_enter_its_spin_up(sites):
    spun, asked = ProcessModel(spin_up_cycles=1, spin_up_days=60), ("soil_water",)
    padded = few_days(sites, 1, days=60)
    # The last of 40 days repeats, as records of unequal length are padded.
    frozen = {
        name: np.concatenate([values[:, :40], np.repeat(values[:, 39:40], 20, axis=1)], axis=1)
        for name, values in padded[2].items()
    }
    [(_, alone)] = simulate_batches(*few_days(sites, 1, days=40), asked, 2, spun)
    [(_, filled)] = simulate_batches(*padded[:2], frozen, asked, 2, spun, np.array([40]))
    np.testing.assert_allclose(filled[asked[0]][:, :40], alone[asked[0]], rtol=1e-5)
    [(_, counted)] = simulate_batches(*padded[:2], frozen, asked, 2, spun)
    assert np.abs(counted[asked[0]] - filled[asked[0]]).max() > 0.1


@pytest.mark.slow
def test_derivatives_go_through_the_spin_up_where_parameters_are_estimated(sites, key):
    site = first_days(sites.one("IL-01"), 120)

    def respired(model, multiplier):
        weights = model.init(key)
        weights["process"]["initial_carbon_multiplier"] = multiplier
        return jnp.sum(model.predict(weights, site)["Rh"])

    constant = ProcessModel(spin_up_cycles=1, spin_up_days=120)
    known = dataclasses.replace(constant, spin_up_differentiated=True)
    slope = lambda model: jax.jit(
        lambda z: jax.jvp(lambda z: respired(model, z), (z,), (jnp.ones(()),))
    )
    at = lambda model, z: [float(part) for part in slope(model)(jnp.asarray(z))]
    assert at(constant, 0.0)[1] == 0
    # Single precision needs a long secant, along which the slope itself changes.
    secant = (at(known, 0.05)[0] - at(known, -0.05)[0]) / 0.1
    assert at(known, 0.0)[1] == pytest.approx(secant, rel=0.02)
