from dataclasses import replace

import numpy as np
import pytest
import toys

from kgml_jax.errors import DataError
from kgml_jax.runs import learnt
from kgml_jax.sites import TEST
from kgml_jax.split import DividedSites


def renamed(sites):
    return replace(sites, names=tuple(f"X-{name}" for name in sites.names))


@pytest.fixture(scope="module")
def sites():
    return toys.sites()


@pytest.fixture(scope="module")
def marks(sites):
    return frozenset(learnt.learnt(toys.divided(sites)))


def scored_everywhere(sites):
    return DividedSites.of_roles(sites, np.full(np.shape(sites.site.valid), TEST))


def test_learnt_years_are_known_again_under_another_name(sites, marks):
    data = scored_everywhere(renamed(sites))
    found = learnt.known_again(marks, data, frozenset(sites.names))
    learning = toys.divided(sites).learning_days
    years = np.asarray(sites.site.calendar.date).astype("datetime64[D]").astype("datetime64[Y]")
    expected = {
        f"X-{name}": sorted({int(str(year)) for year in years[row, learning[row]]})
        for row, name in enumerate(sites.names)
    }
    assert found == expected
    with pytest.raises(DataError, match=r"X-IA-00 2001.*learnt from these observations"):
        learnt.refuse(found)
    assert "X-IA-00 2001" in learnt.told(found)


def test_other_observations_are_not(sites, marks):
    other = scored_everywhere(toys.sites(seed=3))
    assert learnt.known_again(marks, other, frozenset()) == {}
    learnt.refuse({})


def test_days_of_sites_it_knows_by_name_are_told_apart_by_their_dates(sites, marks):
    assert learnt.known_again(marks, scored_everywhere(sites), frozenset(sites.names)) == {}
