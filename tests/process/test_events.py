import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from programs import Compiled, assert_vmap_equals_loop, compiled

from kgml_jax.process import crops, events, mineral_nitrogen, organic_matter, phenology
from kgml_jax.process import plant as plants
from kgml_jax.process.drivers import Attributes
from kgml_jax.process.layers import CARBON, NITROGEN
from kgml_jax.process.parameters import Params
from kgml_jax.process.phenology import Phenology
from kgml_jax.process.plant import Environment, Plant

pytestmark = pytest.mark.usefixtures("x64")
GRASS = crops.NAMES.index("temperate grass")
PULSES = [0.0, 0.3, 1.0]
happening = Compiled(events)
DAYS = np.arange(100.0, 260.0)
POOLS = {"nonstructural": 5.0, "leaf": 60.0, "stem": 150.0, "root": 70.0, "grain": 400.0}


def standing():
    pools = POOLS | {"standing_dead": 30.0}
    return Plant(**{name: np.asarray([c, 0.02 * c]) for name, c in pools.items()})


def bare():
    return jax.tree.map(np.zeros_like, standing())


def at(stage, progress, depth):
    return Phenology(
        development_stage=np.asarray(stage),
        emergence_progress=np.asarray(progress),
        root_depth=np.asarray(depth),
        vernalisation=np.asarray(0.0),
    )


def soil():
    return Compiled(organic_matter).initial(Params(), Attributes())


def mineral():
    return Compiled(mineral_nitrogen).initial(np.asarray(1.0))


def crop(row=0):
    return Compiled(crops).lookup(np.asarray(row))


def amount(tree):
    return sum(leaf.sum(axis=-1) for leaf in jax.tree.leaves(tree))


def matter(tree):
    return sum(jax.tree.leaves(tree))


def grown(planting, occupied, traits):
    """The path of a crop through DAYS of steady weather, sown by the pulses `planting`."""
    params = Params()

    def forward(state, today):
        pulse, open_field = today
        sown, started, seed = events.plant(traits, *state, pulse)
        stage = phenology.step(params, traits, started, 19.0, 15.0, open_field)
        leaf_area = open_field * traits.specific_leaf_area * sown.leaf[CARBON]
        weather = Environment(
            photosynthesis=18.0 * -jnp.expm1(-0.5 * leaf_area),
            temperature=np.asarray(19.0),
            lowest_temperature=np.asarray(13.0),
            supply_ratio=np.asarray(1.0),
            leaf_area=leaf_area,
            active=phenology.emerged(stage, open_field),
            occupied=open_field,
            nitrogen_supply=np.asarray(0.4),
        )
        after = plants.step(params, traits, sown, stage, weather)[0]
        return (after, stage), (after, stage, seed)

    # The field carries what the season before left of its development.
    return jax.lax.scan(forward, (bare(), at(2.0, 25.0, 1.5)), (planting, occupied))[1]


def spread_season(centre, width, traits):
    planting = events.spread(DAYS, centre, width)
    return grown(planting, events.season(planting, jnp.zeros_like(planting)), traits)


season_of = compiled(spread_season)


@pytest.mark.parametrize("pulse", PULSES)
def test_planting_brings_the_seed_and_restarts_development(pulse):
    sown, restarted, seed = happening.plant(
        crop(), standing(), at(1.9, 9.0, 1.4), np.asarray(pulse)
    )
    np.testing.assert_allclose(seed, pulse * np.array([1.2, 1.2 * 0.032]))
    np.testing.assert_allclose(matter(sown) - matter(standing()), seed, atol=1e-12)
    np.testing.assert_allclose(restarted.root_depth, 1.4 * (1.0 - pulse))
    np.testing.assert_allclose(restarted.development_stage, 1.9 * (1.0 - pulse))


@pytest.mark.parametrize("removal", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("pulse", PULSES)
def test_harvest_moves_every_gram_to_export_or_residue(pulse, removal):
    left, harvested = happening.harvest(crop(), standing(), np.asarray(pulse), np.asarray(removal))
    np.testing.assert_allclose(matter(left) + matter(harvested), matter(standing()), rtol=1e-14)
    np.testing.assert_allclose(harvested.grain, pulse * np.array([388.0, 7.76]))
    shoot = pulse * (5.0 + 60.0 + 150.0 + 30.0 + 0.03 * 400.0)
    np.testing.assert_allclose(harvested.removed, removal * shoot * np.array([1.0, 0.02]))
    np.testing.assert_allclose(harvested.root_residue, pulse * np.array([70.0, 1.4]))
    assert all(np.all(pool >= 0.0) for pool in jax.tree.leaves((left, harvested)))


def test_silage_takes_the_shoot_and_a_cover_crop_leaves_all_of_it():
    take = lambda name: happening.harvest(
        crop(crops.NAMES.index(name)), standing(), np.asarray(1.0), np.asarray(0.0)
    )[1]
    shoot = 5.0 + 60.0 + 150.0 + 30.0 + 0.03 * 400.0
    np.testing.assert_allclose(take("silage corn").removed[CARBON], 0.92 * shoot)
    left = take("cover crop")
    np.testing.assert_array_equal(left.grain + left.removed, 0.0)
    np.testing.assert_allclose(matter(left), matter(standing()))


def test_a_full_harvest_leaves_bare_ground():
    left, _ = happening.harvest(crop(), standing(), np.asarray(1.0), np.asarray(0.0))
    np.testing.assert_array_equal(matter(left), 0.0)


def test_planting_and_harvest_on_one_day_conserve():
    pulse, removal = np.asarray(0.6), np.asarray(0.3)
    sown, _, seed = happening.plant(crop(), standing(), at(1.0, 5.0, 1.0), pulse)
    left, harvested = happening.harvest(crop(), sown, pulse, removal)
    left, again = happening.harvest(crop(), left, pulse, removal)
    gone = matter(harvested) + matter(again)
    np.testing.assert_allclose(matter(left) + gone, matter(standing()) + seed, rtol=1e-14)
    np.testing.assert_allclose(matter(left), 0.16 * matter(sown))


def mown(row, cut, grazing, leaf_area=3.0, stage=0.8):
    state = standing(), at(stage, 9.0, 1.4), np.asarray(leaf_area)
    return happening.defoliate(crop(row), *state, np.asarray(cut), np.asarray(grazing))


@pytest.mark.parametrize(("cut", "grazing"), [(1.0, 0.0), (0.0, 0.1), (0.6, 0.3), (1.0, 1.0)])
def test_cut_and_grazing_move_every_gram_of_carbon_and_nitrogen(cut, grazing):
    left, _, gone = mown(GRASS, cut, grazing)
    total = matter(left) + gone.mown + gone.eaten + gone.litter + np.array([0.0, gone.urine])
    np.testing.assert_allclose(total, matter(standing()), rtol=1e-14)
    assert all(np.all(pool >= 0.0) for pool in jax.tree.leaves((left, gone)))
    np.testing.assert_array_equal(left.root, standing().root)


def test_a_cut_leaves_the_stubble_and_grazing_its_share_above_it():
    left, stage, gone = mown(GRASS, 1.0, 0.0)
    stubble = crop(GRASS).stubble_leaf_area / 3.0
    # The hyperbola that rounds the threshold off leaves a little more: 1e-4 of its corner.
    np.testing.assert_allclose(left.leaf, stubble * standing().leaf, rtol=1e-3)
    np.testing.assert_allclose(left.stem, stubble * standing().stem, rtol=1e-3)
    np.testing.assert_allclose(stage.development_stage, stubble * 0.8, rtol=1e-3)
    np.testing.assert_array_equal(stage.root_depth, 1.4)
    np.testing.assert_array_equal(gone.eaten, 0.0)
    grazed = mown(GRASS, 0.0, 0.1)[0].leaf
    np.testing.assert_allclose(grazed, (1.0 - 0.1 * (1.0 - stubble)) * standing().leaf, rtol=1e-3)
    low = mown(GRASS, 1.0, 0.0, leaf_area=0.3)[0].leaf
    np.testing.assert_allclose(low, standing().leaf, rtol=1e-3)


def test_animals_return_carbon_and_most_nitrogen():
    _, _, gone = mown(GRASS, 0.0, 0.2)
    eaten = gone.eaten + gone.litter + np.array([0.0, gone.urine])
    np.testing.assert_allclose(gone.litter[CARBON], 0.30 * eaten[CARBON])
    np.testing.assert_allclose(gone.litter[NITROGEN] + gone.urine, 0.80 * eaten[NITROGEN])
    np.testing.assert_allclose(gone.urine, 0.48 * eaten[NITROGEN])


def test_only_a_perennial_stand_brings_itself_back():
    for row, expected in ((GRASS, 0.05 * 10.0), (0, 0.0)):
        found, seed = happening.establish(crop(row), bare(), np.asarray(1.0))
        np.testing.assert_allclose(seed[CARBON], expected, rtol=1e-6)
        np.testing.assert_array_equal(matter(found), seed)
    _, seed = happening.establish(crop(GRASS), standing(), np.asarray(1.0))
    assert seed[CARBON] < 1e-4
    np.testing.assert_array_equal(happening.establish(crop(GRASS), bare(), np.asarray(0.0))[1], 0.0)


def test_gradients_of_defoliation_agree_with_finite_differences():
    def moved(cut, grazing, leaf_area):
        left, stage, gone = events.defoliate(
            crop(GRASS), standing(), at(0.8, 9.0, 1.4), leaf_area, cut, grazing
        )
        total = matter(left) + gone.mown - 0.7 * gone.eaten + 0.3 * gone.litter
        return total + stage.development_stage + gone.urine

    check_grads(jax.jit(moved), tuple(map(np.asarray, (0.4, 0.3, 1.2))), order=1, modes=["rev"])


@pytest.mark.parametrize("pulse", PULSES)
def test_tillage_keeps_the_matter_of_every_pool(pulse):
    tilled, memory = happening.till(soil(), np.asarray(0.5), np.asarray(pulse))
    for before, after in zip(jax.tree.leaves(soil()), jax.tree.leaves(tilled), strict=True):
        np.testing.assert_allclose(after.sum(axis=1), before.sum(axis=1), rtol=1e-14)
        np.testing.assert_array_equal(after[:, 3:], before[:, 3:])
        np.testing.assert_allclose(after[:, 0], (1.0 - 0.85 * pulse) * before[:, 0])
        assert np.all(after >= 0.0)
    np.testing.assert_allclose(memory, 0.5 * np.exp(-1 / 20) + pulse)


def test_full_tillage_evens_out_the_plough_layer():
    tilled, _ = happening.till(soil(), np.asarray(0.0), np.asarray(1.0))
    concentration = tilled.structural[:, 1:3] / events.PLOUGH_SHARES
    np.testing.assert_allclose(concentration[:, 0], concentration[:, 1], rtol=1e-12)


def test_fertiliser_goes_to_the_two_upper_layers():
    fed = happening.fertilise(mineral(), np.asarray(10.0), np.asarray(2.0))
    np.testing.assert_allclose(fed.ammonium - mineral().ammonium, [3.0, 7.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(fed.nitrate - mineral().nitrate, [0.6, 1.4, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(amount(fed) - amount(mineral()), 12.0, rtol=1e-14)


@pytest.mark.parametrize("centre", [100.0, 128.37, 259.0, 400.0])
@pytest.mark.parametrize("width", [0.3, 1.5, 6.0])
def test_spread_pulses_sum_to_one(centre, width):
    pulses = happening.spread(np.asarray(DAYS), np.asarray(centre), width)
    np.testing.assert_allclose(pulses.sum(), 1.0, rtol=1e-14)
    assert np.all(pulses >= 0.0)
    if width == 1.5 and centre == 128.37:
        np.testing.assert_allclose(pulses @ DAYS, centre, rtol=1e-9)
        np.testing.assert_allclose(pulses @ (DAYS - centre) ** 2, width**2, rtol=1e-6)


def test_a_spread_planting_sows_the_same_seed():
    seed = season_of(124.3, 1.5, crop(1))[2].sum(axis=0)
    np.testing.assert_allclose(seed, [3.5, 3.5 * 0.122], rtol=1e-14)


def test_a_narrow_planting_is_that_of_its_day():
    pulse = (DAYS == 124.0) * 1.0
    sharp = compiled(grown)(pulse, happening.season(pulse, np.zeros(len(DAYS))), crop())
    narrow = season_of(124.0, 0.1, crop())
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), narrow, sharp
    )
    # Over a week: later by a day, poorer by that day and by seed that waited for the season.
    spread = season_of(124.0, 1.5, crop())
    late = lambda path: np.argmax(path[1].development_stage > 1.0)
    assert late(sharp) > 0
    assert 0 <= late(spread) - late(sharp) <= 1
    grain = [float(path[0].grain[-1, CARBON]) for path in (sharp, spread)]
    np.testing.assert_allclose(grain[1], grain[0], rtol=0.03)


def outcome(centre, traits):
    crop, stage, _ = spread_season(centre, 1.5, traits)
    return jnp.stack(
        [
            stage.emergence_progress[40],
            stage.development_stage[90],
            crop.leaf[60, CARBON],
            crop.grain[-1, CARBON],
            crop.grain[-1, NITROGEN],
        ]
    )


outcome_of, outcome_slope = compiled(outcome), compiled(jax.jacfwd(outcome))


@pytest.mark.parametrize("row", [0, 1])
def test_the_date_of_planting_has_a_gradient(row):
    centre, step = 124.3, 1e-4
    slope = outcome_slope(centre, crop(row))
    above, below = (outcome_of(centre + by, crop(row)) for by in (step, -step))
    difference = (above - below) / (2.0 * step)
    assert np.all(np.isfinite(slope))
    assert np.all(slope < 0.0)  # later sown, everything later and less
    np.testing.assert_allclose(slope, difference, rtol=1e-5)


def test_the_season_lasts_from_planting_to_harvest():
    mark = lambda *days: np.asarray(np.isin(DAYS, days) * 1.0)
    occupied = happening.season(mark(110.0, 200.0), mark(150.0, 240.0))
    inside = ((DAYS >= 110) & (DAYS <= 150)) | ((DAYS >= 200) & (DAYS <= 240))
    np.testing.assert_array_equal(occupied, inside * 1.0)
    soft = happening.season(
        *(happening.spread(np.asarray(DAYS), day, 1.5) for day in (120.0, 220.0))
    )
    assert np.all((soft >= 0.0) & (soft <= 1.0))
    np.testing.assert_allclose(soft.sum(), 101.0, rtol=1e-9)
    # Later in the year the season has ended: sums of pulses in rounding at most.
    np.testing.assert_allclose(soft[-10:], 0.0, atol=1e-14)


def test_successive_harvests_take_the_crop_once():
    shares = happening.spread(np.asarray(DAYS), np.asarray(200.4), 1.5)
    left, grain = standing(), []
    for fraction in happening.successive(shares):
        left, harvested = happening.harvest(crop(), left, fraction, np.asarray(0.0))
        grain.append(harvested.grain[CARBON])
    np.testing.assert_allclose(grain, 0.97 * 400.0 * shares, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(matter(left), 0.0, atol=1e-10)
    single = happening.successive((np.asarray(DAYS) == 150.0) * 1.0)
    np.testing.assert_array_equal(single, (DAYS == 150.0) * 1.0)


def test_gradients_agree_with_finite_differences():
    before, nitrogen, traits = soil(), mineral(), crop()

    def moved(pulse, removal, amount):
        tilled, memory = events.till(before, 0.5, pulse)
        left, harvested = events.harvest(traits, standing(), pulse, removal)
        fed = events.fertilise(nitrogen, amount, 0.5 * amount)
        sown, _, seed = events.plant(traits, left, at(1.0, 5.0, 1.0), pulse)
        total = tilled.structural[:, 1] + sown.nonstructural + harvested.grain + seed
        return total + harvested.shoot_residue + memory + fed.ammonium[1]

    check_grads(jax.jit(moved), tuple(map(np.asarray, (0.4, 0.3, 9.0))), order=1, modes=["rev"])


def test_vmapped_events_equal_looped():
    pulses = [tuple(map(np.asarray, (0.2 * i, 0.3 * i))) for i in range(3)]
    assert_vmap_equals_loop(events.till, [(soil(), *pulse) for pulse in pulses])
    assert_vmap_equals_loop(events.harvest, [(crop(i), standing(), *pulses[i]) for i in range(3)])
    assert_vmap_equals_loop(events.fertilise, [(mineral(), *pulse) for pulse in pulses])
    sowings = [(crop(i), standing(), at(1.0, 2.0, 0.5 * i), pulses[i][0]) for i in range(3)]
    assert_vmap_equals_loop(events.plant, sowings)
