"""Every model that joins networks with the process model: start, budgets, derivatives, length."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import compiled, stacked
from strategies import corn_soy_forcing, random_attributes

from kgml_jax.models import kinds
from kgml_jax.models.closure import STATE_FEATURES, ClosureModel, state_features
from kgml_jax.models.features import DEFAULT_INPUTS, DYNAMIC_INPUTS, fit_scaling
from kgml_jax.models.observables import NAMES, over_the_year
from kgml_jax.models.parameter_learning import ParameterLearningModel
from kgml_jax.models.process import ProcessModel
from kgml_jax.process import ecosystem, soil_water
from kgml_jax.records import quantities
from kgml_jax.sites import Calendar, Site, Sites
from kgml_jax.split import DividedSites

pytestmark = pytest.mark.usefixtures("x64")

DAYS = 400
"""A year with corn, and the winter after it."""

CONSERVING = ("dpl-dynamic", "closure", "residual-conserving")
HYBRIDS = (*CONSERVING, "residual")

ROUNDING = 1e-12
"""g C m-2 d-1; float64: found equal to the bit, but another compiler may order sums otherwise."""


def corn_and_soybean(years, count=3):
    """Sites of random soils and places under a smooth climate, in float64."""
    days = 365 * years
    shape = (count, days)
    number = np.arange(days)
    spread = lambda values: np.broadcast_to(values, shape)
    everything, nothing = spread(np.ones(days)), spread(np.zeros(days))
    return Sites(
        names=tuple(f"IL-{row:02d}" for row in range(count)),
        group_names=("IL",),
        groups=("IL",) * count,
        site=Site(
            forcing=stacked([corn_soy_forcing(years, row % 2) for row in range(count)]),
            attributes=stacked([random_attributes(row) for row in range(count)]),
            targets={"NEE": np.random.default_rng(0).normal(size=shape)},
            mask={"NEE": everything > 0},
            uncertainty={"NEE": everything},
            calendar=Calendar(
                date=spread(number),
                year=spread(2001 + number // 365),
                day_of_year=spread(number % 365 + 1),
                year_index=spread(number // 365),
            ),
            valid=everything > 0,
            identity=np.zeros(count, np.uint32),
            group=nothing.astype(np.int32)[:, 0],
        ),
    )


def standardisation(names):
    return fit_scaling(names, DividedSites.undivided(corn_and_soybean(2)))


def one_site(years, days):
    site = jax.tree.map(np.asarray, corn_and_soybean(years, 1).one("IL-00"))
    return jax.tree.map(lambda leaf: leaf[:days] if leaf.ndim else leaf, site)


@functools.cache
def built(name, **changes):
    return kinds.build(name, standardisation(DEFAULT_INPUTS), **changes)


def in_float64(weights):
    return jax.tree.map(lambda leaf: np.asarray(leaf, float), weights)


def neutral(model):
    return in_float64(model.init(jax.random.key(0)))


def drawn(model, seed=1, scale=0.5):
    """Weights far from the start: every leaf normal, those of `process` too."""
    generator = np.random.default_rng(seed)
    draw = lambda leaf: np.asarray(scale * generator.normal(size=leaf.shape))
    return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0)))


@functools.cache
def examined(model):
    """Compiles: fluxes, the largest residual of each budget, and the least pool of a run."""

    def report(attributes, day):
        left = ecosystem.imbalance(attributes, *day)
        pools = day.after.plant, day.after.organic, day.after.mineral, day.after.water
        least = jnp.min(jnp.stack([leaf.min() for leaf in jax.tree.leaves(pools)]))
        fluxes = {name: getattr(day.fluxes, field) for name, field in NAMES.items()}
        return fluxes | {"grain": day.fluxes.grain_carbon_harvested}, left, least

    def run(weights, site):
        fluxes, left, least = model.process.controlled(
            model.controller(weights, site),
            site.attributes,
            site.forcing,
            functools.partial(report, site.attributes),
            jnp.sum(site.valid),
        )
        return fluxes, jax.tree.map(lambda daily: jnp.max(jnp.abs(daily)), left), least.min()

    return jax.jit(run)


@functools.cache
def predicted(model):
    return jax.jit(model.predict)


def outcome(name, weights, site):
    """Fluxes of a model, from the program that also examines its budgets where they close."""
    model = built(name)
    if model.conserves:
        return examined(model)(weights, site)[0]
    return predicted(model)(weights, site)


OBSERVANT = ProcessModel(observables=("yield", "soil_carbon_stock"))


@pytest.fixture(scope="module")
def reference():
    """The process model at its priors, by itself."""
    with jax.enable_x64(True):
        site = one_site(2, DAYS)
        return jax.device_get(predicted(OBSERVANT)(neutral(OBSERVANT), site))


@pytest.mark.parametrize(
    "name", [HYBRIDS[0], *(pytest.param(name, marks=pytest.mark.slow) for name in HYBRIDS[1:])]
)
def test_every_hybrid_starts_at_the_process_model(name, reference):
    fluxes = outcome(name, neutral(built(name)), one_site(2, DAYS))
    for variable in NAMES:
        np.testing.assert_allclose(
            fluxes[variable], reference[variable], rtol=0, atol=ROUNDING, err_msg=variable
        )


@pytest.mark.parametrize("name", CONSERVING)
def test_budgets_close_whatever_the_weights(name):
    model, site = built(name), one_site(2, DAYS)
    fluxes, left, least = examined(model)(drawn(model), site)
    assert float(np.sum(fluxes["grain"])) > 1.0  # a crop was harvested: nothing was left out
    assert set(model.conserves) == set(quantities(ecosystem.Imbalance))
    for budget in model.conserves:
        assert float(getattr(left, budget)) < 1e-9, budget  # float64, stocks of 1e4 g C m-2
    assert float(least) >= 0.0


@pytest.mark.parametrize("name", HYBRIDS)
def test_weights_of_the_networks_move_the_fluxes(name, reference):
    model = built(name)
    weights = drawn(model) | {"process": neutral(model)["process"]}
    fluxes = outcome(name, weights, one_site(2, DAYS))
    for variable in ("GPP", "Ra", "Rh"):
        moved = np.abs(fluxes[variable] - reference[variable])
        assert np.isfinite(moved).all()
        assert moved.mean() > 0.02, variable


def test_corrected_outputs_agree_with_each_other_but_conserve_nothing():
    model = built("residual")
    assert model.conserves == ()
    fluxes = predicted(model)(drawn(model), one_site(2, DAYS))
    np.testing.assert_allclose(fluxes["Reco"], fluxes["Ra"] + fluxes["Rh"], atol=1e-12)
    np.testing.assert_allclose(fluxes["NEE"], fluxes["Reco"] - fluxes["GPP"], atol=1e-12)


def test_what_is_given_is_not_corrected():
    forced = ProcessModel(gpp="prescribed")
    assert built("residual").corrected == ("GPP", "Ra", "Rh")
    assert built("residual", process=forced).corrected == ("Ra", "Rh")


def test_every_day_holds_the_yield_of_its_year(reference):
    harvested = examined(built("closure"))(neutral(built("closure")), one_site(2, DAYS))[0]["grain"]
    np.testing.assert_allclose(reference["yield"][:365], float(np.sum(np.asarray(harvested)[:365])))
    np.testing.assert_array_equal(reference["yield"][365:], 0.0)  # the next harvest is not seen
    assert 100 < reference["yield"][0] < 800  # g C m-2 yr-1, corn
    stock = reference["soil_carbon_stock"]
    assert np.ptp(stock) < 0.1 * stock.mean()


def test_a_year_shown_twice_is_two_years():
    # As a window does whose warm-up lies before the record.
    day_of_year = np.concatenate([np.arange(1, 366)] * 2 + [np.arange(1, 10)])
    daily = np.where(day_of_year == 280, 300.0, 0.0)
    daily[280 + 364] = 200.0
    found = compiled(over_the_year)(daily, day_of_year)
    np.testing.assert_array_equal(found[:365], 300.0)
    np.testing.assert_array_equal(found[365:730], 200.0)
    np.testing.assert_array_equal(found[730:], 0.0)


def test_what_the_closure_sees_of_the_state_is_of_order_one():
    params, attributes = ecosystem.Params(), random_attributes(0)

    @compiled
    def features(params, attributes):
        state = ecosystem.initial_state(params, attributes)
        return state_features(state, soil_water.hydraulics(params, attributes))

    seen = features(params, attributes)
    assert seen.shape == (STATE_FEATURES,)
    assert np.abs(seen).max() < 3.0


def test_parameter_learning_needs_an_attribute():
    with pytest.raises(ValueError, match="no input is an attribute of the site, only shortwave"):
        ParameterLearningModel(standardisation(DYNAMIC_INPUTS))


@pytest.mark.parametrize("model", [ParameterLearningModel, ClosureModel])
@pytest.mark.parametrize(
    ("names", "text"),
    [
        (("vcmax",), "no parameter vcmax; there are vcmax_multiplier"),
        (("albedo", "albedo"), "named twice"),
    ],
)
def test_a_parameter_is_called_by_its_name_and_once(model, names, text):
    with pytest.raises(ValueError, match=text):
        model(standardisation(DEFAULT_INPUTS), parameters=names)


def test_an_unknown_observable_is_refused():
    with pytest.raises(ValueError, match="no observable LAI; there are yield"):
        ProcessModel(observables=("LAI",))


def test_sites_of_unlike_soils_learn_unlike_parameters():
    model, sites = built("dpl"), corn_and_soybean(2)
    weights, offsets = drawn(model), compiled(model.site_offsets)
    first, second = (
        offsets(weights, jax.tree.map(np.asarray, sites.one(name))) for name in sites.names[:2]
    )
    assert set(first) == set(model.parameters)
    assert all(abs(float(first[name] - second[name])) > 1e-3 for name in first)
    zero = offsets(neutral(model), jax.tree.map(np.asarray, sites.one("IL-00")))
    assert all(float(offset) == 0.0 for offset in zero.values())


SHORT = 200
"""d; past planting, so that all networks bear upon the fluxes."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["process", "dpl", *HYBRIDS])
def test_derivatives_are_those_of_finite_differences(name):
    model, site = built(name), one_site(1, SHORT)
    at = drawn(model, scale=0.2)

    def loss(weights):
        fluxes = model.predict(weights, site)
        return jnp.mean(fluxes["NEE"] ** 2) + 0.1 * jnp.mean(fluxes["ET"])

    gradient = jax.jit(jax.grad(loss))(at)
    forward = jax.jit(lambda point, way: jax.jvp(loss, (point,), (way,)))
    step = 1e-5
    displaced = lambda by, way: jax.tree.map(lambda w, d: w + by * d, at, way)
    for seed in range(3):
        way = drawn(model, seed=10 + seed, scale=1.0)
        ahead, behind = (float(forward(displaced(by, way), way)[0]) for by in (step, -step))
        difference = (ahead - behind) / (2 * step)
        dots = jax.tree.map(lambda g, d: jnp.sum(g * d), gradient, way)
        backward = float(jax.tree.reduce(jnp.add, dots))
        # Central differences: their own error is the step squared times the third derivative.
        assert backward == pytest.approx(difference, rel=1e-4, abs=1e-7)
        assert float(forward(at, way)[1]) == pytest.approx(backward, rel=1e-8, abs=1e-10)


@pytest.mark.slow
def test_the_circle_through_network_and_state_can_be_cut():
    site = one_site(1, SHORT)
    whole, cut = built("closure"), built("closure", stop_state_gradient=True)
    weights = drawn(whole)
    loss = lambda model: jax.jit(
        jax.value_and_grad(lambda own: jnp.mean(model.predict(own, site)["Rh"]))
    )
    (value, slope), (same, other) = loss(whole)(weights), loss(cut)(weights)
    assert float(value) == pytest.approx(float(same), abs=1e-12)
    apart = jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b))), slope, other)
    assert max(jax.tree.leaves(apart)) > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpl", *HYBRIDS])
def test_a_hundred_years_stay_finite_and_balanced(name):
    model, site = built(name), one_site(100, 36500)
    weights = drawn(model)
    if model.conserves:
        fluxes, left, least = examined(model)(weights, site)
        assert float(least) >= 0.0
        for budget in model.conserves:
            assert float(getattr(left, budget)) < 1e-9, budget
    else:
        fluxes = predicted(model)(weights, site)
    assert all(bool(jnp.isfinite(values).all()) for values in fluxes.values())
