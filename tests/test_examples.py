"""examples/: the notebook runs from its first cell to its last, and says what the text around it promises."""

import os
import re

import pytest

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "examples")
NOTEBOOK = os.path.join(FOLDER, "class_activation_maps.ipynb")


def read():
    import nbformat
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs_of(cells):
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def printed(outputs):
    return "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")


def pictures(outputs):
    return [output for output in outputs if "image/png" in output.get("data", {})]


def test_the_notebook_is_kept_with_what_it_printed_and_drew():
    """By bench/notebook.py: small, and nothing of the machine where it ran."""
    cells = read().cells
    outputs = outputs_of(cells)
    assert [cell.execution_count for cell in cells if cell.cell_type == "code"] == list(range(1, 1 + sum(cell.cell_type == "code" for cell in cells)))
    assert len(pictures(outputs)) == 4 and "Egyptian cat" in printed(outputs)
    assert all(output.output_type != "error" and output.get("name") != "stderr" for output in outputs)
    assert os.path.getsize(NOTEBOOK) < 1_000_000
    words = printed(outputs) + "".join(output.data.get("text/plain", "") for output in outputs if "data" in output)
    assert not re.search(r"(?<![.\w])/\w|\\\\|[A-Z]:|0x[0-9a-f]{6}|WARNING", words), words


@pytest.mark.slow
def test_the_notebook_runs_and_prints_what_is_kept():
    from nbclient import NotebookClient
    cells = NotebookClient(read(), timeout=300, kernel_name="python3", resources={"metadata": {"path": FOLDER}}).execute().cells
    outputs, said = outputs_of(cells), printed(outputs_of(cells))
    assert len(pictures(outputs)) == 4
    assert "Egyptian cat" in said and "espresso" in said and "the mean of a map is its class's logit: True" in said
    assert "right      MaxBoxAcc 1.00 " in said and "elsewhere  MaxBoxAcc 0.00 " in said
    assert re.sub("[0-9.]+", "", said) == re.sub("[0-9.]+", "", printed(outputs_of(read().cells)))
