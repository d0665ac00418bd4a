"""Large pictures: read with fewer pixels where that is enough, one at a time, in little memory, and still as large as they are.

What counts as large is made small for most of these tests.
"""

import io
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_data_decode import exif

import cam_data
from cam_base import Category, Preprocessing
from cam_data import (
    PictureSet,
    broken_files,
    decoding,
    prepare,
    read_picture,
    read_reduced,
    training_batches,
    viewing_batches,
)

PLAIN = {"scale": 1.0, "mean": (0, 0, 0), "deviation": (1, 1, 1)}
WIDTH, HEIGHT = 1000, 700


@pytest.fixture
def large_is_small(monkeypatch):
    """Pictures of half a megapixel are large."""
    monkeypatch.setattr(decoding, "LARGE", 500_000)
    monkeypatch.setattr("cam_data.pipeline.LARGE", 500_000)


def photograph(width=WIDTH, height=HEIGHT):
    """Smooth and rough at once, without any symmetry."""
    rng = np.random.default_rng(4)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)).resize((width, height), Image.BICUBIC)
    return np.clip(np.asarray(coarse) + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)


def saved(pixels, form, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def shares(old, new):
    """[new, old]: how much of each new pixel is of each old one along a side."""
    edges = np.arange(new + 1) * old / new
    overlap = np.minimum(edges[1:, None], np.arange(old) + 1) - np.maximum(edges[:-1, None], np.arange(old))
    return np.maximum(overlap, 0) * new / old


def assert_means(reduced, whole):
    """Each pixel is the mean of those that it stands for; nearly so where a JPEG's decoder took part."""
    means = np.einsum("ij,jkc,lk->ilc", shares(len(whole), len(reduced)), whole, shares(*(x.shape[1] for x in (whole, reduced))),
                      optimize=True)
    assert np.abs(reduced - means).mean() < 1.5 and np.abs((reduced - means).mean()) < 0.1


FORMS = [("JPEG", {"quality": 95}), ("JPEG", {"quality": 95, "progressive": True}), ("PNG", {}), ("BMP", {})]


def set_of(*contents, folder):
    """A PictureSet of files with these contents."""
    files = []
    for number, content in enumerate(contents):
        files.append(str(folder / f"{number}.jpg"))
        with open(files[-1], "wb") as file:
            file.write(content)
    return PictureSet("made", [Category(None, "one")], np.zeros(len(files), np.int32), files)


# ---------------------------------------------------------------- what is read

@pytest.mark.slow
@pytest.mark.parametrize("form, options", FORMS)
@pytest.mark.parametrize("reduce_to, shape", [(100, (100, 100)), (300, (300, 300)), (701, (700, 701)), (2000, (700, 1000))])
def test_a_large_picture_has_the_sides_that_are_asked_for_and_the_means_of_its_pixels(
        form, options, reduce_to, shape, large_is_small):
    contents = saved(photograph(), form, **options)
    whole = read_picture(contents)
    assert whole.shape == (HEIGHT, WIDTH, 3)
    reduced, size = read_reduced(contents, reduce_to)
    assert reduced.shape == (*shape, 3) and reduced.dtype == np.uint8 and size == (HEIGHT, WIDTH)
    assert_means(reduced, whole)


@pytest.mark.parametrize("form, options", FORMS)
def test_what_is_not_large_is_read_as_it_is(form, options):
    contents = saved(photograph(), form, **options)
    reduced, size = read_reduced(contents, 64)
    np.testing.assert_array_equal(reduced, read_picture(contents))
    assert size == (HEIGHT, WIDTH)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_large_picture_is_turned_upright(orientation, large_is_small):
    contents = saved(photograph(), "JPEG", quality=95, exif=exif(orientation))
    whole = read_picture(contents)
    reduced, size = read_reduced(contents, 120)
    assert size == whole.shape[:2] == ((WIDTH, HEIGHT) if orientation >= 5 else (HEIGHT, WIDTH))
    assert_means(reduced, whole)


@pytest.mark.parametrize("options", [{}, {"interpolation": "bicubic"}])
def test_what_the_network_sees_is_as_good_as_from_all_pixels(options, large_is_small):
    preprocessing = Preprocessing(size=64, **options, **PLAIN)
    contents = saved(photograph(), "JPEG", quality=95)
    whole, reduced = prepare(read_picture(contents), preprocessing), prepare(read_reduced(contents, 128)[0], preprocessing)
    assert np.abs(whole - reduced).mean() < 1  # of 255


# ---------------------------------------------------------------- pipelines

def test_sizes_and_inputs_of_large_pictures_are_those_of_all_their_pixels(large_is_small, tmp_path):
    contents = [saved(photograph(), "JPEG", quality=95, exif=exif(orientation)) for orientation in (1, 6)]
    pictures = set_of(*contents, saved(photograph(90, 40), "PNG"), folder=tmp_path)
    preprocessing = Preprocessing(size=64, **PLAIN)
    (inputs, _, rows, sizes), = viewing_batches(pictures, preprocessing, 3)
    assert rows.numpy().tolist() == [0, 1, 2]
    assert sizes.numpy().tolist() == [[HEIGHT, WIDTH], [WIDTH, HEIGHT], [40, 90]]
    for seen, file in zip(inputs, pictures.files):
        assert np.abs(seen - prepare(read_picture(file), preprocessing)).mean() < 1


@pytest.mark.slow
def test_a_crop_is_of_the_same_part_of_a_large_picture_as_of_all_its_pixels(monkeypatch, tmp_path):
    """Even of a long one, whose sides are reduced by different factors."""
    pictures = set_of(*[saved(photograph(*size), "PNG") for size in ((1000, 700), (2400, 300), (500, 1100))], folder=tmp_path)
    preprocessing = Preprocessing(size=32, **PLAIN)

    def crops(large):
        monkeypatch.setattr(decoding, "LARGE", large)
        monkeypatch.setattr("cam_data.pipeline.LARGE", large)
        return [batch[0].numpy() for epoch in range(4) for batch in training_batches(pictures, preprocessing, 3, seed=1, epoch=epoch)]

    for whole, reduced in zip(crops(10_000_000), crops(500_000), strict=True):
        assert whole.shape == reduced.shape == (3, 32, 32, 3)
        assert np.abs(whole - reduced).mean() < 2.5  # a crop that is elsewhere differs by 30
        assert (whole != reduced).any()


def test_a_set_says_how_large_its_pictures_may_be(tmp_path):
    pictures = set_of(saved(photograph(90, 40), "PNG"), saved(photograph(91, 40), "JPEG"), folder=tmp_path)
    pictures = replace(pictures, largest=90 * 40)
    preprocessing = Preprocessing(size=16)
    assert [batch[2].numpy().tolist() for batch in viewing_batches(pictures, preprocessing, 2)] == [[0]]
    assert [len(batch[1]) for batch in training_batches(pictures, preprocessing, 1, seed=0, epoch=0)] == [1]
    (file, reason), = broken_files(pictures, [0, 1])
    assert file == pictures.files[1] and reason.endswith("at most 0.0036 are read: --largest-picture sets the limit")
    assert pictures.rows([1, 0]).largest == 90 * 40


def test_pipes_and_devices_in_a_set_are_left_out_and_named(tmp_path):
    pictures = set_of(saved(photograph(90, 40), "PNG"), b"", b"", folder=tmp_path)
    for row, make in ((1, os.mkfifo), (2, lambda path: os.symlink("/dev/zero", path))):
        os.unlink(pictures.files[row])
        make(pictures.files[row])
    assert [batch[2].numpy().tolist() for batch in viewing_batches(pictures, Preprocessing(size=16), 3)] == [[0]]
    assert [len(batch[1]) for batch in training_batches(pictures, Preprocessing(size=16), 3, seed=0, epoch=0)] == [1]
    assert [reason for _, reason in broken_files(pictures, range(3))] \
        == [f"{file}: not a regular file" for file in pictures.files[1:]]


# ---------------------------------------------------------------- threads

def test_threads_read_what_one_reads(large_is_small):
    contents = [saved(photograph(), "JPEG", exif=exif(3)), saved(photograph(300, 200), "JPEG"), saved(photograph(), "PNG")]
    alone = [read_reduced(content, 100)[0] for content in contents]
    with ThreadPoolExecutor(4) as pool:
        for number, (found, _) in enumerate(pool.map(lambda number: read_reduced(contents[number % 3], 100), range(24))):
            np.testing.assert_array_equal(found, alone[number % 3])


@pytest.mark.parametrize("read", [lambda pictures: list(viewing_batches(pictures, Preprocessing(size=16), 8)),
                                  lambda pictures: list(training_batches(
                                      pictures, Preprocessing(size=16), 8, seed=0, epoch=0))])
def test_large_pictures_are_decoded_one_at_a_time(read, large_is_small, monkeypatch, tmp_path):
    monkeypatch.setattr("cam_data.pipeline.PARALLEL_CALLS", 4)
    working, most, decode = [], [], decoding._decode

    def watched(file, header, *rest):
        working.append(header.width)
        time.sleep(0.01)
        most.append(working.count(WIDTH))
        working.remove(header.width)
        return decode(file, header, *rest)

    monkeypatch.setattr(decoding, "_decode", watched)
    pictures = set_of(*[saved(photograph(), "JPEG")] * 8, folder=tmp_path)
    read(pictures)
    assert len(most) == 8 and max(most) == 1


@pytest.mark.slow
def test_other_threads_work_while_a_picture_is_decoded():
    """Decoding does not hold Python's lock: one that did would let them work before and behind it alone."""
    contents = saved(photograph(6000, 4000), "PNG")
    gaps, done = [], threading.Event()

    def count():
        before = time.perf_counter()
        while not done.is_set():
            time.sleep(0.001)
            gaps.append(time.perf_counter() - before)
            before = time.perf_counter()

    read_picture(contents)
    counting = threading.Thread(target=count)
    counting.start()
    began = time.perf_counter()
    read_picture(contents)
    taken = time.perf_counter() - began
    done.set()
    counting.join()
    assert len(gaps) > 10 and sorted(gaps)[-2] < taken / 2


# ---------------------------------------------------------------- memory

MEASURE = '''
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
import cam_data
from cam_base import Category, InputError, Preprocessing
small, largest, *files = sys.argv[2:]

def look(files, largest):
    pictures = cam_data.PictureSet("x", [Category(None, "x")], np.zeros(len(files), np.int32), files, largest=largest)
    seen = [sizes.numpy().tolist() for *_, sizes in cam_data.viewing_batches(pictures, Preprocessing(size=224), 4)]
    trained = [len(labels) for _, labels, _ in cam_data.training_batches(pictures, Preprocessing(size=224), 4, seed=0, epoch=0)]
    return sum(seen, []), sum(trained)

def peak():
    """In megabytes. Linux's ru_maxrss would be the parent's, who has drawn the pictures."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024

look([small] * 8, 10**6)
usual = peak()
seen, trained = look(files, int(largest))
print(json.dumps([seen, trained, peak() - usual]))
'''


def hungry(files, small, largest=cam_data.LARGEST_PICTURE):
    """(sizes seen, how many were trained on, megabytes beyond the usual) of a program that looks at files and trains on them."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    run = subprocess.run([sys.executable, "-c", MEASURE, root, str(small), str(largest), *map(str, files)],
                         capture_output=True, text=True, check=True, timeout=300)
    return json.loads(run.stdout)


def blank(path, width, height, **options):
    Image.new("RGB", (width, height), (90, 120, 200)).save(path, **options)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("width, height, ending, options", [
    (12_000, 9_000, "jpg", {}), (12_000, 9_000, "jpg", {"progressive": True, "subsampling": 0}),
    (30_000, 800, "jpg", {}), (12_000, 12_000, "png", {}), (800, 30_000, "png", {}), (9_000, 12_000, "bmp", {}),
    (12_000, 12_000, "gif", {})])
def test_many_large_pictures_take_little_memory(width, height, ending, options, tmp_path):
    """At most 64 MB and 4 times what one decodes to, with several of them in a row and in parallel."""
    files = [blank(tmp_path / f"large.{ending}", width, height, **options)] * 4
    seen, trained, taken = hungry(files, blank(tmp_path / "small.jpg", 400, 300))
    assert seen == [[height, width]] * 4 and trained == 4
    assert taken < 64 + 4 * 3 * width * height / 2**20


@pytest.mark.slow
def test_pictures_above_the_limit_take_no_memory(tmp_path):
    files = [blank(tmp_path / "large.png", 20_000, 20_000), "/dev/zero", tmp_path / "pipe.jpg"]
    os.mkfifo(files[2])
    seen, trained, taken = hungry(files, blank(tmp_path / "small.jpg", 400, 300))
    assert seen == [] and trained == 0 and taken < 64
    seen, trained, taken = hungry(files, tmp_path / "small.jpg", 400_000_000)
    assert seen == [[20_000, 20_000]] and trained == 1 and taken < 64 + 4 * 1200


@pytest.mark.parametrize("reduce_to", [None, 400])
def test_a_jpeg_too_large_for_tensorflows_decoder_is_decoded_all_the_same(reduce_to, large_is_small, monkeypatch, tmp_path):
    contents = saved(photograph(), "JPEG", quality=90, exif=exif(6))
    (tmp_path / "a.jpg").write_bytes(contents)
    expected, size = read_reduced(tmp_path / "a.jpg", reduce_to)
    monkeypatch.setattr(decoding, "MOST_DECODED", 3 * WIDTH * HEIGHT)
    monkeypatch.setattr("tensorflow.io.decode_jpeg", None)  # which would refuse it
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own limit, of which twice as much is an error
    pixels, same_size = read_reduced(tmp_path / "a.jpg", reduce_to)
    assert same_size == size == (WIDTH, HEIGHT) and pixels.shape == expected.shape
    assert abs(pixels.astype(int) - expected).max() <= 2 and (pixels == expected).mean() > 0.9


@pytest.mark.slow
def test_a_jpeg_of_200_megapixels_is_read_where_the_limit_is_raised(tmp_path):
    small = Image.fromarray(photograph()).resize((16320, 12240))
    small.save(tmp_path / "a.jpg", quality=30)
    with pytest.raises(cam_data.decoding.InputError, match="199.8 megapixels .*at most 150 are read: --largest-picture sets the limit"):
        read_picture(tmp_path / "a.jpg")
    pixels, size = read_reduced(tmp_path / "a.jpg", 500, 300e6)
    assert size == (12240, 16320) and max(pixels.shape) == 500
    assert read_picture(tmp_path / "a.jpg", 300e6).shape == (12240, 16320, 3)
