import numpy as np
import pytest
import xarray as xr

from kgml_jax import bijections
from kgml_jax.data.assemble import assemble
from kgml_jax.data.read import read
from kgml_jax.data.synthetic import SyntheticConfig, generate, observation, per_site, truth, world
from kgml_jax.data.synthetic.streams import generator
from kgml_jax.process.parameters import Params
from kgml_jax.records import quantities
from kgml_jax.sites import VARIABLES


def simple_model(parameters, attributes, forcing):
    """Fluxes without state: cheap, but of the right size and season."""
    gpp = 0.6 * forcing["shortwave_radiation"] * forcing["occupied"]
    gpp = gpp * parameters["vcmax_multiplier"][:, None]
    rh = 0.3 * np.exp(0.06 * forcing["air_temperature_mean"])
    return {
        "GPP": gpp,
        "Ra": 0.4 * gpp,
        "Rh": rh * attributes["soil_organic_carbon"][:, None] / 15.0,
        "ET": 0.1 * forcing["shortwave_radiation"],
        "grain_carbon": 300.0 * forcing["harvest"],
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
    counts = world.apportion(total)
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


def test_sites_of_a_state_share_a_part_of_their_parameters():
    draw = lambda row, state: truth.parameters(
        generator(row, state, "truth"), generator(row, f"{state}-{row}", "truth")
    )
    names = list(truth.SPREAD)
    one = np.array([[draw(row, "IL")[name] for name in names] for row in range(300)])
    logarithm = np.log(one[:, names.index("maintenance_respiration_rate")] / 0.011)
    spread = truth.SPREAD["maintenance_respiration_rate"]
    # Slope of the logarithm at the prior; the bijection bends a little further out.
    slope = np.log(3.0) * 0.552 * 0.448
    assert logarithm.std() == pytest.approx(slope * np.hypot(spread.state, spread.site), rel=0.12)
    fixed = [
        truth.parameters(generator(0, "IL", "truth"), generator(row, "x", "truth"))[names[5]]
        for row in range(300)
    ]
    assert np.std(np.log(fixed)) == pytest.approx(slope * spread.site, rel=0.15)


@pytest.mark.parametrize("name", ["vcmax_multiplier", "grain_onset_shift", "curve_number"])
@pytest.mark.parametrize("offset", [-2.0, 0.0, 0.7])
def test_true_parameters_use_the_bijection_of_calibration(x64, name, offset):
    quantity = quantities(Params)[name]
    prior = bijections.unconstrain(np.asarray(quantity.default), quantity)
    expected = float(bijections.constrain(prior + offset, quantity))
    assert truth.displaced(quantity, offset) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_noise_has_the_declared_standard_deviation(small):
    for name, noise in observation.NOISE.items():
        flux, observed = small[f"{name}_truth"], small[name]
        sd = noise.constant + noise.slope * np.abs(flux)
        seen = observed.notnull()
        np.testing.assert_allclose(
            small[f"{name}_uncertainty"].values[seen], sd.values[seen], rtol=1e-5
        )
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
    assert (small["ET"].isnull() != small["NEE"].isnull()).any()


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


def test_the_twist_moves_respiration_in_time_and_keeps_its_sum(small):
    config = SyntheticConfig(sites=5, years=3, spin_up_years=1, seed=3, twist=True)
    twisted = generate(config, simple_model)
    total = lambda dataset: dataset["Rh_truth"].astype("float64").sum("time").values
    np.testing.assert_allclose(total(twisted), total(small), rtol=1e-6)
    assert float(np.abs(twisted["Rh_truth"] - small["Rh_truth"]).max()) > 0.05
    np.testing.assert_allclose(
        twisted["NEE_truth"],
        twisted["Ra_truth"] + twisted["Rh_truth"] - twisted["GPP_truth"],
        atol=5e-6,
    )


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
