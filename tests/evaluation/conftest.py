import numpy as np
import pytest

from kgml_jax.process.drivers import Attributes, Forcing
from kgml_jax.records import quantities
from kgml_jax.sites import Calendar, Site, Sites


def _forcing(rng, day_of_year):
    season = np.sin(2 * np.pi * (day_of_year - 105) / 365.25)
    noise = rng.normal(size=day_of_year.shape)
    fields = {name: np.zeros_like(day_of_year) for name in quantities(Forcing)}
    fields["shortwave_radiation"] = np.maximum(14 + 9 * season + noise, 0.5)
    fields["air_temperature_mean"] = 10 + 13 * season + 2 * noise
    fields["day_of_year"] = day_of_year
    return Forcing(**fields)


def build_sites(groups, years=3, observed_share=0.7, seed=0):
    """Sites whose GPP, Reco and NEE follow the season and differ by a factor per site."""
    rng = np.random.default_rng(seed)
    n_sites = len(groups)
    dates = np.arange(np.datetime64("2004-01-01"), np.datetime64(f"{2004 + years}-01-01"))
    year = dates.astype("datetime64[Y]").astype(int) + 1970
    start = dates.astype("datetime64[Y]").astype("datetime64[D]")
    day_of_year = np.tile(((dates - start).astype(int) + 1).astype(float), (n_sites, 1))
    shape = day_of_year.shape
    forcing = _forcing(rng, day_of_year)
    season = np.sin(2 * np.pi * (day_of_year - 105) / 365.25)
    factor = np.linspace(0.8, 1.2, n_sites)[:, None]
    gpp = factor * np.maximum(4 + 5 * season, 0) + 0.2 * rng.normal(size=shape)
    reco = factor * (2 + 1.5 * season) + 0.2 * rng.normal(size=shape)
    mask = {name: rng.random(shape) < observed_share for name in ("GPP", "Reco", "NEE")}
    values = {"GPP": gpp, "Reco": reco, "NEE": reco - gpp}
    attributes = {name: np.full(n_sites, q.default) for name, q in quantities(Attributes).items()}
    site = Site(
        forcing=forcing,
        attributes=Attributes(**attributes),
        targets={name: np.where(mask[name], values[name], 0.0) for name in values},
        mask=mask,
        uncertainty={},
        calendar=Calendar(
            date=np.tile(dates.astype(int), (n_sites, 1)),
            year=np.tile(year, (n_sites, 1)),
            day_of_year=day_of_year.astype(int),
            year_index=np.tile(year - 2004, (n_sites, 1)),
        ),
        valid=np.ones(shape, dtype=bool),
        identity=np.arange(n_sites, dtype=np.uint32),
        group=np.zeros(n_sites, dtype=np.int32),
    )
    names = tuple(f"US-{row:02d}" for row in range(n_sites))
    return Sites(names=names, group_names=tuple(sorted(set(groups))), groups=groups, site=site)


@pytest.fixture
def make_sites():
    return build_sites


@pytest.fixture
def sites():
    return build_sites(("Illinois", "Iowa", "Iowa", "Indiana"))


@pytest.fixture
def roles(sites):
    """1 in the first year, 2 in the second, 3 in the last."""
    return np.asarray(sites.site.calendar.year_index) + 1


@pytest.fixture
def predictions(sites):
    """A biased strategy and a better one; both close the carbon balance."""

    def fluxes(level):
        season = np.sin(2 * np.pi * (np.asarray(sites.site.calendar.day_of_year) - 105) / 365.25)
        gpp = np.maximum(4 + 5 * season, 0) + level
        rh = 1 + 0.5 * season
        ra = 1 + season + level
        return {"GPP": gpp, "Ra": ra, "Rh": rh, "Reco": ra + rh, "NEE": ra + rh - gpp}

    return {"pretrained": fluxes(1.0), "calibrated": fluxes(0.1)}
