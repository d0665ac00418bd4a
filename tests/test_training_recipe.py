"""What a recipe is made of: mixing, averages, loss scaling, a hold-out, growing inputs, the best epoch, presets."""

import json
import os
import types

import numpy as np
import pytest
import tensorflow as tf
from small_sets import class_folders, write_picture
from small_training import TinyNet, log_of, picture_folders, resume, train, use_tiny_network
from test_train_loop import settings_of_a_step

import cam_data
import cam_training
import nets
import train_loop
import weights
from cam_base import Category, InputError
from cam_training.mixing import mix, mixed_targets
from cam_training.presets import PRESETS
from cam_training.sources import held_out, size_of_epoch
from cam_training.trainer import FIRST_SCALE, Trainer

# ---------------------------------------------------------------- mixing

PAIRS = np.arange(4 * 8 * 8 * 3, dtype=np.float32).reshape(4, 8, 8, 3)


def mixed(step, **alphas):
    inputs, share = mix(tf.constant(PAIRS), seed=tf.constant([0, step], tf.int64), **{"mixup": 0, "cutmix": 0} | alphas)
    return np.asarray(inputs), float(share)


def test_mixup_is_a_weighted_sum_with_the_picture_before():
    shares = []
    for step in range(40):
        inputs, share = mixed(step, mixup=0.5)
        np.testing.assert_allclose(inputs, share * PAIRS + (1 - share) * np.roll(PAIRS, 1, 0), rtol=1e-5, atol=1e-3)
        shares.append(share)
    # Beta(0.5, 0.5): mean 1/2, deviation 0.354; the error of the mean of 40 is 0.056.
    assert 0 <= min(shares) and max(shares) <= 1 and abs(np.mean(shares) - 0.5) < 0.2 and 0.2 < np.std(shares) < 0.45


def test_cutmix_pastes_one_rectangle_and_counts_what_it_covers():
    covered = []
    for step in range(40):
        inputs, share = mixed(step, cutmix=1)
        other = (inputs == np.roll(PAIRS, 1, 0)).all(-1)
        assert ((inputs == PAIRS).all(-1) | other).all() and (other == other[0]).all()
        rows, columns = np.flatnonzero(other[0].any(1)), np.flatnonzero(other[0].any(0))
        assert other[0].sum() == len(rows) * len(columns) and share == pytest.approx(1 - other[0].mean(), abs=1e-6)
        covered.append(other[0].mean())
    assert min(covered) < 0.2 and max(covered) > 0.6


def test_where_both_are_asked_for_a_coin_chooses():
    blended = [not np.isin(mixed(step, mixup=1, cutmix=1)[0], PAIRS).all() for step in range(40)]
    assert 8 < sum(blended) < 32
    assert mixed(3)[1] == 1 and np.array_equal(mixed(3)[0], PAIRS)


def test_only_a_share_of_the_batches_is_mixed():
    shares = [mixed(step, cutmix=1, batches=0.5)[1] for step in range(60)]
    plain = [step for step, share in enumerate(shares) if share == 1]
    assert 18 < len(plain) < 42
    for step in range(20):
        inputs, share = mixed(step, cutmix=1, batches=0.5)
        wanted = (PAIRS, 1) if share == 1 else mixed(step, cutmix=1)
        np.testing.assert_array_equal(inputs, wanted[0])
        assert share == wanted[1]


def test_targets_are_of_both_labels():
    np.testing.assert_allclose(mixed_targets(tf.constant([0, 2, 1]), 3, 0.75), [[0.75, 0.25, 0], [0.25, 0, 0.75], [0, 0.75, 0.25]])


@pytest.mark.parametrize("options", [{"cutmix": 1.0}, {"mixup": 0.4}])
def test_a_step_trains_on_mixed_pictures_and_their_targets(options):
    """One step's momentum is the gradient of the loss of what `mix` and `mixed_targets` make, drawn by the seed and the step."""
    x, labels = tf.random.stateless_uniform([4, 16, 16, 3], [1, 2]), tf.constant([0, 1, 2, 1])
    net = TinyNet(3)
    mixed, share = mix(x, mixup=options.get("mixup", 0), cutmix=options.get("cutmix", 0), seed=tf.constant([5, 0], tf.int64))
    assert 0.02 < float(share) < 0.98
    with tf.GradientTape() as tape:
        losses = tf.nn.softmax_cross_entropy_with_logits(mixed_targets(labels, 3, share), net(mixed, True)[0])
        loss = tf.reduce_mean(losses)
    trainer = Trainer(TinyNet(3), settings_of_a_step(seed=5, **options), 2, b"")
    wanted = tape.gradient(loss, [nets.named_variables(net)[name] for name in trainer.trained()])
    assert float(trainer.step(x, labels)) == pytest.approx(float(loss), rel=1e-5)
    for momentum, gradient in zip(trainer.momenta, wanted):
        np.testing.assert_allclose(momentum, gradient, atol=1e-6)
    guesses = np.argmax(net(mixed, True)[0], 1)
    right = np.where(guesses == labels, share, 0) + np.where(guesses == np.roll(labels, 1), 1 - share, 0)
    assert float(trainer.totals[1]) == pytest.approx(right.sum(), abs=1e-5)


def test_a_training_changes_its_pictures_as_it_was_told(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    seen, original = [], cam_data.training_batches

    def noted(pictures, preprocessing, *arguments, augmentation, **options):
        seen.append((preprocessing.size, augmentation))
        return original(pictures, preprocessing, *arguments, augmentation=augmentation, **options)

    monkeypatch.setattr(cam_data, "training_batches", noted, raising=False)
    train_loop.main(["--network", "alexnet", "--batch", "4", "--data", picture_folders(tmp_path / "pictures"), "--out", str(tmp_path / "run"), "--epochs", "3",
                     "--crop", "padded", "--jitter", "0.2", "--cutout", "0.3", "--first-size", "16", "--size", "24", "--no-mirror"])
    assert seen == [(size, cam_data.Augmentation("padded", 0.2, 0.3, mirror=False)) for size in (16, 16, 24)]


# ---------------------------------------------------------------- averages, loss scaling

def tiny_step(averaged=None, steps=1, **settings):
    """A trainer of TinyNet after so many steps, and the variables after each."""
    x, labels = tf.random.stateless_uniform([4, 16, 16, 3], [1, 2]), tf.constant([0, 1, 2, 1])
    trainer = Trainer(TinyNet(3), settings_of_a_step(**settings), 2, b"", averaged)
    after = []
    for _ in range(steps):
        trainer.step(x, labels)
        after.append({name: variable.numpy() for name, variable in nets.named_variables(trainer.net).items()})
    return trainer, after


def test_the_average_follows_the_weights_and_is_what_is_judged():
    trainer, after = tiny_step(TinyNet(3, seed=5), steps=3, average=0.15)
    wanted = after[0]  # the first step is copied; then steps 1 and 2 have decays of 1/11 and 0.15
    for decay, values in ((1 / 11, after[1]), (0.15, after[2])):
        wanted = {name: decay * wanted[name] + (1 - decay) * values[name] for name in wanted}
    assert trainer.judged is trainer.averaged
    for name, variable in nets.named_variables(trainer.judged).items():
        np.testing.assert_allclose(variable, wanted[name], rtol=1e-5, atol=1e-7, err_msg=name)
        assert np.abs(variable - after[2][name]).max() > 0
    x = tf.random.stateless_uniform([2, 16, 16, 3], [3, 4])
    np.testing.assert_allclose(trainer.classify(x), trainer.averaged(x)[0], rtol=1e-5)


def test_in_float16_a_step_that_overflows_is_left_out_and_halves_the_scale():
    trainer, (after,) = tiny_step(precision="float16")
    _, (plain,) = tiny_step(precision="float32")
    for name, value in plain.items():
        np.testing.assert_allclose(after[name], value, atol=2e-3, err_msg=name)
    trainer.loss_scale.assign(1e38)
    trainer.step(tf.ones([4, 16, 16, 3]), tf.constant([0, 1, 2, 1]))
    assert float(trainer.loss_scale) < 1e38 / 2 and int(trainer.steps_since) == 0
    for name, variable in nets.named_variables(trainer.net).items():
        np.testing.assert_array_equal(variable, after[name])
    trainer.loss_scale.assign(FIRST_SCALE)
    trainer.steps_since.assign(1999)
    trainer.step(tf.ones([4, 16, 16, 3]), tf.constant([0, 1, 2, 1]))
    assert float(trainer.loss_scale) == 2 * FIRST_SCALE


# ---------------------------------------------------------------- pictures

def test_a_hold_out_is_drawn_by_the_seed_of_every_class_and_never_trained_on():
    pictures = cam_data.PictureSet("set", [Category(None, "a"), Category(None, "b")], np.repeat(np.int32([0, 1]), [30, 10]),
                                   [f"{number}.png" for number in range(40)])
    rest, held = held_out(pictures, 8, 0)
    assert sorted(rest.files + held.files) == sorted(pictures.files) and np.bincount(held.labels).tolist() == [4, 4]
    assert held_out(pictures, 8, 0)[1].files == held.files != held_out(pictures, 8, 1)[1].files
    assert [np.bincount(part.labels).tolist() for part in held_out(pictures, 20, 0)] == [[15, 5], [15, 5]]  # half of each, at most
    with pytest.raises(InputError, match="--hold-out 21: of 40 pictures, 20 can be held out, half of each class"):
        held_out(pictures, 21, 0)


def test_a_picture_of_several_classes_is_held_out_with_all_of_them():
    """As PASCAL VOC's and COCO's are listed: the same pixels must not be trained on and judged."""
    labels, files = np.int32([0, 1] * 10), [f"{number // 2}.png" for number in range(20)]
    pictures = cam_data.PictureSet("set", [Category(None, "a"), Category(None, "b")], labels, files, ids=[f"{n}" for n in range(20)])
    for seed in range(5):
        rest, held = held_out(pictures, 4, seed)
        assert not set(rest.files) & set(held.files) and len(held) % 2 == 0 and np.bincount(held.labels).tolist() == 2 * [len(held) // 2]
    lone = cam_data.PictureSet("set", [Category(None, "a"), Category(None, "b")], np.int32([0, 0, 0, 1, 1]), ["x", "y", "z", "x", "x"])
    with pytest.raises(InputError, match="--hold-out 2 leaves no picture of 'b' to train on"):
        held_out(lone, 2, 0)


def test_inputs_grow_by_eights_over_two_thirds_of_the_epochs():
    settings = types.SimpleNamespace(first_size=32, epochs=9, preprocessing={"size": 64})
    sizes = [size_of_epoch(settings, epoch) for epoch in range(9)]
    assert sizes[0] == 32 and sizes[6:] == [64] * 3 and sizes == sorted(sizes) and all(size % 8 == 0 for size in sizes)
    settings.first_size = None
    assert size_of_epoch(settings, 0) == 64


# ---------------------------------------------------------------- runs

@pytest.mark.slow
def test_a_run_with_all_of_it_goes_on_to_the_same_numbers(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    data = picture_folders(tmp_path / "pictures")
    options = ["--average", "0.9", "--cutmix", "1", "--mixup", "0.2", "--mixed", "0.7", "--crop", "padded", "--cutout", "0.3", "--jitter", "0.2", "--schedule", "one-cycle",
               "--hold-out", "4", "--first-size", "16", "--size", "24", "--precision", "float16"]
    whole, parts = str(tmp_path / "whole"), str(tmp_path / "parts")
    arguments = ["--network", "alexnet", "--batch", "4", "--data", data, *options]
    assert train_loop.main([*arguments, "--out", whole, "--epochs", "3"]) == 0
    saved = cam_training.Checkpoints.save

    def stop_after_the_first(self):
        saved(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cam_training.Checkpoints, "save", stop_after_the_first)
        train_loop.main([*arguments, "--out", parts, "--epochs", "3"])
    assert resume(parts) == 0
    for name in ("weights.npz", "best.npz"):
        ours, theirs = (weights.load(os.path.join(run, name)) for run in (whole, parts))
        for path, tensor in theirs.tensors.items():
            np.testing.assert_array_equal(ours.tensors[path], tensor, err_msg=path)
    assert log_of(whole) == log_of(parts)
    # What weights.load reads of a checkpoint is the average that was exported.
    exported = weights.load(whole + "/weights.npz").tensors
    for path, tensor in weights.load(f"{whole}/checkpoints/ckpt-3").tensors.items():
        np.testing.assert_allclose(tensor, exported[path], rtol=1e-3, atol=1e-4)


def test_best_is_the_first_epoch_of_the_highest_accuracy(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    accuracies = iter([0.5, 0.75, 0.75, 0.25])
    monkeypatch.setattr(train_loop, "validate", lambda *_: {"validation_top1": next(accuracies), "validation_top5": 1.0})
    run = tmp_path / "run"
    assert train(picture_folders(tmp_path / "pictures"), run, epochs=4) == 0
    assert weights.load(str(run / "best.npz")).provenance["epochs_done"] == 2
    assert weights.load(str(run / "weights.npz")).provenance["epochs_done"] == 4


def test_validation_at_the_end_alone_looks_at_no_validation_picture_before(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    monkeypatch.setattr(train_loop, "validate", lambda *_: pytest.fail("judged in between"))
    run = tmp_path / "run"
    assert train(picture_folders(tmp_path / "pictures"), run, "--validate", "end", epochs=2) == 0
    assert not os.path.exists(run / "best.npz") and set(log_of(run)[0]) >= {"loss", "accuracy"} and "validation_top1" not in log_of(run)[0]


# ---------------------------------------------------------------- presets

@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_chooses_what_is_not_given(name, monkeypatch):
    monkeypatch.setitem(PRESETS, "finetune", PRESETS["finetune"] | {"init": "tiny-imagenet-100"})  # weights in the repository
    settings = cam_training.parse(["--preset", name, "--learning-rate", "0.0625", "--data", "pictures"]).settings
    values = vars(settings) | settings.network | {"size": settings.preprocessing["size"], "network": settings.network["name"]}
    for option, value in PRESETS[name].items():
        assert values[option] == (0.0625 if option == "learning_rate" else settings.init if option == "init" else value), option
    assert settings.preset == name and "--learning-rate 0.0625" in cam_training.preset_in_words(settings)
    assert json.loads(json.dumps(vars(settings)))["preset"] == name
    with pytest.raises(InputError, match="--data"):
        cam_training.parse(["--preset", name])


def test_a_preset_says_when_it_does_not_go_with_init(tmp_path):
    """And names no option that nobody has typed."""
    with pytest.raises(InputError, match="--preset cifar10 chooses --network, and with --init the file says which network it is of"):
        cam_training.parse(["--preset", "cifar10", "--init", "tiny-imagenet-100", "--data", "pictures"])
    settings = cam_training.parse(["--preset", "finetune", "--init", "tiny-imagenet-100", "--freeze-features", "--data", "pictures"]).settings
    assert settings.freeze_features and settings.features_rate == 1 and settings.average == PRESETS["finetune"]["average"]


# ---------------------------------------------------------------- sets that a run cannot be trained on as they are

def test_examples_of_several_proportions_are_drawn_as_squares(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    for number, size in enumerate([(20, 60), (60, 20), (30, 30), (200, 20), (20, 90), (50, 40)]):
        for split in ("train", "val"):
            write_picture(str(tmp_path / "set" / split / "ab"[number % 2] / f"{number}.png"), number, size)
    assert train(str(tmp_path / "set"), tmp_path / "run", epochs=2) == 0
    assert len(log_of(tmp_path / "run")) == 2


def small_coco(path, categories, labels):
    """A JSON of 20 x 16 pictures, with a box each, of these categories; the pictures are beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for number in range(len(labels)):
        write_picture(str(path.parent / f"{path.stem}{number}.png"), number)
    path.write_text(json.dumps({
        "images": [{"id": number, "file_name": f"{path.stem}{number}.png", "width": 20, "height": 16} for number in range(len(labels))],
        "categories": [{"id": number, "name": name} for number, name in enumerate(categories)],
        "annotations": [{"image_id": number, "category_id": categories.index(name), "bbox": [1, 1, 5, 5]} for number, name in enumerate(labels)]}))


def settings_of(data, **changes):
    return types.SimpleNamespace(**{"data": str(data), "largest_picture": 1.0, "classes": None, "rows": None, "hold_out": 0, "seed": 0} | changes)


def test_classes_of_the_validation_set_are_those_that_are_trained(tmp_path):
    small_coco(tmp_path / "set" / "train" / "_annotations.coco.json", ["cat", "dog", "emu"], ["emu", "cat", "dog"])
    small_coco(tmp_path / "set" / "valid" / "_annotations.coco.json", ["dog", "emu"], ["dog", "emu", "emu"])
    training, validation = cam_training.open_data(settings_of(tmp_path / "set"))
    assert [label for _, label in training.categories] == ["cat", "dog", "emu"] and validation.categories == training.categories
    assert [training.categories[label].label for label in validation.labels] == ["dog", "emu", "emu"]
    small_coco(tmp_path / "set" / "valid" / "_annotations.coco.json", ["dog", "fox"], ["dog", "fox", "fox"])
    with pytest.raises(InputError, match="the class 'fox' .1 such class in all. is not among"):
        cam_training.open_data(settings_of(tmp_path / "set"))


def test_pictures_are_not_judged_that_are_trained_on(tmp_path):
    small_coco(tmp_path / "my.json", ["cat", "dog"], ["cat", "dog"] * 4)
    with pytest.raises(InputError, match="have pictures in common: hold some out by --hold-out"):
        cam_training.open_data(settings_of(tmp_path / "my.json"))
    training, validation = cam_training.open_data(settings_of(tmp_path / "my.json", hold_out=2))
    assert len(training) == 6 and not set(training.files) & set(validation.files)


def test_a_validation_split_without_the_trained_classes_is_found_at_the_start(tmp_path):
    class_folders(tmp_path / "set" / "train", {"cat": 4, "dog": 4, "emu": 4})
    class_folders(tmp_path / "set" / "val", {"emu": 4})
    with pytest.raises(InputError, match="set/val has no picture of the classes that are trained: hold some out by --hold-out"):
        cam_training.open_data(settings_of(tmp_path / "set", classes=2))


def test_a_hold_out_needs_no_validation_split(tmp_path):
    class_folders(tmp_path / "set" / "train", {"cat": 4, "dog": 4})
    training, validation = cam_training.open_data(settings_of(tmp_path / "set", hold_out=2))
    assert (len(training), len(validation)) == (6, 2)


def test_a_first_size_that_leaves_no_map_is_refused(tmp_path):
    data = picture_folders(tmp_path / "pictures")
    with pytest.raises(InputError, match="at least 35 pixels, not 16"):
        train_loop.main(["--network", "alexnet", "--size", "67", "--first-size", "16", "--data", data, "--out", str(tmp_path / "run")])
    assert not os.path.exists(tmp_path / "run")


def test_a_rehearsal_is_at_full_size_and_judges_once_where_that_is_asked(tmp_path, monkeypatch):
    use_tiny_network(monkeypatch)
    sizes, found = [], {}
    original = cam_data.training_batches

    def seen(pictures, preprocessing, *arguments, **options):
        sizes.append(preprocessing.size)
        return original(pictures, preprocessing, *arguments, **options)

    monkeypatch.setattr(cam_data, "training_batches", seen, raising=False)
    data = picture_folders(tmp_path / "pictures")
    for validate in ("every", "end"):
        monkeypatch.setattr(train_loop, "say", lambda text: None)
        monkeypatch.setattr(cam_training.Rehearsal, "in_words", lambda rehearsal, validate=validate: found.update({validate: rehearsal}) or "")
        assert train_loop.main(["--network", "alexnet", "--batch", "4", "--data", data, "--out", str(tmp_path / "run"), "--first-size", "16", "--size", "24",
                                "--dry-run", "--validate", validate, "--epochs", "10"]) == 0
    assert set(sizes) == {24}
    for validate, times in (("every", 10), ("end", 1)):
        one = found[validate]
        assert one.total == pytest.approx(one.first_step + 10 * (one.steps * one.step + one.saving) + times * one.judging)
        assert one.saving > 0


def test_a_step_of_many_sizes_is_nothing_that_tensorflow_warns_of(caplog):
    """Each size has one graph, and the weights move in each."""
    trainer = Trainer(TinyNet(3), settings_of_a_step(), 2, b"")
    for side in range(16, 56, 8):
        before = trainer.net.head.kernel.numpy()
        trainer.step(tf.ones([4, side, side, 3]), tf.constant([0, 1, 2, 1]))
        assert (trainer.net.head.kernel.numpy() != before).any()
    assert int(trainer.step_number) == 5 and not caplog.records
