"""Other processes and modes than the usual: forked ones, graphs, NumPy that raises; and results that go from one process to another."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import localization
import nets
import ops
from cam_base import Preprocessing

from coloured import CLASSES, Colours

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PLAIN = Preprocessing(size=64, mean=(0, 0, 0), deviation=(1, 1, 1), scale=1 / 255)
PICTURE = np.random.default_rng(0).integers(0, 256, (48, 90, 3), np.uint8)


@pytest.fixture(scope="module")
def localizer():
    return localization.Localizer(Colours(), CLASSES, PLAIN, refine=3, refine_grid=20)


# ---------------------------------------------------------------- forked processes

def in_forked_process(function):
    """What the function raises in a process that is forked from this one, as text; "no answer" after half a minute."""
    parent, child = multiprocessing.Pipe()

    def run():
        try:
            child.send(f"answered {function()!r}")
        except Exception as error:
            child.send(f"{type(error).__name__}: {error}")

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    answer = parent.recv() if parent.poll(30) else "no answer"
    process.kill()
    process.join()
    return answer


def test_a_forked_process_is_told_to_be_spawned(localizer):
    """In place of waiting for ever for threads that the other process has."""
    localizer(PICTURE)
    for function in (lambda: localizer(PICTURE), lambda: list(localizer.stream([PICTURE])), lambda: localizer.stream([PICTURE]),
                     lambda: localization.Localizer(Colours(), CLASSES, PLAIN), lambda: localization.load(),
                     lambda: ops.gap(np.zeros((1, 2, 2, 3), np.float32)),
                     lambda: next(localizer.class_maps_of([PICTURE], lambda chances, _: chances.argmax(1)[:, None]))):
        answer = in_forked_process(function)
        assert answer.startswith(f"RuntimeError: TensorFlow has computed in process {os.getpid()}") and "get_context('spawn')" in answer
        assert "\n" not in answer


def test_a_process_that_is_forked_before_tensorflow_computes_may_do_so():
    code = ("import multiprocessing, numpy as np\nfrom ops.quiet_tensorflow import tf\nimport ops\n"
            "def work(): assert (ops.gap(np.ones((1, 2, 2, 3), np.float32)).numpy() == 1).all()\n"
            "process = multiprocessing.get_context('fork').Process(target=work)\nprocess.start()\nprocess.join(60)\n"
            "assert process.exitcode == 0")
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_a_localizer_is_not_pickled_and_says_why(localizer):
    for function in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="a Localizer cannot be pickled.*spawn.*results can be"):
            function(localizer)


# ---------------------------------------------------------------- results that are kept or sent

def everything(found):
    return (found.number, found.label, found.wnid, found.name, found.category, found.probability, found.threshold, found.box, found.peak,
            found.boxes, found.class_map.tolist(), found.refined_map.tolist(), found.heat_map.tolist(), found.full_heat_map.tolist(),
            found.mask.tolist(), found.overlay(all_boxes=True).tolist(), repr(found))


@pytest.mark.parametrize("rule", ["paper", "peak", "authors"])
@pytest.mark.parametrize("touched", [False, True])
def test_results_and_predictions_come_back_from_a_pickle(rule, touched, tmp_path):
    localizer = localization.Localizer(Colours(), CLASSES, PLAIN, refine=3, refine_grid=20, boxes=rule)
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    with open(tmp_path / "a.png", "rb") as file:
        check_pickled(localizer, [PICTURE, tmp_path / "a.png", Image.fromarray(PICTURE), file], touched)


def check_pickled(localizer, sources, touched):
    for source in sources:
        result = localizer(source, full_size=True)
        if touched:
            list(map(everything, result))
        data = pickle.dumps(result)
        assert len(data) < 60_000 + PICTURE.nbytes and b"tensorflow" not in data and b"localizer" not in data
        again, one = pickle.loads(data), pickle.loads(pickle.dumps(result[0]))
        assert (again.size, again.error, len(again)) == ((48, 90), None, 3)
        assert list(map(everything, again)) == list(map(everything, result)) and everything(one) == everything(result[0])
        np.testing.assert_array_equal(again.panels(), result.panels())


def test_a_result_is_read_in_a_process_without_a_network(localizer, tmp_path):
    result = localizer(PICTURE)
    (tmp_path / "result").write_bytes(pickle.dumps(result))
    code = ("import pickle, sys\nwith open(sys.argv[1], 'rb') as file:\n    result = pickle.load(file)\n"
            "print([(found.label, found.probability, found.box, found.peak) for found in result])")
    printed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "result")], cwd=ROOT, capture_output=True, text=True,
                             check=True).stdout
    assert printed.strip() == str([(found.label, found.probability, found.box, found.peak) for found in result])


def test_an_error_comes_back_from_a_pickle(localizer, tmp_path):
    (tmp_path / "no_picture").write_bytes(b"none")
    with open(tmp_path / "no_picture", "rb") as file:
        for result in localizer.stream([tmp_path / "none.png", np.zeros((3, 4)) - 1, file]):
            again = pickle.loads(pickle.dumps(result))
            assert type(again.error) is type(result.error) and str(again.error) == str(result.error) and len(again) == 0


def test_kept_results_are_small(tmp_path):
    """What is as large as the picture, or as the network's input, is made anew when it is looked at."""
    localizer = localization.Localizer(Colours(), CLASSES, PLAIN)
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (400, 500, 3), np.uint8)).save(tmp_path / "a.png")
    paths, kept = [tmp_path / "a.png"] * 8, []
    list(map(everything, localizer(paths[0])))
    tracemalloc.start()
    for result in localizer.stream(paths, batch=8, full_size=True):
        for found in result:
            found.box, found.peak, found.heat_map, found.mask, found.overlay()
        result.panels()
        kept.append(result)
    held = tracemalloc.get_traced_memory()[0] / len(kept)
    tracemalloc.stop()
    assert held < 60_000  # bytes; with three maps as large as the input, the picture and its heat maps it was 3 MB


# ---------------------------------------------------------------- graphs, and NumPy that raises

def test_in_a_graph_it_is_said_that_nothing_is_computed(localizer, tmp_path):
    def in_function():
        tf.function(lambda: localizer(PICTURE)[0].probability)()

    def in_graph(function):
        with tf.Graph().as_default():
            function()

    for function in (in_function, lambda: in_graph(lambda: localizer(PICTURE)), lambda: in_graph(localization.load),
                     lambda: in_graph(lambda: localization.Localizer(Colours(), CLASSES, PLAIN))):
        with pytest.raises(RuntimeError, match="builds a graph here instead of computing .*disable_eager_execution"):
            function()
    code = ("from ops.quiet_tensorflow import tf\ntf.compat.v1.disable_eager_execution()\nimport localization\n"
            "try:\n    localization.load()\nexcept RuntimeError as error:\n    print(error)")
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "disable_eager_execution" in printed and printed.count("\n") == 1


@pytest.fixture
def raising():
    before = np.seterr(all="raise")
    yield
    np.seterr(**before)


@pytest.mark.parametrize("options", [{}, {"scale": "max", "refine": 20}, {"crops": 10}, {"boxes": "authors"}, {"boxes": "peak"},
                                     {"crops": 2}])
def test_numpy_may_raise_at_every_rounding(raising, options, tmp_path):
    config = {"name": "resnet", "depth": 26, "width": 8, "stem": "3x3/2", "output_stride": 8}
    localizer = localization.Localizer(nets.build(config, 3), CLASSES, PLAIN, **options)
    odd = np.zeros((48, 90, 3), np.uint8)
    odd[:, :2] = 1
    for picture in (PICTURE, np.zeros_like(PICTURE), odd, np.full((5, 400, 3), 255, np.uint8), np.float32(PICTURE) / 255):
        for result in (localizer(picture), localizer(picture, full_size=True, threshold=0.0), *localizer.stream([picture] * 2)):
            list(map(everything, result))
            result.panels()
