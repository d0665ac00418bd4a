"""The pipelines: the same batches for the same seed, every row once, and broken files left out by name."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from cam_base import Category, Preprocessing
from cam_data import (
    PictureSet,
    augmentation,
    broken_files,
    epoch_order,
    open_set,
    pipeline,
    prepare,
    read_picture,
    training_batches,
    viewing_batches,
)

from small_sets import class_folders, tiny_imagenet, write_picture

SMALL = Preprocessing(size=16)
PLAIN = Preprocessing(size=32, scale=1.0, mean=(0, 0, 0), deviation=(1, 1, 1))


@pytest.fixture()
def pictures(tmp_path):
    """12 pictures of two classes, of different sizes."""
    root = class_folders(tmp_path / "train", {"cat": 6, "dog": 6})
    write_picture(os.path.join(root, "cat", "cat-0.png"), 5, size=(90, 40))
    return open_set(str(tmp_path), "train")


def drawn(draw, rows=8):
    return PictureSet("drawn", [Category(None, "one")], np.zeros(rows, np.int32), ["drawn"] * rows, None, draw)


def batches(*arguments, **options):
    return [[part.numpy() for part in batch] for batch in training_batches(*arguments, **options)]


def assert_same(one, two):
    assert len(one) == len(two)
    for first, second in zip(one, two):
        for part, other in zip(first, second):
            np.testing.assert_array_equal(part, other)


def break_some(pictures, rows):
    """Break these rows' files in three ways."""
    for number, row in enumerate(rows):
        if number % 3 == 2:
            os.unlink(pictures.files[row])
        else:
            with open(pictures.files[row], "wb") as file:
                file.write([b"", b"not a picture"][number % 3])


# ---------------------------------------------------------------- training

def test_a_seed_decides_every_batch(pictures):
    first, again = (batches(pictures, SMALL, 4, seed=1, epoch=2) for _ in range(2))
    assert_same(first, again)
    for other in ({"seed": 2, "epoch": 2}, {"seed": 1, "epoch": 3}):
        assert not np.array_equal(batches(pictures, SMALL, 4, **other)[0][0], first[0][0])


def test_batches_hold_what_they_say(pictures):
    order = epoch_order(pictures, 1, 0)
    found = batches(pictures, SMALL, 4, seed=1, epoch=0)
    assert [len(batch[1]) for batch in found] == [4, 4, 4]
    for inputs, labels, positions in found:
        assert inputs.shape == (4, 16, 16, 3) and inputs.dtype == np.float32
        assert labels.dtype == np.int32 and positions.dtype == np.int64
        np.testing.assert_array_equal(labels, pictures.labels[order[positions]])


def test_every_row_comes_once_in_each_epoch_in_another_order(pictures):
    orders = []
    for epoch in range(3):
        positions = np.concatenate([batch[2] for batch in batches(pictures, SMALL, 4, seed=1, epoch=epoch)])
        np.testing.assert_array_equal(positions, np.arange(12))
        orders.append(tuple(epoch_order(pictures, 1, epoch)))
        assert sorted(orders[-1]) == list(range(12))
    assert len(set(orders)) == 3


@pytest.mark.parametrize("start", [0, 3, 5, 10])
def test_an_epoch_goes_on_from_any_position_as_if_it_had_not_stopped(pictures, start):
    whole = batches(pictures, SMALL, 1, seed=4, epoch=1)
    assert_same(batches(pictures, SMALL, 1, seed=4, epoch=1, start=start), whole[start:])


def test_an_epoch_goes_on_among_broken_files_too(pictures):
    break_some(pictures, [1, 4, 9])
    whole = batches(pictures, SMALL, 2, seed=4, epoch=1)
    assert len(whole) == 4
    for done in range(1, 5):
        start = whole[done - 1][2][-1] + 1
        assert_same(batches(pictures, SMALL, 2, seed=4, epoch=1, start=start), whole[done:])


def test_a_last_batch_that_is_not_full_is_dropped_unless_it_is_the_only_one(pictures):
    assert [len(batch[1]) for batch in batches(pictures, SMALL, 5, seed=1, epoch=0)] == [5, 5]
    assert [len(batch[1]) for batch in batches(pictures, SMALL, 5, seed=1, epoch=0, start=5)] == [5]
    assert [len(batch[1]) for batch in batches(pictures, SMALL, 50, seed=1, epoch=0)] == [12]


def test_drawn_pictures_are_asked_for_by_row_and_epoch():
    asked = []
    grey = drawn(lambda row, epoch: (asked.append((int(row), epoch)), np.full((8, 8, 3), 20 * row, np.uint8))[1])
    order = epoch_order(grey, 0, 6)
    for inputs, _, positions in batches(grey, PLAIN, 4, seed=0, epoch=6):
        np.testing.assert_allclose(inputs[:, 0, 0, 0], 20 * order[positions], atol=1e-3)
    assert sorted(asked) == [(row, 6) for row in range(8)]


# ---------------------------------------------------------------- crops and mirrors

@pytest.fixture(scope="module")
def ramp(tmp_path_factory):
    """Eight rows of one picture whose red tells the column, and green the row, of each pixel."""
    y, x = np.mgrid[:200, :200]
    return of_one_file(np.stack([x, y, 0 * x], -1), tmp_path_factory.mktemp("ramp"))


def of_one_file(pixels, folder, rows=8):
    path = str(folder / "picture.png")
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return PictureSet("one", [Category(None, "one")], np.zeros(rows, np.int32), [path] * rows)


def crops(pictures, epochs):
    """(left, right, top, bottom) of each crop of `ramp`, and whether it is mirrored."""
    found = np.concatenate([batch[0] for epoch in range(epochs)
                            for batch in batches(pictures, PLAIN, 8, seed=3, epoch=epoch)])
    x, y = found[:, 0, :, 0].astype(float), found[:, :, 0, 1].astype(float)
    mirrored = x[:, 0] > x[:, -1]
    x[mirrored] = x[mirrored, ::-1]
    # The centres of the outermost pixels lie half of an output pixel inside the crop.
    half_x, half_y = (x[:, 20] - x[:, 10]) / 20, (y[:, 20] - y[:, 10]) / 20
    return np.stack([x[:, 10] - 21 * half_x, x[:, 20] + 23 * half_x, y[:, 10] - 21 * half_y, y[:, 20] + 23 * half_y],
                    1) + 0.5, mirrored


@pytest.mark.slow
def test_crops_have_the_areas_and_proportions_that_they_should_and_differ(ramp):
    edges, mirrored = crops(ramp, 12)
    width, height = edges[:, 1] - edges[:, 0], edges[:, 3] - edges[:, 2]
    assert (edges > -1).all() and (edges < 201).all()
    area, proportions = width * height / 200**2, width / height
    low, high = augmentation.CROP_AREA
    assert (area > low - 0.02).all() and (area < high + 0.02).all() and np.ptp(area) > 0.7 * (high - low)
    low, high = augmentation.CROP_PROPORTIONS
    assert (proportions > low - 0.03).all() and (proportions < high + 0.03).all() and np.ptp(proportions) > 0.3
    assert len(np.unique(edges.round(1), axis=0)) > 90
    # 96 throws of a coin.
    assert 28 <= mirrored.sum() <= 68


def test_a_rows_crop_changes_with_the_epoch_and_not_with_its_batch(ramp):
    one, other = (batches(ramp.rows([0]), PLAIN, 1, seed=3, epoch=epoch)[0][0] for epoch in (0, 1))
    assert np.abs(one - other).max() > 2
    order = epoch_order(ramp, 3, 0)
    alone = batches(ramp, PLAIN, 1, seed=3, epoch=0)
    together = batches(ramp, PLAIN, 8, seed=3, epoch=0)[0][0]
    np.testing.assert_array_equal(np.concatenate([batch[0] for batch in alone]), together)
    np.testing.assert_array_equal(together[order == 0], one)


@pytest.mark.parametrize("height, width", [(1, 1), (2, 300), (300, 2)])
def test_pictures_without_room_for_a_crop_are_taken_whole(height, width, tmp_path):
    flat = of_one_file(np.full((height, width, 3), 77), tmp_path, rows=2)
    np.testing.assert_allclose(batches(flat, PLAIN, 2, seed=0, epoch=0)[0][0], np.full((2, 32, 32, 3), 77), atol=1e-3)


def test_drawn_pictures_are_seen_whole():
    """Larger than the input: what reaches the network is what it will be judged by."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 50, 50, 3), np.uint8)
    pictures = drawn(lambda row, epoch: noise[row])
    order = epoch_order(pictures, 3, 0)
    for inputs, _, positions in batches(pictures, SMALL, 4, seed=3, epoch=0):
        for row, prepared in zip(order[positions], inputs):
            np.testing.assert_allclose(prepared, prepare(noise[row], SMALL), atol=1e-5)


# ---------------------------------------------------------------- viewing

def test_every_picture_is_seen_whole_and_in_order_and_the_last_batch_is_filled_up(pictures):
    found = [[part.numpy() for part in batch] for batch in viewing_batches(pictures, SMALL, 5)]
    assert [batch[0].shape for batch in found] == [(5, 16, 16, 3)] * 3
    assert [len(batch[1]) for batch in found] == [len(batch[2]) for batch in found] == [5, 5, 2]
    assert not found[2][0][2:].any() and found[2][0][:2].all((1, 2, 3)).any()
    np.testing.assert_array_equal(np.concatenate([batch[2] for batch in found]), np.arange(12))
    np.testing.assert_array_equal(np.concatenate([batch[1] for batch in found]), pictures.labels)
    sizes = np.concatenate([batch[3] for batch in found])
    assert sizes.tolist() == [[40, 90]] + [[16, 20]] * 11
    for inputs, _, rows, _ in found:
        for row, prepared in zip(rows, inputs):
            np.testing.assert_allclose(prepared, prepare(read_picture(pictures.files[row]), SMALL), atol=1e-5)


def kinds_of_pictures(folder):
    """Files of 48 x 40 pixels, each of a kind that the graph decodes by itself or has to leave to Pillow."""
    rng = np.random.default_rng(0)
    colours = np.asarray(Image.fromarray(rng.integers(0, 256, (6, 5, 3), np.uint8)).resize((40, 48), Image.BILINEAR))
    rgb, alpha = Image.fromarray(colours), Image.fromarray(rng.integers(0, 256, (48, 40), np.uint8))
    see_through, turned = rgb.copy(), Image.Exif()
    see_through.putalpha(alpha)
    turned[0x0112] = 6
    palette = rgb.quantize(16)
    kinds = {
        "jpeg": (rgb, "JPEG", {"quality": 60}), "progressive": (rgb, "JPEG", {"progressive": True}), "grey jpeg": (rgb.convert("L"), "JPEG", {}),
        "cmyk": (rgb.convert("CMYK"), "JPEG", {}), "turned jpeg": (rgb, "JPEG", {"exif": turned}), "grey": (rgb.convert("L"), "PNG", {}),
        "alpha": (see_through, "PNG", {}), "grey alpha": (see_through.convert("LA"), "PNG", {}), "palette": (palette, "PNG", {}),
        "transparent colour": (palette, "PNG", {"transparency": 3}), "deep": (Image.fromarray(rng.integers(900, 3000, (48, 40)).astype(np.uint16)), "PNG", {}),
        "turned png": (rgb, "PNG", {"exif": turned}), "gif": (palette, "GIF", {}), "bmp": (rgb, "BMP", {}), "webp": (rgb, "WEBP", {})}
    os.makedirs(folder / "train" / "cat")
    for name, (image, kind, options) in kinds.items():
        image.save(folder / "train" / "cat" / f"{name}.png", kind, **options)
    return len(kinds)


def test_the_graph_decodes_as_python_does(tmp_path):
    """What is trained on, frozen and probed is what localize.py shows, whatever kind of file it is."""
    count = kinds_of_pictures(tmp_path)
    pictures = open_set(str(tmp_path), "train")
    plain = Preprocessing(size=40, scale=1.0, mean=(0, 0, 0), deviation=(1, 1, 1), interpolation="nearest")
    ((inputs, _, rows, sizes),) = viewing_batches(pictures, plain, count)
    assert len(rows) == count
    for file, prepared, size in zip(pictures.files, inputs, sizes.numpy()):
        read = read_picture(file)
        assert tuple(size) == read.shape[:2], file
        np.testing.assert_array_equal(prepared, prepare(read, plain), err_msg=file)


def test_sizes_are_those_of_the_upright_picture(pictures):
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.new("RGB", (30, 10)).save(pictures.files[3], "JPEG", exif=tags)
    sizes = np.concatenate([batch[3] for batch in viewing_batches(pictures, SMALL, 12)])
    assert sizes[3].tolist() == [30, 10]


def test_names_need_not_be_utf_8(tmp_path):
    root = class_folders(tmp_path / "train", {"cat": 2})
    os.rename(f"{root}/cat/cat-1.png", os.fsencode(root) + b"/cat/caf\xe9.png")
    pictures = open_set(str(tmp_path), "train")
    assert len(batches(pictures, SMALL, 2, seed=0, epoch=0)[0][1]) == 2
    assert [len(batch[1]) for batch in viewing_batches(pictures, SMALL, 4)] == [2]


def test_tiny_imagenet_reaches_the_network(tmp_path):
    """PNG files under .JPEG names, from the layout's lists."""
    root = tiny_imagenet(tmp_path / "tiny")
    assert len(batches(open_set(root, "train"), SMALL, 3, seed=0, epoch=0)) == 3
    assert sum(len(batch[1]) for batch in viewing_batches(open_set(root, "val"), SMALL, 4)) == 6


# ---------------------------------------------------------------- broken files

def test_broken_files_are_left_out_and_named(pictures):
    bad = [2, 5, 6, 11]
    break_some(pictures, bad)
    good = [row for row in range(12) if row not in bad]
    viewed = [[part.numpy() for part in batch] for batch in viewing_batches(pictures, SMALL, 5)]
    assert np.concatenate([batch[2] for batch in viewed]).tolist() == good
    assert [batch[0].shape[0] for batch in viewed] == [5, 5]
    order = epoch_order(pictures, 1, 0)
    trained = batches(pictures, SMALL, 4, seed=1, epoch=0)
    assert sorted(order[np.concatenate([batch[2] for batch in trained])]) == good
    named = broken_files(pictures, np.arange(12))
    assert [file for file, _ in named] == [pictures.files[row] for row in bad]
    for (file, reason), words in zip(named, ["cannot be read as a picture", "cannot be read as a picture",
                                             "no such file", "cannot be read as a picture"]):
        assert reason.startswith(f"{file}: {words}") and "\n" not in reason
    assert broken_files(pictures, good) == []


def test_a_set_whose_every_file_is_broken_gives_no_batch(pictures):
    break_some(pictures, range(12))
    assert batches(pictures, SMALL, 4, seed=0, epoch=0) == []
    assert list(viewing_batches(pictures, SMALL, 4)) == []
    assert len(broken_files(pictures, range(12))) == 12


# ---------------------------------------------------------------- the end

LEFT = """
import sys
sys.path.insert(0, sys.argv[1])
import cam_data
from cam_base import Preprocessing
pictures = cam_data.open_set(sys.argv[2], "train")
batches = iter(cam_data.training_batches(pictures, Preprocessing(size=224), 2, seed=0, epoch=0))
next(batches)
sys.exit(7)
"""


@pytest.mark.slow
def test_a_program_that_ends_amid_an_epoch_ends(tmp_path):
    """Threads that read a picture while Python comes to its end used to hang, three times in five."""
    class_folders(tmp_path / "train", {"cat": 100, "dog": 100})
    for folder, _, names in os.walk(tmp_path):
        for name in names:
            write_picture(os.path.join(folder, name), 0, size=(900, 700))
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for _ in range(5):
        assert subprocess.run([sys.executable, "-c", LEFT, root, str(tmp_path)], timeout=120).returncode == 7
