"""Which dtype `--precision auto` takes: that which is faster where it is tried, remembered for this machine."""

import json

import pytest

import cam_training
import nets
from cam_training import precision


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A user's cache with nothing in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    precision.automatic_precision.cache_clear()
    yield tmp_path / "cam-localization"
    precision.automatic_precision.cache_clear()


@pytest.fixture
def tried(cache, monkeypatch):
    """What is tried: bfloat16 is faster for all networks but EfficientNet-Lite."""
    names = []

    def measure(config):
        names.append(config["name"])
        return {"float32": 1.0, "bfloat16": 2.4 if config["name"] == "efficientnet-lite" else 0.7}

    monkeypatch.setattr(nets, "measure_precisions", measure, raising=False)
    return names


@pytest.mark.parametrize("name", nets.NAMES)
def test_both_dtypes_are_tried_on_a_block_of_the_network(name):
    seconds = nets.measure_precisions({"name": name})
    assert set(seconds) <= {"float32", "bfloat16"} and all(0 < value < 10 for value in seconds.values())
    assert "float32" in seconds


@pytest.mark.parametrize("seconds, faster", [
    ({"float32": 1.0, "bfloat16": 0.5}, "bfloat16"), ({"float32": 1.0, "bfloat16": 2.0}, "float32"),
    ({"float32": 1.0, "bfloat16": 0.99}, "float32"), ({"float32": 1.0}, "float32")])
def test_what_is_faster_is_taken_and_float32_of_equals(seconds, faster):
    assert nets.faster_precision(seconds) == faster


def test_a_run_takes_it_and_whoever_asks_gets_another(tried, capsys):
    for given, expected in (([], "bfloat16"), (["--network", "efficientnet-lite"], "float32"),
                            (["--network", "efficientnet-lite", "--precision", "bfloat16"], "bfloat16")):
        assert cam_training.parse(given).settings.precision == expected
    said = capsys.readouterr().out
    assert "--precision auto: bfloat16; a block of resnet in bfloat16: 0.70 of float32's time" in said
    assert "--precision auto: float32; a block of efficientnet-lite in bfloat16: 2.40 of float32's time" in said


def test_it_is_tried_once_on_a_machine(cache, tried, monkeypatch):
    for _ in range(2):
        assert precision.automatic_precision("resnet") == "bfloat16"
        precision.automatic_precision.cache_clear()  # as another process would begin
    assert tried == ["resnet"]
    monkeypatch.setattr(precision.platform, "node", lambda: "another machine")
    precision.automatic_precision("resnet")
    assert tried == ["resnet", "resnet"] and len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("text", ["", "[]", '{"float32": "fast"}', '{"bfloat16": 1.0}', '{"float32": 0}', "[" * 10000, " " * (1 << 17)])
def test_a_damaged_memory_is_measured_again(cache, tried, text):
    precision.automatic_precision("resnet")
    precision.automatic_precision.cache_clear()
    (path,) = cache.iterdir()
    path.write_text(text)
    assert precision.automatic_precision("resnet") == "bfloat16"
    assert tried == ["resnet", "resnet"] and json.loads(path.read_text()) == {"float32": 1.0, "bfloat16": 0.7}


def test_a_cache_that_cannot_be_written_is_done_without(tried, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert precision.automatic_precision("resnet") == "bfloat16"
