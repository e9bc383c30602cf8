"""Who may import whom; see docs/architecture.md."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "kgml_jax"

# Each part may import the parts listed, itself, and outside packages not reserved below.
ALLOWED = {
    "backend": set(),
    "records": set(),
    "bijections": {"records"},
    "integrate": {"records"},
    "process": {"records", "bijections", "integrate"},
    "sites": {"records", "process"},
    "adaptation": {"records"},
    "nets": {"records"},
    "models": {"records", "bijections", "sites", "adaptation", "process", "nets", "integrate"},
    "objectives": {"records", "sites"},
    "training": {"records", "sites", "adaptation", "models", "objectives"},
    "inversion": {
        *("records", "bijections", "sites", "adaptation"),
        *("models", "process", "objectives", "training"),
    },
    "evaluation": {"records", "sites", "models", "objectives", "training", "data"},
    "data": {"records", "sites", "process"},
    "__init__": {"backend"},
}
RESERVED = {
    "flax": {"nets"},
    "optax": {"training", "inversion"},
    "orbax": {"training"},
    "xarray": {"data", "evaluation"},
    "pandas": {"data", "evaluation"},
    "matplotlib": {"evaluation"},
    "sklearn": {"evaluation"},
    "blackjax": {"inversion"},
    "spotpy": {"inversion"},
    "tyro": set(),
    "rich": {"evaluation"},
}


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


MODULES = sorted(PACKAGE.rglob("*.py"))


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
        ("orbax", {"training/checkpoint.py"}),
        ("optax", {"training/fit.py", "inversion/gradient.py"}),
        ("spotpy", {"inversion/shuffled.py"}),
        ("blackjax", {"inversion/sampling.py"}),
    ],
)
def test_only_few_modules_know(package, modules):
    users = [path for path in MODULES if any(n.startswith(package) for n in imports(path))]
    assert {str(path.relative_to(PACKAGE)) for path in users} <= modules


def test_data_reads_of_the_process_only_its_records_and_the_pedotransfer():
    for path in sorted((PACKAGE / "data").rglob("*.py")):
        inner = {name for name in imports(path) if name.startswith("kgml_jax.process")}
        allowed = ("drivers", "parameters", "pedotransfer")
        assert all(name.split(".")[2] in allowed for name in inner), path


def test_there_is_no_drawer():
    assert not [path for path in MODULES if "util" in path.stem or "helper" in path.stem]
