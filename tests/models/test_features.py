import jax
import numpy as np
import pytest
import toys

from kgml_jax.models.features import DEFAULT_INPUTS, LEGACY_INPUTS, fit_scaling, standardise
from kgml_jax.sites import TEST
from kgml_jax.split import DividedSites


@pytest.fixture
def sites():
    return toys.sites()


def test_training_days_are_standardised_to_mean_zero_and_sd_one(sites):
    roles = toys.roles(sites)
    scaling = fit_scaling(DEFAULT_INPUTS, toys.divided(sites))
    seen = np.asarray(jax.vmap(lambda site: standardise(scaling, site))(sites.site))[roles == 1]
    varying = np.array([scale.sd != 1.0 for scale in scaling.inputs])
    assert varying.sum() > 8
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-3)  # float32 mean of 4,000 days
    np.testing.assert_allclose(seen[:, varying].std(axis=0), 1, atol=1e-3)


def test_nothing_outside_the_training_days_moves_the_scaling(sites):
    roles = toys.roles(sites)
    drivers = sites.site.forcing
    hotter = drivers.air_temperature_mean + 50 * (roles != 1)
    targets = {n: v + 9 * (roles != 1) for n, v in sites.site.targets.items()}
    changed = toys.sites()
    site = sites.site.replace(forcing=drivers.replace(air_temperature_mean=hotter), targets=targets)
    object.__setattr__(changed, "site", site)
    before, after = (fit_scaling(DEFAULT_INPUTS, toys.divided(one)) for one in (sites, changed))
    assert after == before


def test_default_inputs_do_not_hold_a_carbon_flux():
    assert "prescribed_gpp" not in DEFAULT_INPUTS
    assert "prescribed_gpp" in LEGACY_INPUTS


def test_a_constant_input_is_centred_and_never_divided_by_zero(sites):
    scaling = fit_scaling(("irrigation", "ph"), toys.divided(sites))
    assert [scale.sd for scale in scaling.inputs] == [1.0, 1.0]


def test_the_season_is_the_same_on_both_hemispheres(sites):
    scaling = fit_scaling(("season_cosine",), toys.divided(sites))
    north = sites.one(sites.names[0])
    attributes = north.attributes.replace(latitude=np.float32(-36.0))
    south = north.replace(attributes=attributes)
    january, july = 5, 5 + 183
    at = lambda site, day: float(standardise(scaling, site)[day, 0])
    assert at(south, july) == pytest.approx(at(north, january), abs=0.05)  # half a day of 365.25


def test_an_unknown_input_is_named(sites):
    with pytest.raises(ValueError, match="'rainfall' is no input"):
        fit_scaling(("rainfall",), toys.divided(sites))


def test_a_split_without_training_days_is_refused(sites):
    tested = np.full(sites.site.valid.shape, TEST)
    everything_held_out = DividedSites.of_roles(sites, tested)
    with pytest.raises(ValueError, match="no training day"):
        fit_scaling(DEFAULT_INPUTS, everything_held_out)
