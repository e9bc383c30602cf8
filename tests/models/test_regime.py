import numpy as np
import pytest
from studies.process_model import regime


@pytest.fixture(scope="module")
def found():
    return regime.values(regime.simulate(regime.RegimeConfig()))


@pytest.mark.slow
@pytest.mark.parametrize("name", regime.REFERENCE)
def test_thirty_sites_over_eighteen_years_lie_in_the_regime_of_the_reference(found, name):
    assert found[name] == pytest.approx(regime.REFERENCE[name][1], rel=regime.TOLERANCE)


def test_annual_sums_are_averaged_over_the_years_of_a_crop():
    # Two sites with years of three and two days.
    flux = np.array([[1.0, 2.0, 3.0, 10.0, 20.0], [0.0, 0.0, 6.0, 40.0, 50.0]])
    year, month = np.array([0, 0, 0, 1, 1]), np.zeros(5, dtype=int)
    made = regime.Regime({"GPP": flux}, crop=np.array([[0, 1], [1, 0]]), year=year, month=month)
    np.testing.assert_array_equal(made.annual("GPP"), [[6.0, 30.0], [6.0, 90.0]])
    assert made.of(0, made.annual("GPP")) == 48.0
    assert made.of(1, made.annual("GPP")) == 18.0


@pytest.mark.parametrize(("factor", "inside"), [(0.74, False), (0.76, True), (1.26, False)])
def test_a_quarter_from_the_reference_is_the_limit(factor, inside):
    assert regime.within("Rh", factor * regime.REFERENCE["Rh"][1]) is inside
