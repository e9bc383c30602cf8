import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from kgml_jax.bijections import constrain_offsets
from kgml_jax.data.assemble import assemble
from kgml_jax.data.read import read
from kgml_jax.data.synthetic import SyntheticConfig, draw, generate, observation, per_site, truth
from kgml_jax.data.synthetic.drawing import apportion
from kgml_jax.data.synthetic.streams import generator
from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.process.parameters import DEFAULT_SUBSET, Params
from kgml_jax.records import quantities
from kgml_jax.sites import VARIABLES


def simple_model(parameters, attributes, forcing, *, outputs):
    """Fluxes without state: cheap, but of the right size and season."""
    gpp = 0.6 * forcing["shortwave_radiation"] * forcing["occupied"]
    gpp = gpp * parameters["vcmax_multiplier"][:, None]
    rh = 0.3 * np.exp(0.06 * forcing["air_temperature_mean"])
    carbon = attributes["soil_organic_carbon"][:, None]
    beside = {
        "soil_water_content": 0.25 + 0.05 * np.cos(forcing["day_of_year"] / 58.0),
        "soil_temperature": forcing["air_temperature_mean"],
        "grain_yield": 9.0 * forcing["harvest"],
        "soil_organic_carbon": 400.0 * carbon + 0.0 * gpp,
    }
    return {
        "GPP": gpp,
        "Ra": 0.4 * gpp,
        "Rh": rh * carbon / 15.0,
        "ET": 0.1 * forcing["shortwave_radiation"],
        "grain_carbon": 300.0 * forcing["harvest"],
        **{name: beside[name] for name in outputs},
    }


SMALL = SyntheticConfig(sites=5, years=3, spin_up_years=1, seed=3)


@pytest.fixture(scope="module")
def small():
    return generate(SMALL, simple_model)


@pytest.mark.parametrize(
    ("total", "expected"),
    [(90, (22, 41, 27)), (30, (7, 14, 9)), (60, (15, 27, 18)), (1, (0, 1, 0)), (3, (1, 1, 1))],
)
def test_sites_are_apportioned_among_the_states_by_largest_remainder(total, expected):
    counts = apportion(total)
    assert tuple(counts[state] for state in ("IL", "IA", "IN")) == expected


def test_the_same_seed_gives_the_same_world_and_another_seed_another(small):
    xr.testing.assert_identical(small, generate(SMALL, simple_model))
    other = generate(SyntheticConfig(sites=5, years=3, spin_up_years=1, seed=4), simple_model)
    for name in ("precipitation", "clay", "true_vcmax_multiplier", "NEE"):
        assert not np.allclose(small[name], other[name], equal_nan=True)


def test_a_site_does_not_depend_on_how_many_others_there_are(small):
    more = generate(SyntheticConfig(sites=12, years=3, spin_up_years=1, seed=3), simple_model)
    common = [name for name in small["site"].values if name in more["site"].values]
    assert len(common) == 5
    xr.testing.assert_identical(
        small.sel(site=common).drop_attrs(deep=False), more.sel(site=common).drop_attrs(deep=False)
    )


def test_sites_can_be_drawn_a_few_at_a_time():
    whole, part = draw(SMALL), draw(SMALL, ["IA-02", "IN-01"])
    rows = [whole.names.index(name) for name in part.names]
    for some, every in (
        (part.parameters, whole.parameters),
        (part.attributes, whole.attributes),
        (part.forcing, whole.forcing),
    ):
        assert some.keys() == every.keys()
        for name in some:
            np.testing.assert_array_equal(some[name], every[name][rows], err_msg=name)
    assert set(whole.parameters) == set(quantities(Params))
    assert set(whole.attributes) == set(quantities(Attributes))
    assert set(whole.forcing) == set(quantities(Forcing))


def test_sites_of_other_states_can_be_drawn_and_unknown_states_are_refused():
    config = SyntheticConfig(sites=4, years=1, spin_up_years=0, states=(("ND", 1), ("MO", 3)))
    assert config.names() == ("ND-01", "MO-01", "MO-02", "MO-03")
    warmth = draw(config).attributes["mean_annual_temperature"]
    assert warmth[0] < 7.0 < 11.0 < warmth[1:].min()
    with pytest.raises(ValueError, match="state 'XX'; expected one of IL, IA"):
        dataclasses.replace(config, states=(("XX", 1),))


def test_every_day_of_the_years_is_there_with_leap_days_and_without_the_spin_up(small):
    days = small["time"].values.astype("datetime64[D]")
    assert str(days[0]) == "2001-01-01"
    assert str(days[-1]) == "2003-12-31"
    assert (np.diff(days).astype(int) == 1).all()
    assert len(generate(SyntheticConfig(sites=1, years=4), simple_model)["time"]) == 1461


def test_the_truth_balances_carbon_to_the_last_digit(small):
    nee = small["Ra_truth"] + small["Rh_truth"] - small["GPP_truth"]
    # Stored in single precision: terms up to 25 g C m-2 d-1.
    np.testing.assert_allclose(small["NEE_truth"], nee, atol=5e-6)
    np.testing.assert_allclose(
        small["Reco_truth"], small["Ra_truth"] + small["Rh_truth"], atol=2e-6
    )


def test_true_parameters_lie_inside_their_bounds_and_differ_where_declared(small):
    assert set(truth.SPREAD) <= set(quantities(Params))
    for name, quantity in quantities(Params).items():
        values = small[f"true_{name}"].values
        low, high = quantity.bounds
        assert ((values > low) & (values < high)).all()
        if name in truth.SPREAD:
            assert np.ptp(values) > 0
        else:
            np.testing.assert_allclose(values, quantity.default, rtol=1e-6, atol=1e-7)


def test_what_a_calibration_adapts_differs_between_the_sites():
    assert set(DEFAULT_SUBSET) <= set(truth.SPREAD)


def test_without_spread_every_site_has_the_priors():
    config = dataclasses.replace(SMALL, spread=0.0)
    for name, values in draw(config).parameters.items():
        np.testing.assert_allclose(values, quantities(Params)[name].default, rtol=1e-12, atol=1e-15)
    half = draw(dataclasses.replace(SMALL, spread=0.5)).parameters["stomatal_slope_multiplier"]
    ratio = np.log(half) / np.log(draw(SMALL).parameters["stomatal_slope_multiplier"])
    # The bijection bends: far out, half the offset is more than half the way.
    assert ((ratio > 0.45) & (ratio < 0.62)).all()


def test_sites_of_a_state_share_a_part_of_their_parameters():
    draw = lambda row, state: truth.parameters(
        generator(row, state, "truth"), generator(row, f"{state}-{row}", "truth")
    )
    names = list(truth.SPREAD)
    one = np.array([[draw(row, "IL")[name] for name in names] for row in range(300)])
    logarithm = np.log(one[:, names.index("stomatal_slope_multiplier")])
    spread = truth.SPREAD["stomatal_slope_multiplier"]
    # Slope of the logarithm at the prior 1 between 0.6 and 1.6; the bijection bends further out.
    share = np.log(1.0 / 0.6) / np.log(1.6 / 0.6)
    slope = np.log(1.6 / 0.6) * share * (1.0 - share)
    assert logarithm.std() == pytest.approx(slope * np.hypot(spread.state, spread.site), rel=0.12)
    fixed = [
        truth.parameters(generator(0, "IL", "truth"), generator(row, "x", "truth"))[names[1]]
        for row in range(300)
    ]
    assert np.std(np.log(fixed)) == pytest.approx(slope * spread.site, rel=0.15)


@pytest.mark.parametrize("name", ["vcmax_multiplier", "grain_onset_shift", "curve_number"])
@pytest.mark.parametrize("offset", [-2.0, 0.0, 0.7])
def test_true_parameters_use_the_bijection_of_calibration(x64, name, offset):
    found = constrain_offsets(Params, {name: jnp.asarray(offset)})
    # The one is drawn in NumPy, the other is compiled: rounding in float64.
    expected = pytest.approx(float(getattr(found, name)), rel=1e-12, abs=1e-15)
    assert truth.displaced(quantities(Params)[name], offset) == expected


def test_noise_has_the_declared_standard_deviation(small):
    for name, noise in observation.NOISE.items():
        flux, observed = small[f"{name}_truth"], small[name]
        sd = noise.constant + noise.slope * np.abs(flux)
        seen = observed.notnull()
        np.testing.assert_allclose(
            small[f"{name}_uncertainty"].values[seen], sd.values[seen], rtol=1e-5
        )
        if seen.sum() < 1000:
            continue
        standardised = ((observed - flux) / sd).values[seen.values]
        # About 2500 values: standard error of the sd 1.4 %, of the mean 2 %.
        assert standardised.std() == pytest.approx(1.0, abs=0.05)
        assert standardised.mean() == pytest.approx(0.0, abs=0.07)


def test_gaps_take_the_declared_share_in_long_and_short_blocks():
    config = SyntheticConfig(sites=12, years=4, spin_up_years=0)
    dataset = generate(config, simple_model)
    share = dataset["NEE"].isnull().mean("time").values
    low, high = observation.GAP_SHARE
    assert ((share >= low - 0.001) & (share <= high + 0.001)).all()
    assert np.ptp(share) > 0.1
    missing = dataset["NEE"].isnull().values
    edges = np.diff(np.pad(missing.astype(int), ((0, 0), (1, 1))), axis=1)
    lengths = [np.flatnonzero(row == -1) - np.flatnonzero(row == 1) for row in edges]
    for row in lengths:
        assert (row <= 4).mean() > 0.3
        assert row[row >= 15].sum() > 0.3 * row.sum()


def test_fluxes_of_one_instrument_share_their_gaps(small):
    for name in ("GPP", "Reco", "Ra", "Rh", "NEE_uncertainty"):
        np.testing.assert_array_equal(small[name].isnull(), small["NEE"].isnull())
    soil = small["soil_water_content"].isnull()
    np.testing.assert_array_equal(small["soil_temperature"].isnull(), soil)
    assert (small["ET"].isnull() != small["NEE"].isnull()).any()
    assert (soil != small["NEE"].isnull()).any()
    assert 0.3 < float(soil.mean()) < 0.6


def test_yields_are_measured_at_every_harvest_with_an_error_of_8_percent():
    config = SyntheticConfig(sites=30, years=10, spin_up_years=0)
    world = generate(config, simple_model)
    observed, true = world["grain_yield"].values, world["grain_yield_truth"].values
    seen = np.isfinite(observed)
    np.testing.assert_array_equal(seen, world["harvest"].values == 1)
    assert seen.sum() == 300
    ratio = observed[seen] / true[seen]
    # 300 draws: standard error of the mean 0.5 %, of the sd 0.3 %.
    assert ratio.mean() == pytest.approx(1.0, abs=0.015)
    assert ratio.std() == pytest.approx(0.08, abs=0.011)
    np.testing.assert_allclose(world["grain_yield_uncertainty"].values[seen], 0.08 * true[seen])
    assert world["grain_yield"].attrs["units"] == "Mg ha-1"


def test_soil_carbon_is_sampled_on_the_first_of_april_of_every_fifth_year():
    world = generate(SyntheticConfig(sites=20, years=12, spin_up_years=1), simple_model)
    seen = world["soil_carbon_stock"].notnull()
    days = world["time"].values[seen.any("site").values].astype("datetime64[D]").astype(str)
    assert list(days) == ["2001-04-01", "2006-04-01", "2011-04-01"]
    ratio = (world["soil_carbon_stock"] / world["soil_carbon_stock_truth"]).values[seen.values]
    assert ratio.size == 60
    # 60 draws: standard error of the sd 0.7 %.
    assert ratio.std() == pytest.approx(0.08, abs=0.025)
    # The attribute of the soil keeps its name and its units.
    assert world["soil_organic_carbon"].attrs["units"] == "g kg-1"


def test_without_noise_and_gaps_the_observations_are_the_truth():
    config = SyntheticConfig(sites=2, years=1, spin_up_years=0, noise=False, gaps=False)
    dataset = generate(config, simple_model)
    for name in VARIABLES:
        np.testing.assert_array_equal(dataset[name], dataset[f"{name}_truth"])
        assert f"{name}_uncertainty" not in dataset


def test_hiding_the_partition_leaves_the_other_observations_as_they_are(small):
    config = SyntheticConfig(sites=5, years=3, spin_up_years=1, seed=3, partition=False)
    hidden = generate(config, simple_model)
    assert not {"Ra", "Rh"} & set(hidden.data_vars)
    assert "Rh_truth" in hidden
    np.testing.assert_array_equal(hidden["NEE"], small["NEE"])
    np.testing.assert_array_equal(hidden["ET"], small["ET"])


@pytest.mark.parametrize("twist", ["temperature", "priming"])
def test_the_twist_moves_respiration_in_time_and_keeps_its_sum(small, twist):
    twisted = generate(dataclasses.replace(SMALL, twist=twist), simple_model)
    total = lambda dataset: dataset["Rh_truth"].astype("float64").sum("time").values
    np.testing.assert_allclose(total(twisted), total(small), rtol=1e-6)
    assert float(np.abs(twisted["Rh_truth"] - small["Rh_truth"]).max()) > 0.05
    assert float(twisted["Rh_truth"].min()) > 0
    np.testing.assert_allclose(
        twisted["NEE_truth"],
        twisted["Ra_truth"] + twisted["Rh_truth"] - twisted["GPP_truth"],
        atol=5e-6,
    )


def test_a_twist_is_that_of_the_state_and_follows_its_driver():
    days = np.arange(1461)
    air = 10.0 - 12.0 * np.cos(2 * np.pi * days / 365.25)
    gpp = np.where((days % 365 > 180) & (days % 365 < 240), 15.0, 0.0)
    flat = np.ones(days.size)
    moved = lambda twist, strength: truth.twisted(twist, flat, air, gpp, strength)
    assert np.corrcoef(moved("temperature", 1.0), air)[0, 1] > 0.95
    assert np.corrcoef(moved("temperature", -1.0), air)[0, 1] < -0.95
    for strength in (1.0, -1.0):  # fresh carbon never slows respiration
        primed = moved("priming", strength)
        assert primed[gpp > 0].mean() > 1.1 * primed[gpp == 0].mean()
    np.testing.assert_allclose(moved("priming", 0.0), 1.0, rtol=1e-12)


@pytest.mark.parametrize("engine", ["h5netcdf", "scipy"])
def test_the_world_round_trips_through_a_file(small, tmp_path, engine):
    assert {array.dtype.kind + str(array.dtype.itemsize) for array in small.data_vars.values()} <= {
        "f4",
        "i4",
        "U8",
    }
    path = tmp_path / "world.nc"
    small.to_netcdf(path, engine=engine)
    with xr.open_dataset(path, engine=engine) as opened:
        for name in small.data_vars:
            found, expected = opened[name].values, small[name].values
            np.testing.assert_array_equal(found.astype(expected.dtype), expected)
            assert opened[name].attrs == small[name].attrs
        assert (opened["site"].values.astype(str) == small["site"].values).all()
        assert opened.attrs == small.attrs


def test_the_door_reads_a_stored_world_as_it_takes_one_from_memory(small, tmp_path):
    path = tmp_path / "world.nc"
    small.to_netcdf(path, engine="h5netcdf")
    stored, direct = assemble(read(path)), assemble(per_site(small))
    # A folder is read in the order of the names.
    order = [direct.names.index(name) for name in stored.names]
    direct = direct.take(order)
    assert stored.names == direct.names
    assert stored.groups == direct.groups
    for part in ("forcing", "attributes"):
        for name in vars(getattr(stored.site, part)):
            found, expected = (getattr(getattr(s.site, part), name) for s in (stored, direct))
            np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=name)
    assert set(stored.site.targets) == set(VARIABLES)
    for name in VARIABLES:
        np.testing.assert_array_equal(stored.site.mask[name], direct.site.mask[name])
        np.testing.assert_allclose(stored.site.targets[name], direct.site.targets[name], rtol=1e-6)


def test_a_world_without_sites_is_refused():
    with pytest.raises(ValueError, match="expected at least 1"):
        SyntheticConfig(sites=0)


def test_what_is_observed_beside_the_fluxes_is_described_and_leaves_the_targets_alone(small):
    for name, quantity in observation.BESIDE.items():
        for variable in (name, f"{name}_uncertainty", f"{name}_truth"):
            assert small[variable].dims == ("site", "time")
            assert small[variable].attrs["units"] == quantity.units
    assert set(assemble(per_site(small)).site.targets) == set(VARIABLES)


def test_management_pulses_do_not_repeat_on_days_that_only_pad_a_record(small):
    parts = per_site(small)
    harvest = int(np.flatnonzero(parts[0]["harvest"].values)[0])
    short = parts[0].isel(time=slice(0, harvest + 1)).copy(deep=True)
    pulses = ("fertiliser_ammonium", "fertiliser_nitrate", "residue_removal", "harvest")
    for name in pulses:
        short[name][-1] = 0.5
    forcing = assemble([short, parts[1]]).site.forcing
    for name in pulses:
        row = np.asarray(getattr(forcing, name))[0]
        assert row[harvest] == 0.5
        assert (row[harvest + 1 :] == 0).all()
