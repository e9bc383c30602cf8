import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
import xarray as xr
from programs import generated_once
from studies.kgml_ag import data, plan, program
from studies.kgml_ag.program import KgmlAgConfig

from kgml_jax.adaptation import flatten
from kgml_jax.cli import console
from kgml_jax.models.features import KGML_AG_INPUTS, Scale, Scaling
from kgml_jax.models.recurrent import PUBLIC_CODE, RecurrentModel
from kgml_jax.objectives.pacing import SelfPaced

SOURCES = data.Sources(series=2, years=4, counties=2, tower_sites=2, test_years=1)
PUBLIC: dict[str, Any] = dict(PUBLIC_CODE)
TINY = KgmlAgConfig(sources=SOURCES, hidden=4, epochs=1, steps=(2, 4), batch=2)
SCALING = Scaling(
    inputs=tuple(Scale(name, 0.0, 1.0) for name in KGML_AG_INPUTS),
    targets=tuple(Scale(name, 0.0, 2.0) for name in ("Ra", "Rh", "Reco", "NEE", "yield")),
)


@pytest.fixture(scope="module", autouse=True)
def worlds():
    """Runs that start from one synthetic world find it generated already."""
    with generated_once(data):
        yield


@pytest.fixture(scope="module")
def published():
    return plan.five_steps(plan.Losses(SCALING))


@pytest.fixture(scope="module")
def paths():
    weights = RecurrentModel(SCALING, **PUBLIC).init(jax.random.key(0))
    return [path for path in flatten(weights) if not path.startswith("calibration/")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "kgml-ag"
    program.main(replace(TINY, run=folder))
    return folder


def rates(stage, paths):
    return {
        part: {stage.course.rate(path) for path in paths if path.split("/")[0] == part}
        for part in {path.split("/")[0] for path in paths}
    }


def test_the_steps_train_what_the_paper_trains(published, paths):
    yield_and_ra, respiration, county, again, towers = (rates(s, paths) for s in published)
    trained = {part for part, rate in yield_and_ra.items() if rate == {1e-3}}
    assert trained == {"gru_basis", "attention", "to_yield", "gru_ra", "to_ra"}
    assert {part for part, own in respiration.items() if own == {0.0}} == {"attention", "to_yield"}
    assert (county["gru_basis"], county["to_yield"], county["gru_rh"]) == ({2e-4}, {1e-3}, {0.0})
    assert again == respiration
    assert (towers["gru_ra"], towers["to_rh"], towers["gru_nee"]) == ({5e-4}, {2e-4}, {5e-4})
    assert towers["gru_basis"] == towers["attention"] == {0.0}


def test_the_steps_learn_from_what_the_paper_learns_from(published):
    assert [(stage.dataset, stage.targets) for stage in published] == [
        ("synthetic", ("Ra", "yield")),
        ("synthetic", ("Ra", "Rh", "NEE")),
        ("counties", ("yield",)),
        ("synthetic", ("Ra", "Rh", "NEE")),
        ("towers", ("Reco", "NEE")),
    ]
    pacing = [stage.course.pacing for stage in published]
    assert pacing == [SelfPaced(), None, SelfPaced(), None, None]


def test_the_schedules_are_the_papers(published):
    schedule = lambda course: (course.epochs, course.patience, course.decay, course.decay_every)
    assert [schedule(stage.course) for stage in published] == [
        (1000, 100, 0.5, 100),
        (80, 10, 0.5, 20),
        (1000, 100, 0.5, 100),
        (40, 5, 0.5, 10),
        (120, 5, 0.6, 30),
    ]
    assert all(stage.course.spin_up_years == 2 for stage in published)


def test_without_knowledge_only_the_error_is_left(published):
    bare = plan.five_steps(plan.Losses(SCALING, 0.0))
    for stage, known in zip(bare, published, strict=True):
        objective = stage.course.objective
        assert [term.name for term in objective.terms] == ["error"]
        assert not objective.behaviours
        extra = [*known.course.objective.terms[1:], *known.course.objective.behaviours]
        assert bool(extra) == (stage.name != "yield-and-ra")


def test_fewer_epochs_shorten_every_length_but_no_patience_below_five(published):
    course = plan.shortened(published[4], 12, batch=3).course
    assert (course.epochs, course.patience, course.decay_every, course.batch) == (12, 5, 3, 3)
    assert plan.shortened(published[0], 200).course.patience == 20
    whole = plan.shortened(published[1], None)
    assert whole == plan.shortened(published[1], 200) == published[1]


@pytest.mark.slow
def test_a_run_holds_its_steps_and_scores(run):
    summary = json.loads((run / "summary.json").read_text())
    assert list(summary["steps"]) == ["respiration", "respiration-again"]
    steps = {path.name for path in (run / "steps").iterdir()}
    assert steps == {"1-respiration", "2-respiration-again"}
    with xr.open_dataset(run / "scores.nc") as scores:
        assert dict(scores.sizes) == {"step": 2, "dataset": 3, "variable": 5}
        assert np.isnan(scores["r2"].sel(dataset="towers", variable="Ra")).all()
        assert (scores["balance_residual"] > 1e-3).all()
    assert "| respiration" in (run / "scores.md").read_text()
    assert (run / "figures" / "scatter_synthetic_Rh.png").is_file()


@pytest.mark.slow
def test_a_finished_run_is_found_again(run, capsys, monkeypatch):
    monkeypatch.setattr(console, "can_draw", lambda: False)
    program.main(replace(TINY, run=run))
    assert capsys.readouterr().out.count("read from an earlier run") == 2


@pytest.mark.slow
def test_another_configuration_in_the_same_folder_is_refused(run, run_program):
    status, _, message = run_program(program, KgmlAgConfig, "--run", run, "--hidden", 8)
    assert status == 2
    assert "another configuration" in message
    assert "hidden 4 before, 8 now" in message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", "6"), "--steps 6; expected some of 1 to 5"),
        (("--epochs", "0"), "--epochs 0; expected at least 1"),
        (("--batch", "0"), "--batch 0; expected at least 1"),
        (("--towers", "nowhere"), "nowhere"),
        (("--champaign", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_run_is_said(run_program, tmp_path, options, message):
    small = ("--series", 2, "--years", 4, "--counties", 2)
    folder = tmp_path / "run"
    status, _, error = run_program(program, KgmlAgConfig, "--run", folder, *small, *options)
    assert status == 2
    assert message in error
    assert not folder.exists()


def test_a_hard_balance_leaves_no_network_of_nee_to_train():
    config = replace(TINY, balance="hard")
    model = RecurrentModel(SCALING, **(PUBLIC | {"balance": "hard", "hidden": 4}))
    weights = model.init(jax.random.key(0))
    for stage in program.make_plan(config, model):
        stage.course.check(weights)
        assert not any("nee" in pattern for pattern, _ in stage.course.rates)


@pytest.mark.slow
def test_all_five_steps_run_one_after_the_other(tmp_path):
    program.main(replace(TINY, run=tmp_path / "five", steps=(1, 2, 3, 4, 5), epochs=5))
    steps = json.loads((tmp_path / "five" / "summary.json").read_text())["steps"]
    assert len(steps) == 5
    assert all(step["healthy"] for step in steps.values())
    assert all(step["best_error"] <= step["start_error"] for step in steps.values())


@pytest.mark.slow
def test_counties_of_champaign_have_their_reported_yields(data_folder):
    sites = data.champaign(data_folder)
    yields, seen = np.asarray(sites.site.targets["yield"]), np.asarray(sites.site.mask["yield"])
    assert (seen.sum(axis=1) >= 20).all()
    assert 60 < yields[seen].min() < yields[seen].max() < 600
    gpp = np.asarray(sites.site.forcing.prescribed_gpp).sum(axis=1) / 22
    assert ((gpp > 700) & (gpp < 2000)).all()
