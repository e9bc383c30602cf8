"""Pools moved on given dates: by which amounts, and that the books close with it."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys
from strategies import corn_soy_forcing, random_attributes

from kgml_jax.models import kinds
from kgml_jax.models.closure import ClosureModel
from kgml_jax.models.features import DYNAMIC_INPUTS, fit_scaling
from kgml_jax.models.hybrid import process_of, with_updates
from kgml_jax.models.process import ProcessModel
from kgml_jax.models.protocol import model_from_json, model_to_json
from kgml_jax.models.updates import POOLS, ScheduledUpdate, moves_of, parse
from kgml_jax.process import ecosystem
from kgml_jax.records import quantities
from kgml_jax.split import DividedSites

DAYS = 60
SOIL, LITTER = ScheduledUpdate("soil_carbon", "2001-02-01"), parse("litter@2001-02-10")
MODEL = ProcessModel(updates=(SOIL, LITTER), observables=("soil_carbon_stock",))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("carbon@2001-02-01", "no pool 'carbon' to update; there are plant, litter, particulate"),
        ("litter", r"update litter@: .*expected POOL@YYYY-MM-DD"),
        ("litter@2001-02-30", "update litter@2001-02-30: day"),
    ],
)
def test_what_cannot_be_updated_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)


def test_a_name_says_which_pool_and_when():
    assert parse(SOIL.name) == SOIL
    assert all(parse(f"{pool}@2001-01-01").quantity.default == 0.0 for pool in POOLS)
    assert "in proportion; at the start of 2001-02-01" in SOIL.quantity.doc


def test_amounts_fall_on_their_date_and_their_pools_alone():
    site = jax.tree.map(jnp.asarray, toys.sites(1, 1).one("IA-00"))
    weights = {"process": {SOIL.name: jnp.asarray(0.2), LITTER.name: jnp.asarray(-0.1)}}
    moves = moves_of(MODEL.updates, weights, site)
    for name in quantities(moves):
        daily = np.asarray(getattr(moves, name))
        wanted = {31: 0.2} if name in POOLS["soil_carbon"] else {}
        wanted = {40: -0.1} if name == "litter" else wanted
        assert {int(day): pytest.approx(daily[day]) for day in np.flatnonzero(daily)} == wanted
    assert moves_of((), weights, site) is None


def test_updates_are_part_of_a_model_and_its_weights(key):
    described = json.loads(json.dumps(model_to_json(MODEL)))
    assert model_from_json(kinds.CLASSES, described) == MODEL
    weights = MODEL.init(key)["process"]
    assert weights[SOIL.name] == weights[LITTER.name] == 0
    everywhere = DividedSites.undivided(toys.sites())
    hybrid = ClosureModel(fit_scaling(DYNAMIC_INPUTS, everywhere))
    trained = hybrid.init(key) | {"process": {"albedo": jnp.asarray(0.3)}}
    moved, weights = with_updates(hybrid, trained, (SOIL,))
    assert process_of(moved).updates == (SOIL,)
    assert weights["process"]["albedo"] == jnp.asarray(0.3)
    assert weights["process"][SOIL.name] == 0
    assert set(weights) == set(trained)


@pytest.fixture(scope="module")
def simulated():
    """Stocks, increments and imbalances of two months, of amounts as they are asked for."""
    with jax.enable_x64(True):
        table = jax.tree.map(jnp.asarray, toys.sites(1, 1).one("IA-00"))
        few = lambda leaf: leaf[:DAYS] if leaf.ndim else leaf
        site = jax.tree.map(few, table)
        forcing = jax.tree.map(lambda leaf: leaf[:DAYS], corn_soy_forcing(1))
        site = site.replace(forcing=forcing, attributes=random_attributes(1))

        def report(day):
            left = ecosystem.imbalance(site.attributes, *day)
            closed_without = ecosystem.imbalance(site.attributes, *day._replace(added=None))
            return day.fluxes.soil_organic_carbon, day.added, left, closed_without

        # It runs once: what the compiler would gain by trying hard is lost on the way.
        options = {
            "xla_backend_optimization_level": 0,
            "xla_llvm_disable_expensive_passes": True,
        }

        @functools.partial(jax.jit, compiler_options=options)
        def run(amounts):
            weights = MODEL.init(None)
            process = weights["process"] | dict(zip((SOIL.name, LITTER.name), amounts, strict=True))
            moved = {"process": process}
            return MODEL.reported(moved, MODEL.controller(moved, site), site, report)

        return [jax.tree.map(np.asarray, run(jnp.asarray(a))) for a in ([0.0, 0.0], [0.2, -0.5])]


def test_budgets_close_with_what_updates_added(simulated):
    _, (_, added, left, without) = simulated
    # float64, stocks of 1e4 g C m-2.
    for name in ("carbon", "nitrogen", "water", "heat"):
        assert np.abs(getattr(left, name)).max() < 1e-9, name
    assert list(np.flatnonzero(added.carbon)) == [31, 40]
    assert added.carbon[31] > 100
    assert added.carbon[40] < 0
    assert added.nitrogen[31] > 1
    np.testing.assert_allclose(without.carbon[31], added.carbon[31])


def test_amounts_of_zero_add_nothing_and_the_soil_follows_its_update(simulated):
    (usual, nothing, *_), (moved, *_) = simulated
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(nothing))
    np.testing.assert_array_equal(usual[:31], moved[:31])
    # All organic matter of the soil by exp(0.2), but for the litter in it.
    assert moved[31] / usual[31] == pytest.approx(np.exp(0.2), rel=5e-3)


def test_another_spelling_of_a_date_is_refused():
    with pytest.raises(ValueError, match="expected the date as 2001-05-01"):
        parse("litter@20010501")
