"""The examples of docs/extending.md, run as they stand there."""

import json
import os
import re

import numpy as np
import pytest
import tensorflow as tf
import test_nets
from PIL import Image

import cam_data.forms
import cam_evaluation
import evaluate as program
import localization
import metrics
import nets.building
import weights
from cam_base import Preprocessing
from localization import methods
from weights import Weights

import small_networks
from coloured import CLASSES, COLOURS, Colours, colour_weights, evaluate, metadata_folder, paint

with open(os.path.join(os.path.dirname(os.path.dirname(__file__)), "docs", "extending.md"), encoding="utf-8") as file:
    EXAMPLES = {re.match(r"# (\S+)", code)[1]: code for code in re.findall(r"```python\n(.*?)```", file.read(), re.S)}


def example(path):
    """What a file of the examples defines."""
    defined = {"__name__": path, "__package__": os.path.dirname(path)}
    exec(compile(EXAMPLES[path], path, "exec"), defined)
    return defined


def test_a_network_is_a_file_a_line_and_a_line_in_the_conformance_list(monkeypatch, tmp_path):
    monkeypatch.setitem(nets.building.NETWORKS, "plain", example("nets/plain.py")["Plain"])
    monkeypatch.setitem(small_networks.NETWORKS, "plain", ({"name": "plain", "width": 4}, 32, 8))
    test_nets.test_mean_of_the_class_maps_plus_bias_is_the_logits("plain", "float32")
    test_nets.test_a_cell_lies_in_the_middle_of_the_pixels_that_it_sees("plain", 1, (65, 64), monkeypatch)
    test_nets.test_every_variable_has_one_path("plain")
    test_nets.test_every_trainable_variable_has_a_gradient("plain", "bfloat16")
    net = nets.build({"name": "plain"}, 3)
    tensors = {name: variable.numpy() for name, variable in nets.named_variables(net).items()}
    path = str(tmp_path / "plain.npz")
    weights.save(path, Weights({"name": "plain"}, tensors, CLASSES, Preprocessing(size=32)))
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    assert localization.load(path)(picture)[0].class_map.shape == (8, 8)


def test_a_method_is_a_function_and_a_line(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "positive-cam", example("localization/positive_cam.py")["positive_cam"])
    network = Colours()
    network.head.kernel = tf.constant([[1.0, -1, 0], [-1, 1, 0], [0, 0, 1]])
    localizer = localization.Localizer(network, CLASSES, Preprocessing(size=32, mean=(0, 0, 0), deviation=(1, 1, 1)))
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:16], picture[16:] = COLOURS["red"], COLOURS["green"]
    plain, positive = (localizer(picture, classes=[0], method=method)[0].class_map for method in (None, "positive-cam"))
    assert plain.min() == -1 and positive.min() == 0
    np.testing.assert_array_equal(positive, np.maximum(plain, 0))


def test_a_form_of_data_set_is_two_functions_and_a_line(monkeypatch, tmp_path):
    defined = example("cam_data/three_columns.py")
    monkeypatch.setattr(cam_data.forms, "FORMS",
                        [*cam_data.forms.FORMS, (defined["recognise_csv"], defined["open_csv"])])
    for name in ("a", "b", "c"):
        Image.new("RGB", (9, 9)).save(tmp_path / f"{name}.png")
    (tmp_path / "labels.csv").write_text("a.png,dog,train\nb.png,cat,val\nc.png,dog,val\n")
    pictures = cam_data.open_set(str(tmp_path), "val")
    assert [category.label for category in pictures.categories] == ["cat", "dog"]
    assert pictures.labels.tolist() == [0, 1] and pictures.ids == ["b.png", "c.png"]


def test_a_metric_is_a_class_and_a_line(monkeypatch, tmp_path, capsys):
    metric = example("metrics/pointing_game.py")["PointingGame"]
    judged = metric()
    peak = np.zeros((10, 20))
    peak[2, 15] = 1
    judged.add(peak, [[140, 10, 170, 40]], (100, 200))
    judged.add(peak, [[0, 0, 140, 100], [170, 0, 200, 100]], (100, 200))
    assert judged.result() == 0.5

    monkeypatch.setattr(metrics, "METRICS", metrics.METRICS)
    metrics.METRICS.append(metric)
    try:
        boxes = {f"{CLASSES[0].wnid}/{number}.png": [[10, 10, 40, 40]] for number in range(4)}
        for number, name in enumerate(boxes):
            place = (12, 12, 38, 38) if number else (44, 44, 60, 60)
            paint(str(tmp_path / "pictures" / name), red=place)
        metadata_folder(tmp_path / "metadata", boxes, [0] * 4)
        arguments = ["--metadata", tmp_path / "metadata", "--data", tmp_path / "pictures", "--weights",
                     colour_weights(monkeypatch, tmp_path)]
        found = evaluate(tmp_path / "a", *arguments)
        assert found["pointing_game"] == 0.75 and found["pointing_game_interval"][0] < 0.75
        assert "pointing_game" in capsys.readouterr().out
        evaluate(tmp_path / "b", *arguments, "--align")
        assert program.main(["--compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
        assert "pointing_game" in capsys.readouterr().out
        assert "pointed" in np.load(tmp_path / "a" / "curves.npz")
        assert json.loads((tmp_path / "b" / "metrics.json").read_text())["align"] is True
    finally:
        metrics.METRICS.remove(metric)


@pytest.mark.parametrize("folder", ["nets/building.py", "localization/methods.py", "cam_data/forms.py",
                                    "metrics/__init__.py", "tests/small_networks.py", "localization/settings.py", "nets/tables.py"])
def test_the_files_that_get_a_line_are_there(folder):
    assert os.path.exists(os.path.join(os.path.dirname(os.path.dirname(__file__)), folder))


def test_what_the_help_says_of_methods_is_what_there_is():
    from localization import settings
    assert set(settings.METHODS) == set(methods.METHODS) and set(nets.NAMES) == set(nets.NETWORKS)
    assert cam_evaluation.evaluate_network  # the rooms are whole
