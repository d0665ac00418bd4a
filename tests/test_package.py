"""What is installed by `pip install .`: the rooms under names that an environment can bear, the programs as commands."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COMMANDS = {"cam-localize", "cam-evaluate", "cam-train", "cam-probe"}
# Of other people's packages, or of anybody's.
UNBEARABLE = {"data", "common", "utils", "tests", "bench", "localize", "evaluate", "train_loop", "probe", "samples"}


def run(*command, **options):
    return subprocess.run([*map(str, command)], check=True, capture_output=True, text=True, **options).stdout


def test_everything_that_is_imported_is_packed():
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)
    packed = set(project["tool"]["setuptools"]["packages"])
    folders = {name for name in os.listdir(ROOT) if os.path.isfile(os.path.join(ROOT, name, "__init__.py"))}
    assert packed == folders - {"tests"} | {"cam_programs"} and not packed & UNBEARABLE
    assert set(project["project"]["scripts"]) == COMMANDS
    with open(os.path.join(ROOT, "requirements.txt"), encoding="utf-8") as file:
        listed = {line.split("#")[0].strip() for line in file} - {""}
    assert set(project["project"]["dependencies"]) == {line for line in listed if not line.startswith("pytest")}


@pytest.fixture
def sources(tmp_path):
    """A copy of what is packed: building leaves files behind, and those of an earlier build would be packed again."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        packed = tomllib.load(file)["tool"]["setuptools"]["packages"]
    folder = tmp_path / "sources"
    for room in (*packed, "samples"):
        if room != "cam_programs":
            shutil.copytree(os.path.join(ROOT, room), folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", *(f for f in os.listdir(ROOT) if f.endswith(".py"))):
        shutil.copy(os.path.join(ROOT, name), folder)
    return folder


@pytest.mark.slow
def test_the_wheel_holds_what_the_call_needs_and_no_name_that_is_not_ours(sources, tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", tmp_path, sources)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert {"ops", "nets", "weights", "metrics", "localization", "cam_programs"} <= top and not top & UNBEARABLE
    assert {"weights/ilsvrc_classes.txt", "cam_programs/localize.py", "cam_programs/samples/coffee.jpg"} <= set(names)
    assert any(name.endswith(".npz") for name in names)


@pytest.mark.slow
def test_the_readmes_call_runs_after_pip_install_from_another_folder(sources, tmp_path):
    python = tmp_path / "environment" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "environment")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", sources)
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        (call,) = re.findall(r"```python\n(import localization\n.*?)```", file.read(), re.S)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    script = elsewhere / "call.py"
    script.write_text(call.replace("samples/", os.path.join(ROOT, "samples", "")))
    printed = run(python, script, cwd=elsewhere)
    assert "cat" in printed and re.search(r"\(\d+, \d+, \d+, \d+\)", printed)
    bin_folder = python.parent
    run(bin_folder / "cam-localize", "--out", "out", cwd=elsewhere)
    assert len(list((elsewhere / "out").glob("*.jpg"))) == sum(name.endswith(".jpg") for name in os.listdir(os.path.join(ROOT, "samples")))
    for command in COMMANDS:
        assert "usage" in run(bin_folder / command, "--help", cwd=elsewhere)
