"""What the README tells people to type is what the programs take."""

import importlib
import os
import re
import shlex

import numpy as np
import pytest

import metrics
import ops
import probe
import train_loop
from cam_base import InputError
from cam_evaluation.settings import parse_evaluate
from cam_localization import parse_localize

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGES = ("ops", "metrics", "nets", "weights", "localization", "cam_base", "cam_data", "cam_evaluation",
            "cam_training")


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


README, EVALUATION = read("README.md"), read("docs", "evaluation.md")


def commands(program):
    """The argument lists of every line that starts `python <program>`."""
    lines = re.findall(rf"^ *python {re.escape(program)}(?: (.*))?$", README + EVALUATION, re.M)
    return [shlex.split(line, comments=True) for line in lines]


EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.mark.parametrize("example", [
    pytest.param(example, id=name, marks=[pytest.mark.slow] * (name == "streams"))
    for example, name in zip(EXAMPLES, ("the call", "streams", "operations"), strict=True)])
def test_an_example_runs(example, capsys):
    exec(compile(example.replace("samples/", os.path.join(ROOT, "samples", "")), "README.md", "exec"), {})
    assert len(example.strip().splitlines()) <= 12 and capsys.readouterr().out


def test_the_example_of_max_box_acc_runs():
    (example,) = re.findall(r"```python\n(.*?)```", EVALUATION, re.S)
    exec(compile(example, "evaluation.md", "exec"), {"pictures": [(np.eye(4), [[0, 0, 9, 9]], (10, 10))]})


def test_functions_of_the_evaluation_are_there():
    rows = re.findall(r"^\| [^|]+ \| (`\w+`(?:, `\w+`)*) \| [^|]+ \|$", EVALUATION, re.M)
    names = re.findall(r"\w+", " ".join(rows))
    assert {"MaxBoxAccV2", "evaluate_guesses", "author_boxes"} <= set(names)
    for name in names:
        assert hasattr(metrics, name) or hasattr(ops, name), name


def exists(name):
    """Whether a dotted name leads to a module, or to what is in one."""
    first, *others = name.split(".")
    found = importlib.import_module(first)
    for other in others:
        try:
            found = getattr(found, other, None) or importlib.import_module(f"{found.__name__}.{other}")
        except (ImportError, AttributeError):
            return False
    return True


@pytest.mark.parametrize("package", PACKAGES)
def test_what_docstrings_name_is_there(package):
    """`package.name` and, in a package, `module.name`."""
    assert exists("metrics.intervals.compare") and not exists("metrics.bootstrap.best_threshold_samples")
    files = [name for name in os.listdir(os.path.join(ROOT, package)) if name.endswith(".py")]
    for file in files:
        for name in re.findall(r"`((?:\w+\.)+\w+)`", read(package, file)):
            first = name.split(".")[0]
            assert first not in PACKAGES or name.endswith((".py", ".npz")) or exists(name), (file, name)
            assert f"{first}.py" not in files or exists(f"{package}.{name}"), (file, name)


PARSERS = {"localize.py": parse_localize, "evaluate.py": parse_evaluate, "probe.py": probe.parse}


@pytest.mark.parametrize("program, arguments", [(name, given) for name in PARSERS for given in commands(name)])
def test_commands_are_understood(program, arguments):
    PARSERS[program](arguments)


@pytest.mark.parametrize("arguments", [a for a in commands("train_loop.py")])
def test_commands_of_train_loop_are_understood(arguments, monkeypatch, tmp_path):
    """Up to the files that they name, which are not here."""
    monkeypatch.chdir(tmp_path)
    try:
        train_loop.parse(arguments)
    except InputError as error:
        assert re.search("no run that could be resumed|no such weights file|already holds", str(error)), error
    except SystemExit as end:
        assert end.code == 0 and "--help" in arguments


def test_files_that_the_readme_names_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert os.path.exists(os.path.join(ROOT, target)), target
    for place in re.findall(r"^\| `([\w/]+(?:\.py|/))`", README, re.M):
        assert os.path.exists(os.path.join(ROOT, place)), place
    for script in re.findall(r"python (bench/\w+\.py)", README):
        assert os.path.exists(os.path.join(ROOT, script)), script


@pytest.mark.parametrize("document, least", [("faults.md", 80), ("formats.md", 12)])
def test_every_row_of_the_lists_has_its_test(document, least):
    with open(os.path.join(ROOT, "docs", document), encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("| ") and "::" in line]
    assert len(rows) >= least
    for row in rows:
        path = None
        for test in re.findall(r"(tests/\w+\.py)?(?:::)?(test_\w+)", row.split("|")[-2]):
            path = test[0] or path
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                assert f"def {test[1]}(" in file.read(), test
