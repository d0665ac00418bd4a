"""Checkpoints as training programs save them: the network within is found, what was taken is said, and nothing is run."""

import argparse
import collections
import os
import random
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import torch_files
from harming import harmed
from torch_files import Tensor, tensors

import nets
import weights
from cam_base import InputError
from weights import safetensors_file

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")
PLAIN = safetensors_file.read_arrays(os.path.join(FIXTURES, "narrow_resnet26.safetensors"))
CLASSES = len(PLAIN["fc.bias"])
OPTIMIZER = {"state": {number: {"momentum_buffer": Tensor(np.ones((2, 3), np.float32))} for number in range(9)},
             "param_groups": [{"lr": 0.1, "params": list(range(9)), "betas": (0.9, 0.999), "foreach": None}]}
ARGUMENTS = argparse.Namespace(arch="resnet26", lr=0.1, data="x")


class Schedule:
    """A trainer's own thing, which a checkpoint may hold."""

    def __init__(self):
        self.steps = collections.defaultdict(list, {1: [2.5]})


class Runs:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def without_head(arrays):
    return {name: array for name, array in arrays.items() if not name.startswith("fc.")}


def other_head(**layers):
    """The plain network with other linear layers: fc__1=(outputs, inputs, whether there is a bias)."""
    rng, arrays = np.random.default_rng(1), without_head(PLAIN)
    for name, (outputs, inputs, bias) in layers.items():
        arrays[f"{name.replace('__', '.')}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        if bias:
            arrays[f"{name.replace('__', '.')}.bias"] = rng.normal(size=outputs).astype(np.float32)
    return arrays


def hugging_face(name):
    part = name.split(".")
    kind = {"conv": "convolution", "bn": "normalization"}
    if part[0] in ("conv1", "bn1"):
        return f"resnet.embedder.embedder.{kind[part[0][:-1]]}.{part[-1]}"
    if part[0] == "fc":
        return f"classifier.1.{part[1]}"
    place = f"resnet.encoder.stages.{int(part[0][5:]) - 1}.layers.{part[1]}"
    if part[2] == "downsample":
        return f"{place}.shortcut.{'convolution' if part[3] == '0' else 'normalization'}.{part[-1]}"
    return f"{place}.layer.{int(part[2][-1]) - 1}.{kind[part[2][:-1]]}.{part[-1]}"


FEATURES = PLAIN["fc.weight"].shape[1]
EMA = {name: array * 2 if name == "fc.bias" else array for name, array in PLAIN.items()}
BACKBONE = tensors(without_head(PLAIN), "backbone.") | {"head.fc.weight": Tensor(PLAIN["fc.weight"]), "head.fc.bias": Tensor(PLAIN["fc.bias"])}
# Which program writes so: (what it saves, what is said to be taken).
WRAPPED = {
    "nothing around it": (tensors(PLAIN), None),
    "torch.nn.DataParallel": (tensors(PLAIN, "module."), "prefix module."),
    "torch.compile": (tensors(PLAIN, "_orig_mod."), "prefix _orig_mod."),
    "PyTorch's ImageNet example": ({"epoch": 3, "arch": "resnet50", "state_dict": tensors(PLAIN, "module."), "best_acc1": Tensor(np.float32(71.5)),
                                    "optimizer": OPTIMIZER}, "entry state_dict; prefix module."),
    "torchvision's references": ({"model": tensors(PLAIN), "optimizer": OPTIMIZER, "lr_scheduler": {"last_epoch": 3}, "args": ARGUMENTS},
                                 "entry model"),
    "torchvision's references with averages": ({"model": tensors(PLAIN), "model_ema": tensors(EMA, "module.") | {"n_averaged": Tensor(np.array(5))}},
                                               "entry model (--entry takes another: model_ema)"),
    "Lightning": ({"epoch": 1, "state_dict": tensors(PLAIN, "model."), "loops": {}, "callbacks": {}, "optimizer_states": [OPTIMIZER],
                   "hyper_parameters": {"lr": 0.1}, "schedule": Schedule()}, "entry state_dict; prefix model."),
    "timm": ({"epoch": 3, "state_dict": tensors(PLAIN), "state_dict_ema": tensors(EMA), "args": ARGUMENTS, "metric": 71.5, "version": 2},
             "entry state_dict (--entry takes another: state_dict_ema)"),
    "a head in another module": (BACKBONE, "prefix backbone."),
    "a loss beside the network": (tensors(PLAIN, "net.") | {"loss.weight": Tensor(np.ones(9, np.float32))}, "prefix net.; not used: loss.weight"),
    "wrapped twice": ({"checkpoint": {"model": tensors(PLAIN, "module.")}, "sets": {1, 2}, "rate": 1e-3, "large": 2**300},
                      "entry checkpoint.model; prefix module."),
    "transformers": (tensors({hugging_face(name): array for name, array in PLAIN.items()}), "Hugging Face's names"),
}


@pytest.mark.parametrize("program", WRAPPED)
def test_the_network_is_found_and_what_was_taken_is_said(program, tmp_path):
    saved, taken = WRAPPED[program]
    loaded, plain = weights.load(torch_files.save(tmp_path / "x.pth", saved)), weights.load(os.path.join(FIXTURES, "narrow_resnet26.pth"))
    assert loaded.provenance.get("taken") == taken
    expected = replace(plain.preprocessing, interpolation="bicubic") if program == "transformers" else plain.preprocessing
    assert loaded.network == plain.network and loaded.preprocessing == expected
    assert set(loaded.tensors) == set(plain.tensors)
    for name, tensor in plain.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], tensor, err_msg=name)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "backbone.", "model.net."])
def test_prefixes_of_safetensors_are_taken_off_too(prefix, tmp_path):
    import json
    import struct
    header, data = {}, b""
    for name, array in PLAIN.items():
        header[prefix + name] = {"dtype": {"f": "F32", "i": "I64"}[array.dtype.kind], "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    loaded = weights.load(tmp_path / "x.safetensors")
    assert loaded.provenance["taken"] == f"prefix {prefix}"
    np.testing.assert_array_equal(loaded.tensors["head/kernel"], PLAIN["fc.weight"].T)


def test_averages_are_taken_where_they_are_asked_for(tmp_path):
    for program, entry in (("timm", "state_dict_ema"), ("torchvision's references with averages", "model_ema")):
        path = torch_files.save(tmp_path / "x.pth", WRAPPED[program][0])
        averaged = weights.load(path, entry=entry)
        np.testing.assert_array_equal(averaged.tensors["head/bias"], 2 * PLAIN["fc.bias"])
        assert averaged.provenance["taken"].startswith(f"entry {entry}")
        with pytest.raises(InputError, match="has no entry 'ema'; there are: .*state_dict|model"):
            weights.load(path, entry="ema")
    with pytest.raises(InputError, match="several state dictionaries: student, teacher; choose one by --entry"):
        weights.load(torch_files.save(tmp_path / "x.pth", {"student": tensors(PLAIN), "teacher": tensors(EMA)}))
    with pytest.raises(InputError, match="several networks, student., teacher.: save one"):
        weights.load(torch_files.save(tmp_path / "x.pth", tensors(PLAIN, "student.") | tensors(EMA, "teacher.")))


# ---------------------------------------------------------------- heads

@pytest.mark.parametrize("layer, bias", [("fc__1", True), ("classifier__1", True), ("head__fc", True), ("dense", False), ("fc", False)])
def test_the_linear_layer_is_found_by_its_place(layer, bias, tmp_path):
    arrays = other_head(**{layer: (7, FEATURES, bias)})
    loaded = weights.load(torch_files.save(tmp_path / "x.pth", tensors(arrays)))
    name = layer.replace("__", ".")
    np.testing.assert_array_equal(loaded.tensors["head/kernel"], arrays[f"{name}.weight"].T)
    np.testing.assert_array_equal(loaded.tensors["head/bias"], arrays.get(f"{name}.bias", np.zeros(7)))
    assert [category.label for category in loaded.classes] == [f"class {number}" for number in range(7)]


def test_behind_two_layers_cam_is_not_defined(tmp_path):
    path = torch_files.save(tmp_path / "x.pth", tensors(other_head(fc__0=(64, FEATURES, True), fc__2=(5, 64, True))))
    with pytest.raises(InputError, match="2 linear layers .fc.0.weight, fc.2.weight.: CAM is not defined behind two layers"):
        weights.load(path)
    path = torch_files.save(tmp_path / "x.pth", tensors(other_head(fc=(5, FEATURES + 1, True))))
    with pytest.raises(InputError, match=f"takes {FEATURES + 1} numbers, and the network has {FEATURES} features"):
        weights.load(path)


def test_one_logit_is_a_sigmoid_and_its_complement(tmp_path):
    arrays = other_head(fc=(1, FEATURES, True))
    loaded = weights.load(torch_files.save(tmp_path / "x.pth", tensors(arrays)))
    net = nets.build(loaded.network, 2, seed=None)
    nets.assign(net, loaded.tensors)
    logits, named = net(tf.constant(np.random.default_rng(0).normal(size=(3, 64, 64, 3)), tf.float32))
    one = named["pooled"].numpy() @ arrays["fc.weight"].T + arrays["fc.bias"]
    np.testing.assert_allclose(tf.nn.softmax(logits)[:, 1:], 1 / (1 + np.exp(-one)), rtol=1e-5)
    assert len(loaded.classes) == 2


@pytest.mark.parametrize("held", [{"class_to_idx": {f"name {number}": number for number in range(CLASSES)}},
                                  {"hyper_parameters": {"id2label": {str(number): f"name {number}" for number in range(CLASSES)}}},
                                  {"classes": [f"name {number}" for number in range(CLASSES)]}])
def test_names_of_classes_in_a_checkpoint_are_taken(held, tmp_path):
    loaded = weights.load(torch_files.save(tmp_path / "x.pth", {"state_dict": tensors(PLAIN)} | held))
    assert [tuple(category) for category in loaded.classes] == [(None, f"name {number}") for number in range(CLASSES)]


@pytest.mark.parametrize("held", [{"class_to_idx": {"a": 0, "b": 2}}, {"classes": 5}, {"classes": ["a"]}, {"id2label": {"x": "y"}}, {"classes": [1, 2]}])
def test_names_that_fit_no_class_are_left(held, tmp_path):
    loaded = weights.load(torch_files.save(tmp_path / "x.pth", {"state_dict": tensors(PLAIN)} | held))
    assert loaded.classes[0].label == "class 0"


# ---------------------------------------------------------------- what is refused

@pytest.mark.parametrize("saved, message", [
    (Schedule(), "whole module .*Schedule.*save model.state_dict"), ({"model": Schedule()}, "no state dictionary.*it holds .*Schedule"),
    ({"epoch": 3}, "no state dictionary"), (ARGUMENTS, "whole module"),
    (tensors(PLAIN) | {"conv1.weight": Schedule()}, "conv1.weight is made by .*Schedule, which is not run here"),
    (tensors({name: array for name, array in PLAIN.items() if name != "conv1.weight"} | {"conv1.weight": PLAIN["conv1.weight"][:, :1]}),
     "takes pictures of 1 channels")])
def test_what_is_no_state_dictionary_is_said_what_to_do(saved, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        weights.load(torch_files.save(tmp_path / "x.pth", saved))
    assert "\n" not in str(caught.value)


def test_grouped_convolutions_are_named(tmp_path):
    grouped = PLAIN | {"layer1.0.conv2.weight": PLAIN["layer1.0.conv2.weight"][:, :1]}
    with pytest.raises(InputError, match="it is a ResNeXt"):
        weights.load(torch_files.save(tmp_path / "x.pth", tensors(grouped)))


@pytest.mark.parametrize("place", ["beside", "within", "instead"])
def test_nothing_beside_the_tensors_is_ever_run(place, tmp_path):
    victim = tmp_path / "ran"
    runs = Runs(f"touch {victim}")
    saved = {"beside": {"state_dict": tensors(PLAIN), "trainer": runs}, "within": tensors(PLAIN) | {"extra": runs},
             "instead": tensors(PLAIN) | {"fc.weight": runs}}[place]
    path = torch_files.save(tmp_path / "x.pth", saved)
    if place == "instead":
        with pytest.raises(InputError, match="fc.weight is made by posix.system, which is not run here"):
            weights.load(path)
    else:
        assert len(weights.load(path).classes) == CLASSES
    assert not victim.exists()
    subprocess.run([sys.executable, "-c", "import pickle, sys; pickle.load(open(sys.argv[1], 'rb'))", _pickled(tmp_path, runs)], check=True)
    assert victim.exists()  # which Python's own unpickler would have run


def _pickled(folder, value):
    import pickle
    path = folder / "bare.pkl"
    path.write_bytes(pickle.dumps(value))
    return str(path)


@pytest.mark.slow
@pytest.mark.parametrize("program", ["PyTorch's ImageNet example", "Lightning", "wrapped twice", "timm"])
def test_mutated_files_are_read_or_refused_in_one_line(program, tmp_path):
    """200 flips in the pickle, behind which the zip file's checksums are right, and 200 truncations of the file."""
    generator, path, read = random.Random(0), tmp_path / "y.pth", 0

    def flipped(pickled):
        changed = bytearray(pickled)
        for _ in range(generator.randrange(1, 4)):
            changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
        return bytes(changed)

    whole = open(torch_files.save(tmp_path / "x.pth", WRAPPED[program][0]), "rb").read()
    for number in range(400):
        if number % 2:
            path.write_bytes(whole[:generator.randrange(len(whole))])
        else:
            torch_files.save(path, WRAPPED[program][0], flipped)
        try:
            loaded = weights.load(path)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert loaded.network["name"] == "resnet"
            read += 1
    assert read > 5  # a flip in a name of the trainer's own changes nothing


# ---------------------------------------------------------------- names of classes

@pytest.mark.parametrize("name, text, expected", [
    ("names.txt", "cat\n\nn02123045 tabby, tabby cat\r\nn02099601\n", [(None, "cat"), ("n02123045", "tabby, tabby cat"), ("n02099601", "n02099601")]),
    ("names.txt", "\ufeffcat\ndog\n", [(None, "cat"), (None, "dog")]), ("names.json", '["cat", "dog"]', [(None, "cat"), (None, "dog")]),
    ("names.json", '{"dog": 1, "cat": 0}', [(None, "cat"), (None, "dog")]), ("names.json", '{"1": "dog", "0": "cat"}', [(None, "cat"), (None, "dog")]),
    ("names.txt", "n02123045\ttabby\n", [("n02123045", "tabby")])])
def test_names_of_classes_are_read_as_people_have_them(name, text, expected, tmp_path):
    (tmp_path / name).write_bytes(text.encode())
    assert [tuple(category) for category in weights.read_class_names(str(tmp_path / name))] == expected


def test_names_of_classes_are_those_of_the_training_datas_folders(tmp_path):
    for name in ("train/dog", "train/cat", "train/.hidden", "train/__MACOSX", "val/cat"):
        (tmp_path / name).mkdir(parents=True)
    assert [label for _, label in weights.read_class_names(str(tmp_path))] == ["cat", "dog"]
    assert [label for _, label in weights.read_class_names(str(tmp_path / "val"))] == ["cat"]
    (tmp_path / "train").rename(tmp_path / "Training")
    assert [label for _, label in weights.read_class_names(str(tmp_path))] == ["cat", "dog"]


@pytest.mark.parametrize("text", ['{"' + "9" * 5000 + '": "cat"}', '["\\ud800", "cat"]', "", "\n \n", "[]", "[1, 2]", '{"a": 0, "b": 2}', '{"a": "b"}', "[" * 100_000, '{"a": 0'])
def test_other_files_are_no_names(text, tmp_path):
    (tmp_path / "x").write_text(text)
    with pytest.raises(InputError, match="no names of classes"):
        weights.read_class_names(str(tmp_path / "x"))
    with pytest.raises(InputError, match="No such file"):
        weights.read_class_names(str(tmp_path / "y"))
    (tmp_path / "z").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text in UTF-8"):
        weights.read_class_names(str(tmp_path / "z"))


def test_a_checkpoint_is_looked_with_and_kept_with_its_names(tmp_path, capsys):
    from PIL import Image

    import localize
    from weights import __main__ as program
    path = torch_files.save(tmp_path / "x.pth", WRAPPED["timm"][0])
    names = tmp_path / "names.txt"
    names.write_text("".join(f"thing {number}\n" for number in range(CLASSES)))
    Image.new("RGB", (40, 40), (200, 10, 10)).save(tmp_path / "p.png")
    arguments = [str(tmp_path / "p.png"), "--weights", path, "--entry", "state_dict_ema", "--class-names", str(names)]
    assert localize.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "thing" in said.out and f"{path}: taken: entry state_dict_ema" in said.err
    assert program.main(["convert", path, "--out", str(tmp_path / "x.npz"), "--entry", "state_dict_ema", "--class-names", str(names)]) == 0
    kept = weights.load(tmp_path / "x.npz")
    assert kept.classes[1].label == "thing 1" and "taken: entry state_dict_ema" in capsys.readouterr().out
    np.testing.assert_array_equal(kept.tensors["head/bias"], 2 * PLAIN["fc.bias"])
    names.write_text("one\n")
    with pytest.raises(InputError, match=f"names.txt names 1 class, and the network has {CLASSES}"):
        localize.main([*arguments, "--out", str(tmp_path / "out")])


@pytest.mark.parametrize("name, contents", [("names.json", b'{"0": "a cat", "1": "a dog, hound", "2": "n01440764"}'), ("names.txt", b"a cat\na dog, hound\nn01440764 tench\n"),
                                            ("names.json", b'{"a cat": 0, "a dog": 1}')])
def test_mutated_names_of_classes_are_read_or_refused_in_one_line(name, contents, tmp_path):
    rng, read = random.Random(0), 0
    for _ in range(200):
        (tmp_path / name).write_bytes(harmed(contents, rng))
        try:
            read += len(weights.read_class_names(str(tmp_path / name))) > 0
        except InputError as error:
            assert "\n" not in str(error)
    assert read > 5
