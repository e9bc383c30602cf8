"""The public surface: its examples run, and importing it stays light."""

import doctest
import subprocess
import sys

import pytest

import kgml_jax
from kgml_jax import api
from kgml_jax.api import models, sites

HEAVY = (
    "flax",
    "optax",
    "orbax",
    "chex",
    "xarray",
    "pandas",
    "scipy",
    "matplotlib",
    "rich",
    "tyro",
)
"""What computes, reads, draws or prints: none of it is needed before something is asked for."""


def imported(statement: str) -> set[str]:
    """Names of all modules that a new Python holds after a statement."""
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_importing_the_package_costs_little_more_than_importing_jax():
    added = imported("import kgml_jax") - imported("import jax")
    assert not {name.split(".")[0] for name in added} & set(HEAVY)
    # Itself, what it asks of the machine, and what tells versions: no layer below the surface.
    own = {name for name in added if name.startswith("kgml_jax")}
    assert own == {"kgml_jax", "kgml_jax.backend"}
    assert len(added - own) < 20


def test_every_public_name_is_there_and_described():
    for name in kgml_jax.PUBLIC:
        assert name in dir(kgml_jax)
        assert len(getattr(kgml_jax, name).__doc__.strip()) > 20
    with pytest.raises(AttributeError, match="no attribute 'calibrated'"):
        kgml_jax.calibrated  # noqa: B018


def test_sites_that_are_not_divided_are_refused_with_the_way_out():
    with pytest.raises(TypeError, match=r"first data = kgml_jax.divide\(sites\)"):
        kgml_jax.pretrain(None, kgml_jax.synthetic_sites)


@pytest.mark.tutorial
def test_the_examples_of_the_public_functions_run():
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    runner = doctest.DocTestRunner(optionflags=flags)
    (session,) = doctest.DocTestFinder(recurse=False).find(api, "kgml_jax.api")
    further = [
        test
        for part in (models, sites)
        for test in doctest.DocTestFinder().find(part, part.__name__)
    ]
    runner.run(session, clear_globs=False)
    examples = [test for test in further if test.examples]
    for test in examples:
        # The examples go on with the session of the module, each by itself.
        test.globs = dict(session.globs)
        runner.run(test)
    assert runner.summarize().failed == 0
    assert len(examples) >= 10
