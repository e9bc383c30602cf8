"""The notebooks of `docs/tutorials`: short, of the public surface alone, and they run.

The notebooks are the only source of themselves. After a change, execute and store them again:
`jupyter execute --inplace docs/tutorials/*.ipynb`.
"""

import ast
import json
from pathlib import Path

import pytest

import kgml_jax

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
BESIDE = {"kgml_jax", "matplotlib", "numpy", "pathlib", "tempfile", "xarray"}
"""What a tutorial may import."""


def code_cells(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def source(path):
    return ast.parse("\n".join("".join(cell["source"]) for cell in code_cells(path)))


def complaints(cells):
    """What a cell wrote to stderr, or raised: a reader would stumble over it."""
    outputs = [output for cell in cells for output in cell["outputs"]]
    return [
        output
        for output in outputs
        if output["output_type"] == "error"
        # The compiler's alarm of two minutes rings on a machine that has much else to do.
        or (output.get("name") == "stderr" and "slow_operation_alarm" not in text_of(output))
    ]


def text_of(output):
    return "".join(output["text"])


def test_there_are_three_tutorials():
    names = [path.stem for path in NOTEBOOKS]
    assert names == ["first_calibration", "own_fluxnet_folder", "process_parameters"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_uses_the_public_surface_alone(path):
    nodes = list(ast.walk(source(path)))
    imports = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    imports += [str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)]
    assert {name.split(".")[0] for name in imports} <= BESIDE
    assert "kgml_jax" in imports
    used = {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "kgml_jax"
    }
    assert used <= set(kgml_jax.PUBLIC)
    # It checks what it claims, so that it can fail.
    assert any(isinstance(node, ast.Assert) for node in nodes)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_is_stored_as_it_ran(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert not complaints(cells), complaints(cells)
    # Readers clone it with the repository, and a page of pictures is no longer short.
    assert path.stat().st_size < 300_000


@pytest.mark.tutorial
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_tutorial_runs_in_a_fresh_kernel(path, tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=1800,  # per cell; beside other work a cell of 20 s can take many times as long
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    executed = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert not complaints(executed), complaints(executed)
    # A progress bar is one output drawn anew in place, not a line a round.
    assert max(len(cell.outputs) for cell in executed) <= 4
    assert not list(tmp_path.iterdir()), "a tutorial leaves nothing where it is run"
