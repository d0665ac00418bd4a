"""Every format gives the numbers that its own library wrote; what is of another meaning is refused by name."""

import hashlib
import importlib.util
import os
import pickle
import pickletools
import shutil
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import old_torch
import pytest

import cam_base
import weights
from weights import catalogue, formats, ilsvrc, keras_groups, keras_h5, layout, safetensors_file, torch_file, torch_legacy
from weights.state_dict import State

import python2_pickle

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIXTURES = os.path.join(os.path.dirname(__file__), "fixtures")
CONVOLUTIONS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def refusal(path):
    """The one line with which `path` is refused."""
    with pytest.raises(cam_base.InputError) as refused:
        weights.load(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def write_keras_h5(path, width=2, depth=26, name=lambda layer, variable: f"{layer}/{layer}/{variable}:0"):
    """A narrow ResNet in the form of Keras' published files, with random numbers; returns {layer/variable: array}."""
    rng, written = np.random.default_rng(0), {}
    with h5py.File(path, "w") as file:
        for place, part, _, _, shape in layout.resnet_units(depth, width):
            layer = keras_groups.layer_name(place, part)
            arrays = {f"{layer}_conv/kernel": rng.standard_normal(shape, np.float32),
                      f"{layer}_conv/bias": rng.standard_normal(shape[3], np.float32)}
            for variable in keras_h5.NORM.values():
                arrays[f"{layer}_bn/{variable}"] = rng.random(shape[3], np.float32) + 0.1
            for full, array in arrays.items():
                file[name(*full.split("/"))] = array
            written |= arrays
    return written


# ---------------------------------------------------------------- the Toronto AlexNet

@pytest.fixture(scope="module")
def alexnet():
    return python2_pickle.alexnet(np.random.default_rng(0), CONVOLUTIONS)


def assert_is_alexnet(loaded, layers):
    assert loaded.network == {"name": "alexnet", "head": "gap", "conv5_units": 256} and loaded.classes == []
    assert set(loaded.tensors) == {f"{layer}/{what}" for layer in CONVOLUTIONS for what in ("kernel", "bias")}
    for layer in CONVOLUTIONS:
        np.testing.assert_array_equal(loaded.tensors[f"{layer}/kernel"], layers[layer][0])
        np.testing.assert_array_equal(loaded.tensors[f"{layer}/bias"], layers[layer][1])


def test_the_fixture_is_what_numpy_reads_from_python_2(alexnet, tmp_path):
    path = tmp_path / "alexnet.npy"
    python2_pickle.write(path, {"conv1": alexnet["conv1"], "conv3": alexnet["conv3"]})
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(path.read_bytes()[80:])}
    assert {"SHORT_BINSTRING", "BINSTRING", "BINGET"} <= opcodes and "BINUNICODE" not in opcodes
    with pytest.raises(Exception):
        np.load(path, allow_pickle=True, encoding="ASCII").item()
    there = np.load(path, allow_pickle=True, encoding="latin1").item()
    np.testing.assert_array_equal(there["conv3"][0], alexnet["conv3"][0])


def test_toronto_lists_of_weights_and_biases(alexnet, tmp_path):
    python2_pickle.write(tmp_path / "alexnet.npy", alexnet)
    assert_is_alexnet(weights.load(tmp_path / "alexnet.npy"), alexnet)


def test_dictionaries_of_weights_and_biases(alexnet, tmp_path):
    layers = {name: {"weights": pair[0], "biases": pair[1]} for name, pair in alexnet.items()}
    python2_pickle.write(tmp_path / "alexnet.npy", layers)
    assert_is_alexnet(weights.load(tmp_path / "alexnet.npy"), alexnet)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_the_same_dictionary_written_by_python_3(protocol, alexnet, tmp_path):
    content = np.empty((), object)
    content[()] = {name: list(pair) for name, pair in alexnet.items()}
    (tmp_path / "alexnet.npy").write_bytes(python2_pickle.npy_header("|O") + pickle.dumps(content, protocol))
    assert_is_alexnet(weights.load(tmp_path / "alexnet.npy"), alexnet)


def test_fortran_order_big_endian_and_float64_are_read_as_what_they_are(alexnet, tmp_path):
    kernel, bias = alexnet["conv2"]
    layers = alexnet | {"conv2": (np.asfortranarray(kernel), bias.astype(">f8"))}
    np.save(tmp_path / "alexnet.npy", layers, allow_pickle=True)
    assert_is_alexnet(weights.load(tmp_path / "alexnet.npy"), alexnet)


def test_another_network_in_a_npy_is_refused(alexnet, tmp_path):
    path = tmp_path / "other.npy"
    python2_pickle.write(path, alexnet | {"conv3": alexnet["conv1"]})
    assert "conv3 weights has the shape [11, 11, 3, 96], not [3, 3, 256, 384]" in refusal(path)
    python2_pickle.write(path, {"conv1": alexnet["conv1"]})
    assert "no weights and biases of conv2" in refusal(path)
    np.save(path, np.zeros(3, np.float32))
    assert "not a dictionary of layers" in refusal(path)


# ---------------------------------------------------------------- Keras

def test_keras_names_and_folded_biases(tmp_path):
    written = write_keras_h5(tmp_path / "x.h5")
    loaded = weights.load(tmp_path / "x.h5")
    assert loaded.network == {"name": "resnet", "depth": 26, "width": 2, "stem": "7x7/4", "stride_on": "1x1",
                              "output_stride": 32, "epsilon": 1.001e-5}
    tensors = loaded.tensors
    np.testing.assert_array_equal(tensors["stages/1/0/project/kernel"], written["conv3_block1_0_conv/kernel"])
    np.testing.assert_array_equal(tensors["stages/3/1/norm2/gamma"], written["conv5_block2_2_bn/gamma"])
    np.testing.assert_array_equal(tensors["stages/0/0/project_norm/variance"],
                                  written["conv2_block1_0_bn/moving_variance"])
    np.testing.assert_array_equal(
        tensors["stem_norm/mean"], written["conv1_bn/moving_mean"] - written["conv1_conv/bias"])


@pytest.mark.parametrize("layer", ["predictions", "probs"])
def test_keras_heads_of_both_names(layer, tmp_path):
    write_keras_h5(tmp_path / "x.h5")
    kernel = np.random.default_rng(1).random((64, 1000), np.float32)
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file[f"{layer}/{layer}/kernel:0"], file[f"{layer}/{layer}/bias:0"] = kernel, kernel[0]
    loaded = weights.load(tmp_path / "x.h5")
    np.testing.assert_array_equal(loaded.tensors["head/kernel"], kernel)
    np.testing.assert_array_equal(loaded.tensors["head/bias"], kernel[0])
    assert loaded.classes[999].wnid == "n15075141"


def test_older_keras_resnet50_is_refused_by_name(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["conv1/kernel:0"] = np.zeros((7, 7, 3, 64), np.float32)
        file["res2a_branch2a/res2a_branch2a/kernel:0"] = np.zeros((1, 1, 64, 64), np.float32)
    assert "older Keras ResNet-50" in refusal(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:  # as Keras 1 named its variables
        file["res2a_branch2a/res2a_branch2a_W:0"] = np.zeros((1, 1, 64, 64), np.float32)
    assert "older Keras ResNet-50" in refusal(tmp_path / "x.h5")


def test_keras_resnet_v2_and_other_networks_are_refused(tmp_path):
    write_keras_h5(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["conv2_block1_preact_bn/gamma:0"] = np.ones(2, np.float32)
    assert "ResNetV2" in refusal(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["block1_conv1/kernel:0"] = np.ones((3, 3, 3, 64), np.float32)
    assert "not those of a Keras ResNet" in refusal(tmp_path / "x.h5")


def test_keras_file_with_something_more_or_less_is_refused(tmp_path):
    write_keras_h5(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        del file["conv3_block1_2_bn/conv3_block1_2_bn/beta:0"]
    assert "conv3_block1_2_bn/beta" in refusal(tmp_path / "x.h5")
    write_keras_h5(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["attention/kernel:0"] = np.ones(2, np.float32)
    assert "it also holds attention/kernel" in refusal(tmp_path / "x.h5")


# ---------------------------------------------------------------- PyTorch

NUMBERS = [[1.5, -2.0, 3.140625], [0.0, 65280.0, -0.0078125]]


@pytest.mark.parametrize("read, file", [(torch_file.read_arrays, "dtypes.pth"),
                                        (torch_legacy.read_arrays, "before_1_6.pth"),
                                        (safetensors_file.read_arrays, "dtypes.safetensors")])
def test_all_floating_point_types_of_genuine_files(read, file):
    arrays = read(os.path.join(FIXTURES, file))
    arrays = getattr(arrays, "tensors", arrays)
    for name, kind in (("double", np.float64), ("single", np.float32), ("brain", np.float32)):
        assert arrays[name].dtype == kind
        np.testing.assert_array_equal(arrays[name], NUMBERS)
    np.testing.assert_array_equal(arrays["half"], np.array(NUMBERS, np.float16))
    np.testing.assert_array_equal(arrays["whole"], np.array(NUMBERS).astype(np.int64))


def test_genuine_state_dictionary_with_strides_and_parameters():
    """The .pth fixture has what the safetensors file cannot have, and says the same."""
    path = os.path.join(FIXTURES, "narrow_resnet26.pth")
    with zipfile.ZipFile(path) as archive:
        named = [argument for opcode, argument, _ in pickletools.genops(archive.read("narrow_resnet26/data.pkl"))
                 if opcode.name == "GLOBAL"]
    assert "torch._utils _rebuild_parameter" in named
    arrays = torch_file.read_arrays(path).tensors
    assert arrays["layer1.0.bn3.weight"].strides == (8,)
    assert not arrays["conv1.weight"].flags.c_contiguous
    assert not any(name.endswith("num_batches_tracked") for name in arrays)
    ours, theirs = weights.load(path), weights.load(os.path.join(FIXTURES, "narrow_resnet26.safetensors"))
    assert ours.network == theirs.network
    assert set(ours.tensors) == set(theirs.tensors)
    for name, tensor in ours.tensors.items():
        np.testing.assert_array_equal(tensor, theirs.tensors[name], err_msg=name)


@pytest.mark.parametrize("before_0_4", [False, True])
def test_formats_of_older_pytorch_hold_the_same(before_0_4, tmp_path):
    """torchvision's files from before July 2020 are of the one kind, those from before April 2018 of the other."""
    arrays = torch_file.read_arrays(os.path.join(FIXTURES, "narrow_resnet26.pth")).tensors
    old_torch.write(tmp_path / "x.pth", arrays, before_0_4)
    for name, array in torch_legacy.read_arrays(tmp_path / "x.pth").tensors.items():
        np.testing.assert_array_equal(array, arrays[name], err_msg=name)
    loaded, wanted = weights.load(tmp_path / "x.pth"), weights.load(os.path.join(FIXTURES, "narrow_resnet26.pth"))
    assert (loaded.network, loaded.preprocessing) == (wanted.network, wanted.preprocessing)
    assert loaded.provenance["format"] == "PyTorch .pth from before 1.6"
    for name, tensor in wanted.tensors.items():
        np.testing.assert_array_equal(loaded.tensors[name], tensor, err_msg=name)


@pytest.mark.parametrize("before_0_4", [False, True])
def test_pytorch_itself_reads_the_old_files_that_the_tests_write(before_0_4, tmp_path):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed; fixtures/before_1_6.pth, which it wrote, stands for it")
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(3), "c": np.ones(2, np.float16)}
    old_torch.write(tmp_path / "x.pth", arrays, before_0_4)
    code = ("import sys, torch, numpy as np; state = torch.load(sys.argv[1], weights_only=True)\n"
            "np.savez(sys.argv[2], **{name: tensor.detach().numpy() for name, tensor in state.items()})")
    subprocess.run([sys.executable, "-c", code, tmp_path / "x.pth", tmp_path / "x.npz"], check=True)
    with np.load(tmp_path / "x.npz") as found:
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array)


def test_resnets_of_other_kinds_are_refused(tmp_path):
    genuine = torch_file.read_arrays(os.path.join(FIXTURES, "narrow_resnet26.pth")).tensors
    from weights import torchvision
    for change, message in (
            ({"layer1.0.se.weight": np.ones(4, np.float32)}, "it also holds layer1.0.se.weight"),
            ({"layer2.0.conv2.weight": np.ones((8, 1, 3, 3), np.float32)}, r"\[8, 1, 3, 3\], not \[8, 8, 3, 3\]"),
            ({"bn1.running_var": np.ones(4, np.int64)}, "bn1.running_var holds int64"),
            ({"layer4.2.conv2.weight": np.ones((32, 32, 3, 3), np.float32)}, "2, 2, 2, 3 blocks")):
        with pytest.raises(cam_base.InputError, match=message):
            torchvision.convert(genuine | change)
    with pytest.raises(cam_base.InputError, match="torchvision ResNet"):
        torchvision.convert({"layer1.0.conv1.weight": np.ones((64, 64, 3, 3), np.float32)})
    with pytest.raises(cam_base.InputError, match="there is no layer3.0.bn2.bias"):
        torchvision.convert({name: array for name, array in genuine.items() if name != "layer3.0.bn2.bias"})


def test_without_its_head_a_network_has_no_classes():
    from weights import torchvision
    genuine = safetensors_file.read_arrays(os.path.join(FIXTURES, "narrow_resnet26.safetensors"))
    loaded, _ = torchvision.convert({name: array for name, array in genuine.items() if not name.startswith("fc.")})
    assert loaded.classes == [] and "head/kernel" not in loaded.tensors


# ---------------------------------------------------------------- what all formats have in common

def test_names_and_shapes_are_those_of_the_networks():
    import nets

    loaded = weights.load(os.path.join(FIXTURES, "narrow_resnet26.pth"))
    variables = nets.named_variables(nets.build(loaded.network, len(loaded.classes)))
    assert {name: tuple(variable.shape) for name, variable in variables.items()} \
        == {name: tensor.shape for name, tensor in loaded.tensors.items()}


def test_conversion_loses_nothing(tmp_path):
    loaded = weights.load(os.path.join(FIXTURES, "narrow_resnet26.pth"))
    weights.save(tmp_path / "x.npz", loaded, "float32")
    again = weights.load(tmp_path / "x.npz")
    assert (again.network, again.classes, again.preprocessing) \
        == (loaded.network, loaded.classes, loaded.preprocessing)
    assert again.provenance == loaded.provenance and again.provenance["file"] == "narrow_resnet26.pth"
    for name, tensor in loaded.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor)


def test_checkpoint_of_a_training(tmp_path):
    import tensorflow as tf

    import nets

    loaded = weights.load(os.path.join(FIXTURES, "narrow_resnet26.pth"))
    net = nets.build(loaded.network, len(loaded.classes))
    nets.assign(net, loaded.tensors)
    trainer = tf.Module()
    trainer.net, trainer.meta = net, tf.Variable(weights.describe(loaded), trainable=False)
    prefix = tf.train.Checkpoint(trainer=trainer).save(str(tmp_path / "ckpt"))
    for path in (prefix, prefix + ".index"):
        again = weights.load(path)
        assert again.network == loaded.network and set(again.tensors) == set(loaded.tensors)
        for name, tensor in loaded.tensors.items():
            np.testing.assert_array_equal(again.tensors[name], tensor, err_msg=name)
    net.stem.kernel.assign(net.stem.kernel * np.nan)
    prefix = tf.train.Checkpoint(trainer=trainer).save(str(tmp_path / "nan"))
    assert "stem/kernel holds numbers that are not finite" in refusal(prefix)
    del trainer.meta
    prefix = tf.train.Checkpoint(trainer=trainer).save(str(tmp_path / "bare"))
    assert "its description `meta`" in refusal(prefix)
    with open(prefix + ".index", "r+b") as file:
        file.truncate(40)
    assert "damaged" in refusal(prefix)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(value, alexnet, tmp_path):
    spoilt = alexnet["conv4"][1].copy()
    spoilt[7] = value
    python2_pickle.write(tmp_path / "x.npy", alexnet | {"conv4": (alexnet["conv4"][0], spoilt)})
    assert "conv4 biases holds numbers that are not finite" in refusal(tmp_path / "x.npy")
    write_keras_h5(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5", "r+") as file:
        file["conv1_bn/conv1_bn/gamma:0"][1] = value
    assert "conv1_bn/gamma holds numbers that are not finite" in refusal(tmp_path / "x.h5")


def test_a_hash_in_the_name_is_checked_before_anything_is_parsed(monkeypatch, tmp_path):
    with open(os.path.join(FIXTURES, "narrow_resnet26.pth"), "rb") as file:
        content = file.read()
    right = hashlib.sha256(content).hexdigest()[:8]
    (tmp_path / f"narrow-{right}.pth").write_bytes(content)
    assert weights.load(tmp_path / f"narrow-{right}.pth").network["depth"] == 26
    monkeypatch.setattr(formats, "recognise", lambda path: pytest.fail("it was looked into"))
    (tmp_path / "resnet50-0676ba61.pth").write_bytes(content)
    assert "not the published 0676ba61" in refusal(tmp_path / "resnet50-0676ba61.pth")
    (tmp_path / "mine-0000000a.pth").write_bytes(content)
    assert "not with 0000000a" in refusal(tmp_path / "mine-0000000a.pth")
    name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    (tmp_path / name).write_bytes(content)
    assert "not the published 4d473c1dd8becc155b73f8504c6f6626" in refusal(tmp_path / name)


def test_a_date_in_the_name_is_no_hash(tmp_path):
    path = tmp_path / "resnet26-20240131.pth"
    shutil.copy(os.path.join(FIXTURES, "narrow_resnet26.pth"), path)
    assert weights.load(path).network["depth"] == 26


def test_an_older_file_of_the_same_name_is_told_apart_by_its_hash():
    published = catalogue.CATALOGUE["resnet50-keras"]
    with pytest.raises(cam_base.InputError, match="older file of this name.*take resnet50-keras instead"):
        catalogue.check_hash(published, "a7b3fe01876f51b976af0dea6bc144eb")


def test_the_second_recipe_of_torchvision_is_known_by_its_hash():
    assert catalogue.by_sha256("11ad3fa62ca79e40addfd354a8ec4b7c").name == "resnet50-torchvision-v2"
    assert catalogue.by_sha256("0676ba61b6795bbe1773cffd859882e5").name == "resnet50-torchvision-v1"
    assert catalogue.by_sha256("00000000") is None
    from weights import torchvision
    genuine = safetensors_file.read_arrays(os.path.join(FIXTURES, "narrow_resnet26.safetensors"))
    assert torchvision.convert(genuine, second_recipe=True)[0].preprocessing.centre_crop == 232
    assert torchvision.convert(genuine)[0].preprocessing.centre_crop == 256
    of_state = formats._of_state
    for sha256, crop in (("9ba9bcbe" + 56 * "0", 232), ("d733dc28" + 56 * "0", 232), (64 * "0", 256)):
        assert of_state(State(genuine), sha256).preprocessing.centre_crop == crop


def test_the_classes_of_ilsvrc():
    classes = ilsvrc.categories(1000)
    wnids = [wnid for wnid, _ in classes]
    assert len(classes) == len(set(wnids)) == 1000 and wnids == sorted(wnids)
    assert classes[0] == ("n01440764", "tench, Tinca tinca")
    assert classes[281].label.startswith("tabby") and classes[285].label == "Egyptian cat"
    assert classes[999] == ("n15075141", "toilet tissue, toilet paper, bathroom tissue")
    # Two pairs of classes have (nearly) the same words: only the wnid tells them apart.
    assert [classes[number].wnid for number in (134, 517)] == ["n02012849", "n03126707"]
    assert ilsvrc.categories(2) == [(None, "class 0"), (None, "class 1")]


def test_unknown_and_missing_files_are_refused_in_one_line(tmp_path):
    (tmp_path / "x").write_bytes(b"hello")
    assert "of no format that is read here" in refusal(tmp_path / "x")
    (tmp_path / "x").write_bytes(b"")
    assert "of no format that is read here" in refusal(tmp_path / "x")
    (tmp_path / "x").write_bytes(pickle.dumps({"a": 1}))
    assert "bare pickle" in refusal(tmp_path / "x")
    assert "No such file" in refusal(tmp_path / "nothing")
    assert "not a file" in refusal(tmp_path)
    with open(tmp_path / "x", "wb") as file:
        file.truncate(10_000_000_000_000)  # it takes no room, and an hour to read
    assert "it has 10,000,000,000,000 bytes; at most 8,589,934,592 are read" in refusal(tmp_path / "x")
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path / "pipe", "/dev/zero"):
        assert "not a file" in refusal(endless)


def test_reading_does_not_import_tensorflow():
    code = ("import sys, weights; weights.load(sys.argv[1]); import weights.keras_h5, weights.__main__; "
            "assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code, os.path.join(FIXTURES, "narrow_resnet26.pth")], check=True, cwd=ROOT)
