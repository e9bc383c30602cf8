from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import jax.numpy as jnp
import numpy as np
import pytest
import toys
import xarray as xr
from studies.ftbsc import cells, program, replicates, report
from studies.ftbsc import settings as ftbsc_settings
from studies.ftbsc.cells import Laboratory
from studies.ftbsc.results import Results, gather, verdicts
from studies.ftbsc.settings import FtbscConfig, Setting, design_of
from studies.ftbsc.store import Store
from studies.ftbsc.training import FitResults, Held, Knobs

from kgml_jax import mapping
from kgml_jax.adaptation import Adaptation, Dense, flatten
from kgml_jax.evaluation import claims
from kgml_jax.runs import files

START = {
    "calibration": {"input_scale": jnp.ones(3)},
    "gru_basis": {"layer_0": {"w_hh": jnp.full((2, 2), 0.5)}},
}


def given(**knobs):
    return {
        "start": START,
        "knobs": {n: jnp.asarray(1.0 * v) for n, v in vars(Knobs(**knobs)).items()},
    }


def moved(weights):
    phi = Held().init(weights)
    return phi | {"shift": {path: leaf + 0.2 for path, leaf in phi["shift"].items()}}


def test_the_ridges_are_those_of_an_adaptation():
    phi = moved(given(mu=0.3, rho=0.7))
    rules = (("calibration/*", Dense(ridge=0.7)), ("*", Dense(ridge=0.3)))
    same = {path: {"shift": shift} for path, shift in phi["shift"].items()}
    expected = Adaptation(rules=rules).penalty(same)
    np.testing.assert_allclose(Held().penalty(phi), expected, rtol=1e-6)


def test_what_is_not_free_stays_where_it_started():
    weights = given(backbone=False)
    found = flatten(Held().apply(weights, moved(weights)))
    np.testing.assert_allclose(found["gru_basis/layer_0/w_hh"], 0.5)
    np.testing.assert_allclose(found["calibration/input_scale"], 1.2)


def test_the_neutral_distance_changes_nothing():
    weights = given()
    found = flatten(Held().apply(weights, Held().init(weights)))
    assert all((found[path] == leaf).all() for path, leaf in flatten(START).items())


def test_fits_repeat_and_part_again():
    stacked = mapping.repeated(START, 3)
    one = flatten(mapping.one_of(stacked, 2))
    assert all((one[path] == leaf).all() for path, leaf in flatten(START).items())


@pytest.fixture(params=[True, False], ids=["quick", "full"])
def settings(request):
    config = ftbsc_settings.resolved(ftbsc_settings.FtbscConfig(quick=request.param))
    return design_of(config).settings()


def test_settings_have_names_of_their_own(settings):
    assert len({setting.name for setting in settings}) == len(settings)


def test_every_setting_comes_after_the_stage_it_starts_from(settings):
    seen = set()
    for setting in settings:
        if setting.training != "scratch":
            scratch = next(s for s in settings if s.training == "scratch")
            assert ftbsc_settings.scratch_of(setting, scratch) in seen
        seen.add(setting)


STATES = ("IA", "IA", "IA", "IL", "IN", "IN")


def toy_sites(config, counts, seed):
    sites = toys.sites(len(STATES), years=6, seed=seed)
    names = tuple(f"{state}-{row}" for row, state in enumerate(STATES))
    return replace(sites, names=names, groups=STATES, group_names=("IA", "IL", "IN"))


CONFIG = FtbscConfig(
    seeds=3,
    inputs="default",
    hidden=2,
    warmup_days=5,
    steps=4,
    validate_every=2,
    batch=4,
    mu=(1e-2, 1.0),
    rho=(1e-2,),
    knowledge=(1.0, 0.0),
)


@dataclass(frozen=True)
class ExactLaboratory(Laboratory):
    """Cells without training: predictions are what was observed, with an error by arm."""

    levels: Mapping[str, float] = field(default_factory=dict)
    validation: Callable[[Setting], float] = lambda setting: 1.0
    stop_after: float = np.inf
    trained: list[tuple[Setting, int]] = field(default_factory=list)

    def fit(self, setting, replicate, seed, before, rounds=None):
        if rounds is None:
            if len(self.trained) == self.stop_after:
                raise KeyboardInterrupt
            self.trained.append((setting, seed))
        count = len(replicate.fit_names)
        each = np.full(count, self.validation(setting))
        weights = {"calibration": {"input_scale": np.full((count, 2), float(seed))}}
        return FitResults(weights, each, each, each, each, np.ones(count, bool))

    def predictions(self, setting, replicate, weights):
        seed = int(weights["calibration"]["input_scale"][0, 0])
        site = replicate.windows
        predicted = {}
        for row, name in enumerate(replicate.fit_names):
            random = np.random.default_rng((seed, row))
            inside = [replicate.state_of[place] == name for place in replicate.owner]
            level = self.levels.get(setting.training, 2.0)
            elsewhere = self.levels["pooled" if name == "pooled" else "other"]
            level = np.where(np.array(inside)[:, None], level, elsewhere)
            error = level * random.normal(size=site.valid.shape)
            reco, gpp = (np.asarray(site.targets[variable]) for variable in ("Reco", "GPP"))
            reco = reco + error
            amiss = 0.01 * (1 + row + seed) if setting.knowledge else 0.5
            nee = reco - gpp + amiss
            fluxes = {"GPP": gpp, "Ra": reco / 2, "Rh": reco / 2, "Reco": reco, "NEE": nee}
            predicted[name] = fluxes
        return predicted

    def curves(self, setting, replicate, weights):
        points = np.arange(len(self.probes[0].values), dtype=float)
        return np.broadcast_to(points, (len(replicate.states), len(self.probes), 2, points.size))


GOOD = {"calibrated": 0.5, "continued": 0.7, "pooled": 1.0, "other": 1.5}


ONE_SEED = replace(CONFIG, seeds=1)


def run_toys(folder, levels=GOOD, config=CONFIG, **options):
    """Runs what is missing without training; returns what was trained."""
    trained = []
    equip = lambda config, scaling: ExactLaboratory(
        config, scaling, levels=levels, trained=trained, **options
    )
    try:
        program.run_missing(replace(config, run=folder), load=toy_sites, equip=equip)
    except KeyboardInterrupt:
        assert len(trained) == options["stop_after"]
    return trained


def results_of(folder, config=CONFIG):
    design = design_of(config)
    return Results(gather(Store(folder), design.settings(), range(config.seeds)), design)


def judged(folder):
    results = results_of(folder)
    return {claim.name: claim.verdict for claim in verdicts(results, results.chosen())}


@pytest.mark.slow
def test_the_verdicts_follow_from_the_cells(tmp_path, capsys):
    config = replace(CONFIG, run=tmp_path / "run")
    run_toys(config.run)
    report.write(config, design_of(config), Store(config.run), range(3))
    printed = capsys.readouterr().out
    assert printed.index("cells to run take at most") < printed.index("[1/")
    assert "Verdicts on the claims" in (config.run / "tables.md").read_text()
    assert len(list((config.run / "figures").glob("*.png"))) == 4
    found = judged(config.run)
    reproduced = ("T1", "T3", "T4", "T5", "D")
    assert [found[name] for name in reproduced] == [claims.REPRODUCED] * 5
    with xr.open_dataset(config.run / "ftbsc.nc") as written:
        assert {"setting", "seed", "train", "site", "state", "variable"} <= set(written.sizes)
        assert {"mse", "r2", "paper_loss", "balance_residual", "response"} <= set(written)
        assert (written["paper_loss"] <= written["mse"] / written["target_sd"] ** 2).all()


def test_another_order_of_the_arms_is_not_reproduced(tmp_path):
    run_toys(tmp_path / "run", GOOD | {"calibrated": 0.9})
    found = judged(tmp_path / "run")
    assert found["T1"] == claims.NOT_REPRODUCED
    assert found["T4"] == claims.NOT_REPRODUCED
    assert found["T3"] == claims.REPRODUCED


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path):
    config = replace(CONFIG, seeds=2)
    before = run_toys(tmp_path / "run", config=config, stop_after=7)
    after = run_toys(tmp_path / "run", config=config)
    assert set(before).isdisjoint(after)
    assert len(before) + len(after) == 2 * len(design_of(config).settings())
    assert run_toys(tmp_path / "run", config=config) == []


def test_cells_of_another_configuration_are_refused(tmp_path):
    run_toys(tmp_path / "run", stop_after=1)
    with pytest.raises(ValueError, match=r"rate 0\.001 before, 0\.005 now.*choose another --run"):
        program.run_missing(replace(CONFIG, run=tmp_path / "run", rate=5e-3), load=toy_sites)


def test_cells_of_files_that_changed_since_are_refused(tmp_path):
    store = Store(tmp_path)
    store.holds(toy_sites(CONFIG, "given", 0))
    store.holds(toy_sites(CONFIG, "given", 0))
    with pytest.raises(ValueError, match=r"data of --data are not those of the cells"):
        store.holds(toy_sites(CONFIG, "given", 1))


def test_the_ridges_are_chosen_on_validation_days_alone(tmp_path):
    of_ridge = lambda setting: 0.5 if setting.knobs.mu == 1.0 else 1.0
    run_toys(tmp_path / "run", config=ONE_SEED, validation=of_ridge)
    assert results_of(tmp_path / "run", ONE_SEED).chosen().knobs.mu == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"knowledge": (1.0,)}, "expected 0 among them"),
        ({"knowledge": (0.0, 1.0)}, "but not first"),
        ({"other_rate": CONFIG.rate}, "--other-rate is --rate"),
        ({"seeds": 0}, "--seeds 0; expected at least 1"),
    ],
)
def test_what_would_compare_nothing_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        design_of(replace(CONFIG, **change))


def test_a_run_that_finished_nothing_does_not_bind_its_folder(tmp_path):
    for rate in (CONFIG.rate, 5e-3):
        with Store.open(replace(CONFIG, run=tmp_path / "run", rate=rate)):
            pass
    assert files.read_json(tmp_path / "run" / "config.json")["rate"] == 5e-3


@pytest.fixture(scope="module")
def stages():
    """A first stage and what was calibrated from it with the backbone held, really trained."""
    replicate = replicates.make_replicate(CONFIG, "paper", 0, load=toy_sites)
    scaling = replicates.scaling(CONFIG, toy_sites(CONFIG, "paper", 0))
    laboratory = Laboratory(CONFIG, scaling, build=lambda *some: toys.ToyModel())
    design = design_of(CONFIG)
    first = cells.run(laboratory, design.scratch, replicate, 0, None)
    head = design.ablation["head only"]
    return replicate, first, cells.run(laboratory, head, replicate, 0, first.weights)


def test_calibration_starts_from_the_pooled_model(stages):
    replicate, first, second = stages
    pooled = first.scores["best_error"].sel(train="pooled")
    np.testing.assert_allclose(second.scores["best_error"].sel(train="pooled"), pooled, rtol=1e-5)
    assert second.scores["steps"].sel(train="pooled") == 0
    assert (second.scores["steps"].sel(train=list(replicate.states)) > 0).all()
    better = second.scores["best_error"] <= second.scores["start_error"]
    assert better.all()


def test_what_an_ablation_holds_is_held_in_every_state(stages):
    _, first, second = stages
    before, after = flatten(first.weights), flatten(second.weights)
    held = [path for path in before if not path.startswith("calibration/")]
    assert all((after[path] == before[path][-1]).all() for path in held)
    moved = after["calibration/output_shift"] != before["calibration/output_shift"][-1]
    assert moved[:-1].any()


def test_a_cell_scores_every_model_in_every_state(stages):
    replicate, first, _ = stages
    assert first.scores["mse"].sel(variable="NEE").notnull().all()
    assert first.scores["train"].values.tolist() == list(replicate.fit_names)
    assert np.isfinite(first.scores["response"]).all()
    assert replicate.site_years == {"IA": 9, "IL": 3, "IN": 6}


@pytest.mark.slow
def test_the_experiment_runs_on_the_embedded_data(tmp_path, capsys):
    sizes = {"steps": 2, "validate_every": 2, "batch": 2, "other_batch": 1, "hidden": 2, "seeds": 2}
    data = replace(CONFIG.data, synthetic_sites=6, synthetic_years=4)
    short = {"mu": (1e-2,), "rho": (1e-2,), "knowledge": (1.0, 0.0), "warmup_days": 5}
    program.main(FtbscConfig(run=tmp_path / "run", data=data, **sizes, **short))
    assert "Verdicts on the claims" in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "run" / "ftbsc.nc") as written:
        sites = (written["n_observed"].sum("variable") > 0).sum("site")
        by_counts = {
            str(name).split("-")[0]: int(n)
            for name, n in zip(written["setting"].values, sites.isel(seed=0).values, strict=True)
        }
    assert by_counts == {"paper": 6, "equal": 6}
