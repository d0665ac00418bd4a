"""examples/: the notebook runs from its first cell to its last, and says what the text around it promises."""

import os

import pytest

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "examples")
NOTEBOOK = os.path.join(FOLDER, "class_activation_maps.ipynb")


def read():
    import nbformat
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_kept_without_what_it_printed():
    assert all(not cell.outputs and cell.execution_count is None for cell in read().cells if cell.cell_type == "code")


@pytest.mark.slow
def test_the_notebook_runs():
    from nbclient import NotebookClient
    cells = NotebookClient(read(), timeout=300, kernel_name="python3", resources={"metadata": {"path": FOLDER}}).execute().cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    said = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    assert "Egyptian cat" in said and "espresso" in said and "the mean of a map is its class's logit: True" in said
    assert "right      MaxBoxAcc 1.00 " in said and "elsewhere  MaxBoxAcc 0.00 " in said
