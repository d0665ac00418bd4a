"""What the README tells people to type is what the programs take."""

import os
import re
import shlex

import pytest

import localize
import probe
import train_loop
from cam_base import InputError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
    README = file.read()


def commands(program):
    """The argument lists of every line that starts `python <program>`."""
    lines = re.findall(rf"^python {re.escape(program)}(?: (.*))?$", README, re.M)
    return [shlex.split(line, comments=True) for line in lines]


def test_the_example_of_ops_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(compile(example, "README.md", "exec"), {})
    assert len(example.strip().splitlines()) <= 12


@pytest.mark.parametrize("arguments", commands("localize.py"))
def test_commands_of_localize_are_understood(arguments):
    localize.parse(arguments)


@pytest.mark.parametrize("arguments", commands("probe.py"))
def test_commands_of_probe_are_understood(arguments):
    probe.parse(arguments)


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
    for place in re.findall(r"^\| `([\w/.]+)`", README, re.M):
        assert os.path.exists(os.path.join(ROOT, place)), place
    for script in re.findall(r"python (bench/\w+\.py)", README):
        assert os.path.exists(os.path.join(ROOT, script)), script
