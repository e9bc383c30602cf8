"""Tables of the FTBSC experiment."""

import numpy as np
import xarray as xr

from kgml_jax.evaluation.claims import (
    POOLED,
    Claim,
    Interval,
    Requirement,
    interval_of,
    relative_difference,
)
from kgml_jax.evaluation.tables import Grid, number
from studies.ftbsc.results import (
    Results,
    drift,
    own_models,
    pooled_model,
    responses_by_kind,
    training_data,
)
from studies.ftbsc.settings import Design, Setting, scratch_of

MEASURE = "masked squared error of the test years, each variable in units of its variance"
BRACKETS = "mean over seeds [95 % interval]"


def arms(results: Results, arm: Setting) -> Grid:
    """Global, independent and calibrated models by state, in every setting of the counts."""
    design = results.design
    rows = []
    for continued, ours in results.compared(arm):
        table = results.errors(continued)
        data = training_data(results, continued)
        alone, common, own = own_models(table), pooled_model(table), results.errors(ours)
        for state in results.states:
            three = [one.sel(state=state).values for one in (common, alone, own_models(own))]
            gains = (_change(three[2], three[row]) for row in (1, 0))
            name = (continued.counts, state, f"{data[state]:.0f}")
            rows.append((*name, *(_spread(interval_of(one)) for one in three), *gains))
    header = ("counts", "state", "site-years", "global", "independent", "calibrated")
    header += ("calibrated vs independent", "calibrated vs global")
    title = f"Arms: {MEASURE}; {BRACKETS}. Calibrated: {_words(arm)} as {_origin(design.sweep)}"
    return Grid(title, header, tuple(rows), text_columns=2)


def variables(results: Results, arm: Setting) -> Grid:
    """Honest masked MSE and R2 of every variable, and the paper-scale loss as an extra column."""
    rows = []
    for state in results.states:
        for variable in results.cells["variable"].values:
            cells = []
            for setting, train in _three(results, arm, state):
                one = results.of(setting).sel(state=state, variable=variable, train=train)
                loss = _of_state(results.of(setting), state)["paper_loss"]
                loss = loss.sel(variable=variable, train=train).mean()
                r2, mse = (float(one[name].mean("seed")) for name in ("state_r2", "state_mse"))
                cells += [f"{r2:.3f}", number(mse), number(float(loss))]
            rows.append((state, str(variable), *cells))
    names = ("global", "independent", "calibrated")
    measures = ("R2", "MSE", "paper-scale")
    header = ("state", "variable", *(f"{name}: {what}" for name in names for what in measures))
    title = (
        "Variables: R2 and masked MSE in (g C m-2 d-1)^2 of the pooled test days of a state, mean "
        "over seeds; beside them the loss on the paper's scale, in which the squared standardised "
        "error of a day without observation counts as 0"
    )
    return Grid(title, header, tuple(rows), text_columns=2)


def _three(results: Results, arm: Setting, state: str) -> list[tuple[Setting, str]]:
    continued = results.design.continued
    return [(continued, POOLED), (continued, state), (arm, state)]


def _of_state(cells: xr.Dataset, state: str) -> xr.Dataset:
    return cells.isel(site=np.flatnonzero(cells["state_of"].values == state))


def cross_state(results: Results, arm: Setting) -> Grid:
    """Train by test, the lowest of each column marked."""
    rows = []
    for what, setting in {"independent": results.design.continued, "calibrated": arm}.items():
        table = results.errors(setting)
        lowest = table.mean("seed").idxmin("train")
        for train in (*results.states, POOLED):
            cells = []
            for state in results.states:
                text = _spread(interval_of(table.sel(train=train, state=state).values))
                best = lowest.sel(state=state).item() == train
                cells.append(f"**{text}**" if best else text)
            rows.append((what, train, *cells))
    header = ("models", "trained on", *(f"tested in {state}" for state in results.states))
    title = (
        f"Cross-state table: {MEASURE}; {BRACKETS}; lowest of a column bold. Pooled: among the "
        "independent the global model, among the calibrated that from which calibration starts"
    )
    return Grid(title, header, tuple(rows), text_columns=2)


def _calibrated_arms(design: Design) -> list[tuple[str, str, Setting]]:
    # Kind, name and setting of every calibrated arm, each once.
    others = {
        "ablation": design.ablation,
        "sensitivity": design.sensitivity,
        "knowledge": design.knowledge,
    }
    listed = [
        ("reference" if setting == design.reference else "ridges", _words(setting), setting)
        for setting in design.sweep
    ]
    for kind, named in others.items():
        listed += [(kind, name, s) for name, s in named.items() if s != design.reference]
    return listed


def variants(results: Results, arm: Setting) -> Grid:
    """Every calibrated arm: sweeps, ablation, sensitivity, balance; and what it is varied from."""
    design = results.design
    reference = _overall(results, design.reference)
    independent = own_models(results.errors(design.continued)).mean("state").values
    against = lambda errors: (_change(errors, reference), _change(errors, independent))
    rows = []
    for kind, name, setting in _calibrated_arms(design):
        errors = _overall(results, setting)
        spread = _spread(interval_of(errors))
        validation = number(results.validation(setting))
        rows.append((kind, _marked(name, setting, arm), validation, spread, *against(errors)))
    uncalibrated = {"neither, pretrained": design.scratch, "neither, global": design.continued}
    for name, setting in uncalibrated.items():
        errors = pooled_model(results.errors(setting)).mean("state").values
        rows.append(("ablation", name, "", _spread(interval_of(errors)), *against(errors)))
    header = ("kind", "arm", "validation", "test", "vs reference", "vs independent")
    title = (
        f"Calibrated arms, mean over states: {MEASURE}; {BRACKETS}. All are varied from the "
        f"reference: head and backbone free, lambda {design.reference.knowledge:g}, soft balance, "
        f"batch {design.reference.batch}, rate {design.reference.rate:g}. Zero-shot: the pooled "
        "model from which calibration starts; global: the same after its own second stage; "
        "independent: always with the reference's rate, batch and lambda"
    )
    return Grid(title, header, tuple(rows), text_columns=2)


def _overall(results: Results, setting: Setting) -> np.ndarray:
    return own_models(results.errors(setting)).mean("state").values


def _marked(name: str, setting: Setting, arm: Setting) -> str:
    return f"**{name}** (chosen)" if setting == arm else name


def physics(results: Results, arm: Setting) -> Grid:
    """Balance, signs and responses before and after calibration, for every calibrated arm."""
    design = results.design
    rows = []
    for kind, name, setting in _calibrated_arms(design):
        start = scratch_of(setting, design.scratch)
        cells = []
        for quantity in ("balance_residual", "negative_share"):
            before = pooled_model(results.physics(start, quantity)).mean()
            after = own_models(results.physics(setting, quantity)).mean()
            cells += [f"{number(float(before))} to {number(float(after))}"]
        alike = responses_by_kind(results, setting)
        cells += [_spread(interval_of(values)) for values in alike.values()]
        lowest = number(float(results.correlations(setting).mean("seed").min()))
        verdict = drift(results, setting).verdict
        rows.append((kind, _marked(name, setting, arm), *cells, lowest, verdict))
    kinds = tuple(f"r, {kind}" for kind, _ in responses_by_kind(results, arm))
    header = ("kind", "arm", "residual", "negative days", *kinds, "lowest r", "keeps the physics")
    title = (
        "Drift by calibration: mean balance residual (g C m-2 d-1) and share of days with a "
        "negative flux, before to after; correlation of the responses of Ra and Rh with those of "
        f"the pooled model before, {BRACKETS}; the lowest of any input, state and flux; whether D "
        "holds over seeds alone"
    )
    return Grid(title, header, tuple(rows), text_columns=2)


def response_grid(results: Results, arm: Setting) -> Grid:
    """How large every response is, and how much of its shape calibration keeps."""
    start = scratch_of(arm, results.design.scratch)
    curves = [results.of(setting)["response"] for setting in (start, arm)]
    alike = results.correlations(arm)
    size = lambda curve: number(float((curve.max("point") - curve.min("point")).mean()))
    rows = []
    for probe in alike["probe"].values:
        cells = []
        for flux in alike["flux"].values:
            own = [curve.sel(probe=probe, flux=flux) for curve in curves]
            r = float(alike.sel(probe=probe, flux=flux).mean())
            cells += [number(r), f"{size(own[0])} to {size(own[1])}"]
        rows.append((str(probe).replace("_", " "), *cells))
    named = [(f"{flux}: r", f"{flux}: range") for flux in alike["flux"].values]
    title = (
        "Responses of the chosen arm, mean over seeds and states: correlation with those of the "
        "pooled model before, and range of the flux over the probed values, g C m-2 d-1, before "
        "to after"
    )
    return Grid(title, ("input", *(name for pair in named for name in pair)), tuple(rows), 1)


def requirements(judged: list[Claim]) -> Grid:
    """Every requirement of every claim with its intervals."""
    rows = [
        (
            claim.name,
            requirement.text,
            _range(requirement),
            _spread(requirement.interval, requirement.relative),
            _limits(requirement.resampled, requirement.relative),
            requirement.verdict,
        )
        for claim in judged
        for requirement in claim.requirements
    ]
    header = (
        "claim",
        "quantity",
        "needs",
        "mean [over seeds]",
        "[over seeds and sites]",
        "verdict",
    )
    return Grid("What each claim requires, with 95 % intervals", header, tuple(rows), 3)


def verdict_grid(judged: list[Claim]) -> Grid:
    """The verdict table."""
    rows = []
    for claim in judged:
        found = [requirement.verdict for requirement in claim.requirements]
        counts = ", ".join(f"{found.count(one)} {one}" for one in ("holds", "fails", "open"))
        rows.append((claim.name, claim.text, counts, claim.verdict))
    header = ("claim", "what it says", "requirements", "verdict")
    return Grid("Verdicts on the claims of Zeng et al. (2025)", header, tuple(rows), text_columns=4)


def _words(setting: Setting) -> str:
    return f"mu {setting.knobs.mu:g}, rho {setting.knobs.rho:g}"


def _origin(sweep: tuple[Setting, ...]) -> str:
    return f"chosen on validation days among {len(sweep)} pairs"


def _range(requirement: Requirement) -> str:
    shown = lambda limit: f"{limit:+.0%}" if requirement.relative else f"{limit:g}"
    limits = [
        f"{sign} {shown(limit)}"
        for sign, limit in ((">", requirement.above), ("<", requirement.below))
        if np.isfinite(limit)
    ]
    return " and ".join(limits)


def _spread(interval: Interval, relative: bool = False) -> str:
    mean = f"{interval.mean:+.1%}" if relative else number(interval.mean)
    return f"{mean} {_limits(interval, relative)}"


def _limits(interval: Interval | None, relative: bool) -> str:
    if interval is None or not np.isfinite([interval.low, interval.high]).all():
        return "[-]"
    shown = lambda value: f"{value:+.1%}" if relative else number(value)
    return f"[{shown(interval.low)}, {shown(interval.high)}]"


def _change(of: np.ndarray, over: np.ndarray) -> str:
    return _spread(relative_difference(of, over), relative=True)
