"""Who may import whom; see docs/architecture.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kgml_jax"

# Each part may import the parts listed, itself, and outside packages not reserved below.
ALLOWED = {
    "arrays": set(),
    "backend": set(),
    "display": set(),
    "errors": set(),
    "mapping": set(),
    "progress": set(),
    "records": set(),
    "writing": set(),
    "bijections": {"arrays", "records"},
    "integrate": {"records"},
    "process": {"arrays", "records", "bijections", "integrate"},
    "sites": {"records", "display", "process"},
    "split": {"errors", "display", "sites"},
    "adaptation": {"records"},
    "nets": {"records"},
    "models": {
        *("records", "bijections", "sites", "split", "adaptation", "process", "nets", "integrate"),
    },
    "objectives": {"records", "sites"},
    "data": {"records", "bijections", "errors", "sites", "split", "process"},
    "training": {
        *("records", "mapping", "sites", "split", "adaptation", "models", "objectives", "writing"),
    },
    "inversion": {
        *("records", "bijections", "mapping", "sites", "split", "adaptation"),
        *("models", "process", "objectives", "training"),
    },
    "evaluation": {
        *("records", "errors", "sites", "split", "models", "objectives", "training", "data"),
        "writing",
    },
    "runs": {
        *("display", "sites", "split", "adaptation", "models", "objectives", "data", "training"),
        "errors",
        "writing",
    },
    "workflows": {
        *("records", "errors", "display", "sites", "split", "adaptation", "process", "models"),
        *("objectives", "data", "training", "inversion", "evaluation", "runs", "writing"),
    },
    "api": {
        *("display", "progress", "errors", "sites", "split", "models", "data", "training", "runs"),
        "workflows",
    },
    "cli": {
        *("backend", "progress", "display", "records", "errors", "sites", "split", "adaptation"),
        *("process", "models", "data", "training", "inversion", "evaluation", "runs"),
        *("workflows", "api"),
    },
    "__init__": {"backend", "errors", "api"},
}
RESERVED = {
    "flax": {"nets"},
    "optax": {"training", "inversion"},
    "orbax": {"training"},
    "xarray": {"data", "evaluation", "runs", "workflows", "api", "cli"},
    "pandas": {"data", "evaluation", "workflows"},
    "matplotlib": {"evaluation"},
    "sklearn": {"evaluation"},
    "blackjax": {"inversion"},
    "spotpy": {"inversion"},
    "filelock": {"runs"},
    "tyro": {"cli"},
    "rich": {"evaluation", "progress", "cli"},
}
STUDIES = ROOT / "experiments" / "studies"
SHARED_STUDIES = {"measured_fields"}
"""Studies that hold what several others look at: the fields themselves."""


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def study_parts(path: Path) -> set[str]:
    return {name.split(".")[1] for name in imports(path) if name.startswith("studies.")}


MODULES = sorted(PACKAGE.rglob("*.py"))
STUDY_MODULES = sorted(path for path in STUDIES.rglob("*.py") if path.name != "__init__.py")
PROGRAMS = sorted(ROOT.glob("experiments/*.py"))
PRODUCT = {"pretrain", "calibrate", "predict", "evaluate", "estimate", "simulate", "check_data"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_what_its_layer_may(path):
    own = part(path)
    assert own in ALLOWED, f"{own} has no place in the layers"
    inner = {name.split(".")[1] for name in imports(path) if name.startswith("kgml_jax.")}
    assert inner - {own} <= ALLOWED[own]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_outside_packages_stay_in_their_rooms(path):
    outside = {name.split(".")[0] for name in imports(path)} & set(RESERVED)
    assert all(part(path) in RESERVED[package] for package in outside)


@pytest.mark.parametrize(
    ("package", "modules"),
    [
        ("orbax", {"training/checkpoint.py", "training/state_checkpoints.py"}),
        ("optax", {"training/fit.py", "inversion/solvers/gradient.py"}),
        ("spotpy", {"inversion/solvers/shuffled.py"}),
        ("blackjax", {"inversion/sampling.py"}),
    ],
)
def test_only_few_modules_know(package, modules):
    users = [path for path in MODULES if any(n.startswith(package) for n in imports(path))]
    assert {str(path.relative_to(PACKAGE)) for path in users} <= modules


def test_data_reads_of_the_process_only_records_tables_and_what_takes_both_kinds_of_arrays():
    for path in sorted((PACKAGE / "data").rglob("*.py")):
        inner = {name for name in imports(path) if name.startswith("kgml_jax.process")}
        allowed = ("crop_table", "drivers", "parameters", "pedotransfer", "humidity", "radiation")
        assert all(name.split(".")[2] in allowed for name in inner), path


def test_there_is_no_drawer():
    assert not [path for path in MODULES if "util" in path.stem or "helper" in path.stem]


@pytest.mark.parametrize("path", STUDY_MODULES, ids=lambda p: str(p.relative_to(STUDIES)))
def test_a_study_imports_the_package_and_its_own_folder(path):
    own = path.relative_to(STUDIES).parts[0]
    assert study_parts(path) <= {own} | SHARED_STUDIES
    local = {file.stem for file in [*STUDY_MODULES, *PROGRAMS]}
    assert not {name.split(".")[0] for name in imports(path)} & local


def test_no_study_goes_round_in_a_circle():
    names = {
        path: ".".join(path.relative_to(STUDIES.parent).with_suffix("").parts)
        for path in STUDY_MODULES
    }
    known = {name: path for path, name in names.items()}

    def targets(path):
        found = set()
        for name in imports(path):
            found |= {known[part] for part in (name, name.rpartition(".")[0]) if part in known}
        return found - {path}

    ahead = {path: targets(path) for path in STUDY_MODULES}
    while free := [path for path, others in ahead.items() if not others & set(ahead)]:
        ahead = {path: others for path, others in ahead.items() if path not in free}
    assert not ahead, [names[path] for path in ahead]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_package_knows_no_program_and_no_study(path):
    assert not {name.split(".")[0] for name in imports(path)} & {"studies", "experiments"}


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.name)
def test_a_program_is_a_few_lines(path):
    assert len(path.read_text().splitlines()) <= 15
    homes = {name.split(".")[0] for name in imports(path)}
    assert homes == ({"kgml_jax"} if path.stem in PRODUCT else {"kgml_jax", "studies"})


def test_only_the_edge_of_the_package_speaks_to_a_user():
    for path in MODULES:
        if part(path) not in ("cli",):
            calls = [
                node
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            ]
            assert not [node for node in calls if node.func.id == "print"], path


def test_no_folder_holds_more_than_three_tenths_of_the_code():
    lines = lambda paths: sum(len(path.read_text().splitlines()) for path in paths)
    everything = lines([*MODULES, *STUDY_MODULES, *PROGRAMS])
    folders = [path for path in [*PACKAGE.iterdir(), *STUDIES.iterdir()] if path.is_dir()]
    largest = max(lines(folder.rglob("*.py")) for folder in folders)
    assert largest <= 0.3 * everything
