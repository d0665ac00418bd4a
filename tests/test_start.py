"""What starts quickly, and what is not imported until it is needed."""

import importlib
import inspect
import os
import pydoc
import rlcompleter
import subprocess
import sys

import pytest

import cam_base

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEAVY = ("tensorflow", "scipy", "matplotlib", "keras", "h5py", "PIL")
# Runs a program's main, whatever it ends with, and prints what was imported.
PROGRAM = ("import sys, importlib\n"
           "program = importlib.import_module(sys.argv[1])\n"
           "try:\n    program.main(sys.argv[2:])\n"
           "except (SystemExit, ValueError) as end:\n    print(end, file=sys.stderr)\n"
           "print(*sorted(name.split('.')[0] for name in sys.modules), file=sys.stderr)")


def imported(code, *arguments):
    """Top-level names of what was imported by a piece of code in a process of its own."""
    ran = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stderr.split("\n")[-2].split())


@pytest.mark.parametrize("program", ["localize", "evaluate", "train_loop", "probe"])
@pytest.mark.parametrize("arguments", [["--help"], ["--no-such-option"], ["--out"], ["--weights", "a", "--weights", "b"]])
def test_help_and_errors_of_use_import_nothing_heavy(program, arguments):
    assert not imported(PROGRAM, program, *arguments) & set(HEAVY)


@pytest.mark.parametrize("program", ["localize.py", "evaluate.py", "train_loop.py", "probe.py", "-m weights"])
def test_every_program_says_its_version(program):
    ran = subprocess.run([sys.executable, *program.split(), "--version"], cwd=ROOT, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"{program.replace('-m', 'python -m')} {cam_base.VERSION}\n", "")


@pytest.mark.parametrize("fault", ["MemoryError('of 9 GB')", "tf.errors.ResourceExhaustedError(None, None, 'of 9 GB')"])
def test_a_memory_that_is_full_is_one_line(fault):
    code = f"import sys; from cam_base.terminal import run_program\ndef main(_):\n    {'import tensorflow as tf;' * fault.startswith('tf')} raise {fault}\nrun_program('x.py', main)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    assert ran.returncode == 2 and ran.stderr.splitlines()[-1].startswith("x.py: the memory is not enough (of 9 GB): a smaller --batch")
    assert "Traceback" not in ran.stderr


def test_metrics_import_numpy_and_scipy_alone():
    names = imported("import metrics, sys\nfrom metrics import bootstrap\n"
                     "print(*(name.split('.')[0] for name in sys.modules), file=sys.stderr)")
    assert "scipy" in names and not names & (set(HEAVY) - {"scipy"})


@pytest.mark.slow
@pytest.mark.parametrize("room", ["ops", "nets", "localization", "cam_data"])
def test_a_room_that_is_imported_alone_is_quiet(room):
    """TensorFlow greets with notices where it is not kept from it."""
    use = {"ops": "ops.gap(numpy.ones((1, 2, 2, 1)))", "nets": "nets.build", "localization": "localization.load", "cam_data": "cam_data.prepare"}
    ran = subprocess.run([sys.executable, "-c", f"import numpy, {room}; {use[room]}; import sys; assert 'tensorflow' in sys.modules"], cwd=ROOT,
                         capture_output=True, text=True, env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"})
    assert ran.returncode == 0 and ran.stdout == ran.stderr == ""


@pytest.mark.slow
def test_no_room_needs_a_module_that_windows_has_not():
    code = ("import sys, tensorflow, multiprocessing.pool, asyncio, concurrent.futures, rich.console\n"
            "sys.modules['fcntl'] = None\nsys.modules['msvcrt'] = sys\n"
            "import ops, nets, metrics, cam_base, weights, weights.download, localization, cam_data, cam_evaluation\n"
            "ops.gap, nets.build, localization.load, cam_data.open_set, cam_evaluation.Records")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_callers_notebook_keeps_its_backend(tmp_path):
    code = ("import matplotlib, sys; matplotlib.use('svg')\n"
            "from cam_evaluation.report import draw_curves\nimport numpy as np\n"
            "draw_curves(sys.argv[1], {'accuracy': (['t', 'a'], np.eye(2))})\n"
            "assert matplotlib.get_backend() == 'svg' and 'matplotlib.pyplot' not in sys.modules")
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "curves.png")], cwd=ROOT).returncode == 0


ROOMS = sorted(name for name in os.listdir(ROOT) if os.path.isfile(os.path.join(ROOT, name, "__init__.py")) and name != "tests")
# What is asked for first in each of those that other code imports.
SOUGHT = {"ops": "class_activation_maps", "localization": "load", "nets": "build", "metrics": "MaxBoxAcc", "weights": "load"}


@pytest.mark.parametrize("room", ROOMS)
def test_dir_shows_what_a_room_has_and_imports_nothing_for_it(room):
    code = (f"import sys, {room} as room\nlisted = [name for name in dir(room) if not name.startswith('_')]\n"
            "assert set(room.__all__) <= set(listed) and len(room.__all__) > 2, listed\n"
            "print(*(name.split('.')[0] for name in sys.modules), file=sys.stderr)")
    assert not imported(code) & (set(HEAVY) - ({"scipy"} if room == "metrics" else set()))
    module = importlib.import_module(room)
    assert SOUGHT.get(room, module.__all__[0]) in module.__all__ and all(hasattr(module, name) for name in module.__all__)
    public = {name for name, value in vars(module).items() if not name.startswith("__") and not inspect.ismodule(value)}
    assert public - {"exports"} <= set(module.__all__)  # none is forgotten in a list that is written by hand


@pytest.mark.parametrize("room", SOUGHT)
def test_help_describes_what_a_room_has(room):
    module = importlib.import_module(room)
    text = pydoc.render_doc(module, renderer=pydoc.plaintext)
    for name in module.__all__:
        assert name in text
        if inspect.isfunction(getattr(module, name)) and inspect.getdoc(getattr(module, name)):
            assert f"{name}(" in text and inspect.getdoc(getattr(module, name)).splitlines()[0] in text


def test_tab_completes_what_is_not_loaded_yet():
    import localization
    import ops
    complete = rlcompleter.Completer({"ops": ops, "localization": localization}).attr_matches
    assert complete("ops.class_a") == ["ops.class_activation_maps("] and "localization.load(" in complete("localization.lo")


@pytest.mark.parametrize("room", ["localization", "metrics", "nets", "weights", "cam_data", "cam_report", "cam_evaluation",
                                  "cam_localization", "cam_training"])
@pytest.mark.parametrize("imported_before", [False, True])
def test_a_users_file_that_bears_a_rooms_name_is_named_before_it_is_run(room, imported_before, tmp_path):
    (tmp_path / "ops.py").write_text("print('theirs')\n")
    before = "import ops\n" if imported_before else ""
    (tmp_path / "program.py").write_text(f"import sys\n{before}sys.path.append(sys.argv[1])\n"
                                         f"try:\n    import {room}\nexcept ImportError as error:\n    print(error)\n")
    ran = subprocess.run([sys.executable, tmp_path / "program.py", ROOT], capture_output=True, text=True, check=True)
    wanted = f"`import ops` finds {tmp_path / 'ops.py'}, where {os.path.join(ROOT, 'ops')} is needed: give that file another name"
    assert ran.stdout.removeprefix("theirs\n" * imported_before).startswith(wanted) and ran.stdout.count("\n") == 1 + imported_before


@pytest.mark.parametrize("name", ["nets", "weights", "metrics"])
def test_rooms_that_are_imported_late_are_looked_for_at_once(name, tmp_path):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('theirs')\n")
    ran = subprocess.run([sys.executable, "-c", "import localization"], cwd=tmp_path, capture_output=True, text=True,
                         env=os.environ | {"PYTHONPATH": ROOT})
    assert f"ImportError: `import {name}` finds {tmp_path / name}.py" in ran.stderr


def test_folders_and_files_that_bear_names_of_parts_do_no_harm(tmp_path):
    """A folder of the user's without code, and files called as the parts of the rooms are."""
    for name in ("weights", "ops"):
        (tmp_path / name).mkdir()
    for name in ("boxes", "cam", "layers", "formats", "results", "rooms", "errors", "settings"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('theirs')\n")
    code = (f"import sys; sys.path.append({ROOT!r}); import localization, metrics, cam_evaluation, weights\n"
            "localization.Localizer, metrics.PxAP, cam_evaluation.Records")
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True).returncode == 0


@pytest.mark.parametrize("set_by_user, wanted", [(None, "1"), ("0", "0")])
def test_programs_ask_for_onednn_and_what_is_imported_does_not(set_by_user, wanted):
    """TensorFlow reads the variable when it is loaded."""
    environment = {name: value for name, value in os.environ.items() if name not in ("TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL")}
    if set_by_user:
        environment["TF_ENABLE_ONEDNN_OPTS"] = set_by_user
    imported = "import os, ops; ops.gap; import tensorflow; print([os.environ.get(name) for name in ('TF_ENABLE_ONEDNN_OPTS', 'TF_CPP_MIN_LOG_LEVEL')])"
    program = ("import os, sys; from cam_base.terminal import run_program; assert 'tensorflow' not in sys.modules; "
               "run_program('one', lambda arguments: print(os.environ['TF_ENABLE_ONEDNN_OPTS']))")
    for code, printed in ((imported, str([set_by_user, None])), (program, wanted)):
        ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment)
        assert (ran.stdout.strip(), ran.stderr) == (printed, "")
