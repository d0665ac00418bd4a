"""Starting from weights that are there: what is kept, what is new, and what freezing saves."""

import base64
import json
import os
import re
import signal
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_training import TinyNet, assert_same_end, picture_folders, signal_at, use_tiny_network

import cam_data
import nets
import train_loop
import weights
from cam_base import Category, InputError, Preprocessing
from weights import Weights

CONFIG = {"name": "resnet", "depth": 26, "width": 8, "stem": "3x3/2", "output_stride": 16}
NORMALISATION = Preprocessing(size=32, channels="BGR", scale=1.0, mean=(100, 110, 120), deviation=(1, 1, 1))


def write_file(path, config, classes, keep=lambda name: True):
    """A file of random weights, with batch-norm statistics that are not the initial ones."""
    rng = np.random.default_rng(3)
    net = nets.build(config, max(1, len(classes)), seed=5)
    tensors = {name: v.numpy() for name, v in nets.named_variables(net).items() if keep(name)}
    for name in tensors:
        if name.endswith(("gamma", "variance")):
            tensors[name] = rng.uniform(0.5, 1.5, tensors[name].shape).astype(np.float32)
    weights.save(path, Weights(config, tensors, classes, NORMALISATION), dtype="float32")
    return tensors


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes, red and blue, in a plain folder; one file is broken."""
    root = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(0)
    for split, count in (("train", 9), ("val", 3)):
        for channel, name in ((0, "red"), (2, "blue")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                picture = rng.integers(0, 120, (40, 50, 3), np.uint8)
                picture[..., channel] += 120
                Image.fromarray(picture).save(root / split / name / f"{number}.png")
    (root / "train" / "red" / "4.png").write_bytes(b"broken")
    return str(root)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Weights of another task, with three classes."""
    path = str(tmp_path_factory.mktemp("weights") / "other.npz")
    return path, write_file(path, CONFIG, [Category(None, name) for name in ("a", "b", "c")])


def test_features_are_taken_over_and_the_head_is_said_to_be_new(folder, elsewhere, tmp_path, capsys):
    path, tensors = elsewhere
    settings = train_loop.parse(["--init", path, "--data", folder, "--out", str(tmp_path / "run")]).settings
    assert settings.network == CONFIG
    assert Preprocessing.from_dict(settings.preprocessing) == NORMALISATION
    net = train_loop.build(settings, [Category(None, "red"), Category(None, "blue")])
    assert "trained anew: head/bias, head/kernel; not used: head/bias, head/kernel" in capsys.readouterr().out
    for name, variable in nets.named_variables(net).items():
        if not name.startswith("head"):
            np.testing.assert_array_equal(variable, tensors[name], err_msg=name)
    assert net.head.kernel.shape[1] == 2


def test_a_head_of_the_same_classes_is_kept_and_of_others_is_not(elsewhere, tmp_path):
    path, tensors = elsewhere
    settings = train_loop.parse(["--init", path, "--out", str(tmp_path / "run")]).settings
    same = train_loop.build(settings, [Category(None, name) for name in ("a", "b", "c")])
    np.testing.assert_array_equal(same.head.kernel, tensors["head/kernel"])
    other = train_loop.build(settings, [Category(None, name) for name in ("c", "b", "a")])
    assert not np.array_equal(other.head.kernel, tensors["head/kernel"])


def test_frozen_features_stay_and_the_head_learns_from_the_cache(folder, elsewhere, tmp_path, capsys):
    path, tensors = elsewhere
    run = str(tmp_path / "run")
    arguments = ["--init", path, "--freeze-features", "--data", folder, "--batch", "4", "--epochs", "15",
                 "--learning-rate", "0.5", "--weight-decay", "5e-4", "--precision", "float32", "--out", run]
    assert train_loop.main(arguments) == 0
    said = capsys.readouterr().out
    assert "frozen maps of 18 pictures, 2 views: 0 MB in " + os.path.join(run, "frozen-training.npy") in said
    assert "4.png" in said
    trained = weights.load(os.path.join(run, "weights.npz"))
    for name, tensor in trained.tensors.items():
        if not name.startswith("head"):
            np.testing.assert_array_equal(tensor, tensors[name].astype(tensor.dtype), err_msg=name)
    with open(os.path.join(run, "metrics.json"), encoding="utf-8") as file:
        assert json.load(file)["top1_classification_error"] == 0
    maps = np.load(os.path.join(run, "frozen-training.npy"), mmap_mode="r", allow_pickle=False)
    assert maps.shape == (17, 2, 256) and maps.dtype == np.float16


def test_of_a_head_alone_nine_epochs_are_shown_and_the_network_is_seen_once(folder, tmp_path, monkeypatch):
    """At the page's end, the last epoch first, as maps and boxes are judged: scaled, refined, and at their threshold."""
    path, run, seen = str(tmp_path / "liked.npz"), tmp_path / "run", []

    class Counted(TinyNet):
        def __call__(self, pictures, training=False):
            seen.extend([pictures.shape[0]] * tf.executing_eagerly())
            return super().__call__(pictures, training)

    monkeypatch.setitem(nets.NETWORKS, "alexnet", Counted)
    config = {"name": "alexnet", "head": "gap"}
    write_file(path, config, [Category(None, "a"), Category(None, "b")])
    weights.save(path, replace(weights.load(path), looking={"scale": "max", "refine": 20, "threshold": 0.4}))
    assert train_loop.main(["--init", path, "--freeze-features", "--data", folder, "--batch", "4", "--epochs", "12", "--learning-rate", "0.01",
                            "--precision", "float32", "--out", str(run)]) == 0
    assert seen.count(6) == 1  # of the six validation pictures, which are no more than are shown
    epochs = [1, 2, 4, 5, 7, 8, 9, 11, 12]
    assert sorted(os.listdir(run / "examples")) == [f"epoch-{epoch:06}.npy" for epoch in epochs]
    trained = weights.load(str(run / "weights.npz"))
    net = TinyNet(2)
    nets.assign(net, trained.tensors)
    files = [os.path.join(folder, "val", name, f"{number}.png") for name in ("blue", "red") for number in range(3)]
    features = net(tf.stack([cam_data.prepare(cam_data.read_picture(file), NORMALISATION) for file in files]))[1]["features"]
    expected = np.einsum("nhwc,nc->nhw", features, trained.tensors["head/kernel"].astype(np.float32).T[[0, 0, 0, 1, 1, 1]])
    np.testing.assert_allclose(np.load(run / "examples" / "epoch-000012.npy"), expected / np.abs(expected).max((1, 2), keepdims=True), atol=0.01)
    page = (run / "report.html").read_text(encoding="utf-8")
    items = json.loads(re.search(r'id="report">(.*?)</script>', page)[1])["items"]
    held = [json.loads(found) for found in re.findall(r'id="item-\d+">(.*?)</script>', page)]
    names = [item["name"] for item in items]
    assert names[6:] == [f"{name} over time" for name in names[:6]]
    for judged, over_time in zip(held[:6], held[6:], strict=True):
        assert [view["run"] for view in over_time["views"]] == [f"epoch {epoch}" for epoch in epochs[::-1]]
        of_judged, last = (one["views"][0] for one in (judged, over_time))
        grids = [np.frombuffer(base64.b64decode(view["g"]), np.uint8).astype(int) for view in (of_judged, last)]
        np.testing.assert_allclose(*grids, atol=4)  # of 255: the one of float16 weights, the other of float16 maps
        assert of_judged["t"] == last["t"] == 0.4


@pytest.mark.slow
def test_what_is_trained_from_weights_is_looked_with_as_they_are(folder, tmp_path):
    path, looking = str(tmp_path / "liked.npz"), {"scale": "max", "refine": 20, "threshold": 0.4}
    write_file(path, CONFIG, [Category(None, "a"), Category(None, "b")])
    given = weights.load(path)
    weights.save(path, replace(given, looking=looking))
    run = tmp_path / "run"
    assert train_loop.main(["--init", path, "--freeze-features", "--data", folder, "--epochs", "1", "--out", str(run)]) == 0
    assert weights.load(str(run / "weights.npz")).looking == looking
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["threshold"], metrics["map_scale"], metrics["refine"]) == (0.4, "max", 20)
    assert train_loop.main(["--resume", str(run), "--epochs", "2"]) == 0
    assert weights.load(str(run / "weights.npz")).looking == looking
    settings = json.loads((run / "settings.json").read_text())
    del settings["looking"]  # as a run was begun before there was such a setting: read, and not what the checkpoint says
    (run / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match="settings.json says looking"):
        train_loop.main(["--resume", str(run), "--epochs", "3"])


def test_the_cache_holds_what_the_network_gives(folder, tmp_path):
    pictures = cam_data.open_set(folder, "train")
    net = nets.build(CONFIG, 2, seed=1)
    frozen = cam_data.frozen_maps(str(tmp_path / "maps.npy"), pictures, NORMALISATION,
                              lambda inputs: net(inputs)[1]["pooled"], (256,), mirrored=True, made_of=None, batch=5)
    kept = [row for row in range(len(pictures)) if not pictures.files[row].endswith(os.path.join("red", "4.png"))]
    assert [os.path.basename(file) for file in frozen.pictures.files] == [
        os.path.basename(pictures.files[row]) for row in kept]
    for place, row in enumerate(kept):
        picture = cam_data.prepare(cam_data.read_picture(pictures.files[row]), NORMALISATION)
        for view, seen in enumerate((picture, tf.reverse(picture, [1]))):
            pooled = net(seen[None])[1]["pooled"][0]
            np.testing.assert_allclose(frozen.maps[place, view], pooled, rtol=2e-3, atol=1e-4)
    epochs = [np.concatenate([batch[2] for batch in frozen.training_batches(4, seed=0, epoch=0, start=start)])
              for start in (0, 8)]
    assert epochs[0].tolist() == list(range(16)) and epochs[1].tolist() == list(range(8, 16))


def colours(inputs):
    return tf.reduce_mean(inputs, [1, 2])


def resave(path, change):
    np.save(path, change(np.load(path)))


def edit_record(path, change):
    held = json.loads(path.read_text())
    change(held)
    path.write_text(json.dumps(held))


ALTERATIONS = {
    "truncated": lambda maps, record: maps.write_bytes(maps.read_bytes()[:-7]),
    "empty": lambda maps, record: maps.write_bytes(b""),
    "another header": lambda maps, record: maps.write_bytes(maps.read_bytes().replace(b"<f2", b"<u2")),
    "a pickle's header": lambda maps, record: maps.write_bytes(maps.read_bytes().replace(b"'<f2'", b"'|O' ")),
    "one number": lambda maps, record: maps.write_bytes(maps.read_bytes()[:-1] + b"\x11"),
    "garbage": lambda maps, record: maps.write_bytes(bytes(range(256)) * 4),
    "other dtype": lambda maps, record: resave(maps, lambda held: held.astype(np.float32)),
    "rows duplicated": lambda maps, record: resave(maps, lambda held: np.repeat(held[:1], len(held), 0)),
    "removed": lambda maps, record: maps.unlink(),
    "a pipe": lambda maps, record: (maps.unlink(), os.mkfifo(maps)),
    "record removed": lambda maps, record: record.unlink(),
    "record garbage": lambda maps, record: record.write_bytes(b"\xff"),
    "record null": lambda maps, record: record.write_bytes(b"null"),
    "record nested": lambda maps, record: record.write_bytes(b"[" * 100_000),
    "record's rows duplicated": lambda maps, record: edit_record(record, lambda held: held.update(rows=[0] * 17)),
    "record's rows out of range": lambda maps, record: edit_record(record, lambda held: held["rows"].append(99)),
    "record's rows no rows": lambda maps, record: edit_record(record, lambda held: held.update(rows={"a": [1]})),
    "record's rows too large": lambda maps, record: edit_record(record, lambda held: held.update(rows=[2**70])),
}


@pytest.mark.slow
def test_frozen_maps_that_were_altered_are_computed_again(folder, tmp_path, capfd):
    pictures, computed = cam_data.open_set(folder, "train"), []

    def frozen(compute=colours, preprocessing=NORMALISATION, **changes):
        computed.clear()
        found = cam_data.frozen_maps(
            str(tmp_path / "maps.npy"), pictures, preprocessing,
            lambda inputs: (computed.append(1), compute(inputs))[1], (3,),
            **{"mirrored": True, "made_of": {"layers": "x"}} | changes)
        return np.array(found.maps), found.pictures.files

    maps, files = frozen()
    assert len(files) == 17 and computed
    assert frozen()[1] == files and not computed
    for name, alter in ALTERATIONS.items():
        alter(tmp_path / "maps.npy", tmp_path / "maps.json")
        again, same_files = frozen()
        assert computed, name
        np.testing.assert_array_equal(again, maps, err_msg=name)
        assert same_files == files and again.dtype == np.float16
        frozen()
        assert not computed, name
    assert "maps.npy is damaged, or of other pictures or layers" in capfd.readouterr().out
    for change in ({"made_of": {"layers": "y"}}, {"mirrored": False},
                   {"preprocessing": Preprocessing(size=32, scale=0.5)}):
        frozen(**change)
        assert computed, change
        frozen()


def test_a_resumed_run_with_frozen_maps_that_were_altered_comes_to_the_same_end(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    data, init, run = picture_folders(tmp_path / "pictures"), str(tmp_path / "init.npz"), tmp_path / "run"
    net = TinyNet(2, seed=8)
    weights.save(init, Weights({"name": "alexnet"}, {name: v.numpy() for name, v in nets.named_variables(net).items()},
                               [Category(None, "a"), Category(None, "b")], Preprocessing(size=16)))
    arguments = ["--init", init, "--freeze-features", "--batch", "4", "--epochs", "2", "--precision", "float32",
                 "--data", data]
    assert train_loop.main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    with monkeypatch.context() as patch:
        signal_at(patch, 5, signal.SIGINT)
        assert train_loop.main([*arguments, "--out", str(run)]) == 130
    resave(run / "frozen-training.npy", np.zeros_like)
    os.unlink(init)  # a run goes on without it
    assert train_loop.main(["--resume", str(run)]) == 0
    assert_same_end(run, tmp_path / "whole")


def test_a_disk_without_room_is_said_before_the_work(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(InputError, match="needs .* MB and the disk has 0 MB"):
        cam_data.frozen_maps(str(tmp_path / "maps.npy"), cam_data.open_set(folder, "train"), NORMALISATION,
                         None, (256,), mirrored=True, made_of=None)


@pytest.mark.slow
def test_features_can_learn_at_a_rate_of_their_own(folder, elsewhere, tmp_path):
    path, tensors = elsewhere
    run = str(tmp_path / "run")
    assert train_loop.main(["--init", path, "--features-rate", "0", "--data", folder, "--batch", "4",
                            "--epochs", "1", "--precision", "float32", "--out", run]) == 0
    trained = weights.load(os.path.join(run, "weights.npz")).tensors
    np.testing.assert_array_equal(trained["stages/3/1/conv2/kernel"],
                                  tensors["stages/3/1/conv2/kernel"].astype(np.float16))
    assert trained["head/bias"].any()


@pytest.mark.slow
def test_alexnet_gap_starts_from_convolutions_without_a_head(folder, tmp_path):
    """As the Toronto file gives them: conv1 to conv5 and no classes."""
    path, run = str(tmp_path / "conv.npz"), str(tmp_path / "run")
    config = {"name": "alexnet", "head": "gap", "conv5_units": 256}
    tensors = write_file(path, config, [], keep=lambda name: not nets.is_head(nets.NETWORKS["alexnet"], name))
    assert train_loop.main(["--init", path, "--size", "99", "--freeze-features", "--no-mirror", "--data", folder,
                            "--batch", "4", "--epochs", "2", "--out", run]) == 0
    trained = weights.load(os.path.join(run, "weights.npz"))
    np.testing.assert_array_equal(trained.tensors["conv3/kernel"], tensors["conv3/kernel"].astype(np.float16))
    assert trained.tensors["conv6/kernel"].shape == (3, 3, 256, 1024) and len(trained.classes) == 2
    assert trained.preprocessing.channels == "BGR"


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--freeze-features", "--precision", "bfloat16"],
                                     ["--features-rate", "0.1"]])
def test_efficientnet_lite_is_a_start_by_its_name(options, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(train_loop, "report", lambda *_: None)
    run = tmp_path / "run"
    assert train_loop.main(["--init", "efficientnet-lite1", "--size", "64", "--output-stride", "16", "--data", folder,
                            "--batch", "4", "--epochs", "3", "--learning-rate", "0.01", "--out", str(run), *options]) == 0
    trained, given = weights.load(run / "weights.npz"), weights.load(weights.resolve("efficientnet-lite1"))
    assert trained.network == {"name": "efficientnet-lite", "variant": 1, "output_stride": 16}
    assert [category.label for category in trained.classes] == ["blue", "red"]
    assert (trained.preprocessing.size, trained.preprocessing.interpolation) == (64, "bicubic")
    kept = np.array_equal(trained.tensors["top/kernel"], given.tensors["top/kernel"].astype(np.float16))
    frozen = "--freeze-features" in options
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    assert kept == frozen and last["accuracy"] > 0.7 and (last["validation_top1"] == 1 or not frozen)


def test_networks_are_trained_from_nothing_as_they_say():
    for name, known in nets.NETWORKS.items():
        settings = train_loop.parse(["--network", name]).settings
        assert settings.network == {"name": name} | known.defaults
        assert settings.preprocessing["size"] == known.usual_size()
    settings = train_loop.parse(["--network", "efficientnet-lite", "--variant", "2", "--output-stride", "16"]).settings
    assert settings.network == {"name": "efficientnet-lite", "variant": 2, "output_stride": 16}
    assert settings.preprocessing["size"] == 260
    assert tuple(sorted(nets.NETWORKS)) == nets.NAMES


def test_pictures_too_small_for_a_network_are_refused_before_there_is_a_run(folder, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(InputError, match="alexnet needs pictures of at least 67 pixels, not 66"):
        train_loop.main(["--network", "alexnet", "--head", "star", "--size", "66", "--data", folder, "--out", str(run)])
    assert not run.exists()


def test_options_that_contradict_each_other_are_refused(elsewhere, tmp_path):
    path, _ = elsewhere
    for arguments, message in ((["--freeze-features"], "--freeze-features needs --init"),
                               (["--init", path, "--depth", "50"], "--depth cannot be chosen with --init"),
                               (["--no-mirror", "--data", "synthetic"], "--no-mirror does not go with drawn pictures"),
                               (["--features-rate", "0.1"], "--features-rate needs --init"),
                               (["--init", path, "--freeze-features", "--features-rate", "0"], "not trained with"),
                               (["--init", path, "--head", "star"], "--head is not an option of resnet"),
                               (["--network", "alexnet", "--depth", "50"], "--depth is not an option of alexnet"),
                               (["--init", "efficientnet-lite1", "--variant", "2"], "--variant cannot be chosen with"),
                               (["--variant", "1"], "--variant is not an option of resnet"),
                               (["--init", str(tmp_path / "none.npz")], "none.npz")):
        with pytest.raises(InputError, match=message):
            train_loop.parse([*arguments, "--out", str(tmp_path / "run")])
