"""Which dtype `--precision auto` takes: what was measured (bench/precision.py), where the hardware has a choice."""

import pytest

import cam_training
import nets
from nets import precision


@pytest.mark.parametrize("native, gpus, expected", [
    (True, [], {"resnet": "bfloat16", "alexnet": "bfloat16", "efficientnet-lite": "float32", "unknown": "bfloat16"}),
    (True, ["GPU:0"], {"resnet": "bfloat16", "efficientnet-lite": "bfloat16"}),
    (False, [], {"resnet": "float32", "efficientnet-lite": "float32"})])
def test_depthwise_convolutions_are_computed_in_float32_on_cpus(monkeypatch, native, gpus, expected):
    monkeypatch.setattr(precision, "hardware_has_bfloat16", lambda: native)
    monkeypatch.setattr(precision.tf.config, "list_physical_devices", lambda kind=None: gpus)
    assert {name: nets.fastest_precision({"name": name}) for name in expected} == expected


def test_a_run_takes_it_and_whoever_asks_gets_another(monkeypatch):
    monkeypatch.setattr(precision, "hardware_has_bfloat16", lambda: True)
    monkeypatch.setattr(precision.tf.config, "list_physical_devices", lambda kind=None: [])
    for given, expected in (([], "bfloat16"), (["--network", "efficientnet-lite"], "float32"),
                            (["--network", "efficientnet-lite", "--precision", "bfloat16"], "bfloat16")):
        assert cam_training.parse(given).settings.precision == expected
