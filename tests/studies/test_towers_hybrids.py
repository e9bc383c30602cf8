from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from studies.towers import arms, hybrids, models, protocols
from studies.towers.arms import Choices
from studies.towers.hybrids import HybridChoice
from studies.towers.models import AFTER, BEFORE, HELD_OUT, Effort
from tower_toys import altered, towers

from kgml_jax.models.process import ProcessModel


@dataclass(frozen=True)
class LightModel:
    """Fluxes are shares of the radiation."""

    process: ProcessModel = field(default_factory=ProcessModel)

    def predict(self, weights, site, key=None):
        light = site.forcing.shortwave_radiation
        gpp, reco = weights["gpp"] * light, weights["reco"] * light
        return {"GPP": gpp, "Reco": reco, "NEE": reco - gpp, "ET": weights["et"] * light}


LEARNT = {"gpp": jnp.asarray(0.3), "reco": jnp.asarray(0.3), "et": jnp.asarray(0.05)}
"""What the first stage has learnt, which is not so at the towers: 0.4, 0.2 and 0.1."""

BASE = SimpleNamespace(model=LightModel(), weights=LEARNT)
STEPS = HybridChoice(steps=60, batch=2, learning_rate=0.02, seeds=2)


def test_the_second_stage_goes_on_from_the_first():
    trial = protocols.make("last-years", towers(), 6)
    light = np.asarray(trial.towers.sites.site.forcing.shortwave_radiation)
    still = hybrids.hybrid(trial, BASE, replace(STEPS, steps=1, learning_rate=0.0))
    np.testing.assert_allclose(still["GPP"], np.stack([0.3 * light] * 2), rtol=1e-4)
    moved = hybrids.hybrid(trial, BASE, STEPS)
    np.testing.assert_allclose(moved["GPP"], np.stack([0.4 * light] * 2), rtol=0.05)
    np.testing.assert_allclose(moved["NEE"], moved["Reco"] - moved["GPP"], atol=1e-4)
    # Members look at other batches.
    assert not np.array_equal(moved["GPP"][0], moved["GPP"][1])


def test_a_tower_left_out_teaches_a_hybrid_nothing_of_itself():
    found = towers()
    other = replace(found, data=altered(found.data, 0))
    before, after = (
        hybrids.hybrid(protocols.make("leave-site-out", one, 6), BASE, STEPS)["GPP"]
        for one in (found, other)
    )
    np.testing.assert_array_equal(before[:, 0], after[:, 0])
    assert not np.array_equal(before[:, 2], after[:, 2])


@pytest.mark.parametrize("protocol", ["last-years", "leave-site-out"])
def test_a_hybrid_is_an_arm_of_both_protocols(protocol, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "load_or_pretrain", lambda kind, effort, folder: BASE)
    trial = protocols.make(protocol, towers(), 6)
    found = arms.predict("closure", trial, Choices(Effort(1, 1), hybrid=STEPS), tmp_path)
    stages = [BEFORE, AFTER, HELD_OUT] if protocol == "last-years" else [BEFORE]
    assert found["strategy"].values.tolist() == stages
    assert found["GPP_member"].sizes["member"] == 2
    learning = trial.towers.data.learning_days
    assert np.isfinite(found["GPP"].to_numpy()[-1][learning]).all()
