"""The call: any picture in, classes, maps, boxes and masks out; many pictures as a stream; anybody's network."""

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageSequence

import localization
import nets
import weights
from cam_base import Category, InputError, Preprocessing
from localization.boxes import RULES
from localization.methods import METHODS
from weights import Weights

from coloured import CLASSES, COLOURS, SIDE, Colours

PLAIN = Preprocessing(size=SIDE, mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
RED, SMALL, GREEN = (16, 20, 60, 80), (100, 60, 124, 80), (70, 10, 90, 30)


@pytest.fixture(scope="module")
def localizer():
    return localization.Localizer(Colours(), CLASSES, PLAIN)


@pytest.fixture(scope="module")
def picture():
    """uint8 [96, 128, 3]: a large and a small red rectangle, and a green one."""
    pixels = np.full((96, 128, 3), 100, np.uint8)
    for colour, (x0, y0, x1, y1) in (("red", RED), ("red", SMALL), ("green", GREEN)):
        pixels[y0:y1, x0:x1] = COLOURS[colour]
    return pixels


def near(box, true, tolerance=3):
    return np.abs(np.subtract(box, true)).max() <= tolerance


# ---------------------------------------------------------------- one picture

def test_every_kind_of_picture_gives_the_same(localizer, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "p.png")
    expected = localizer(picture)
    for source in (str(tmp_path / "p.png"), tmp_path / "p.png", Image.open(tmp_path / "p.png"), picture / 255,
                   (picture / 255).astype(np.float32), np.dstack([picture, np.full_like(picture[..., :1], 255)]),
                   tf.constant(picture), Image.fromarray(np.dstack([picture, 255 * np.ones_like(picture[..., :1])]))):
        result = localizer(source)
        assert result.size == (96, 128) and len(result) == 3
        for found, same in zip(result, expected):
            assert (found.label, found.box, found.peak) == (same.label, same.box, same.peak)
            np.testing.assert_array_equal(found.class_map, same.class_map)
    grey = picture[..., 1]
    for one_channel in (grey, grey[..., None]):
        np.testing.assert_array_equal(localizer(one_channel)[0].class_map, localizer(np.stack([grey] * 3, 2))[0].class_map)


@pytest.mark.parametrize("rule", RULES)
def test_boxes_are_drawn_by_the_rule_and_of_no_classes_that_were_left_out(picture, rule, monkeypatch):
    localizer, drawn = localization.Localizer(Colours(), CLASSES, PLAIN, boxes=rule), []
    by_rule = RULES[rule]
    monkeypatch.setitem(RULES, rule, lambda *given: drawn.append(len(given[1])) or by_rule(*given))
    (everything,) = localizer.stream([picture], 1, len(CLASSES))
    likely = sorted(found.probability for found in everything)[-2]
    (result,) = localizer.stream([picture], 1, len(CLASSES), min_probability=likely * 0.999)
    assert [found.number for found in result] == [found.number for found in everything][:2] and len(everything) > 2
    for found in result:
        (box,) = by_rule(found.input_heat_map[None], found.class_map[None], (96, 128), found.threshold)
        assert found.box == tuple(box.tolist())
    assert sum(drawn) == 2
    other = everything[1]
    other.threshold = 0.9
    (box,) = by_rule(other.input_heat_map[None], other.class_map[None], (96, 128), 0.9)
    assert other.box == tuple(box.tolist())


def test_deep_greys_of_pillow_are_those_of_their_file(localizer, tmp_path):
    """An X-ray of 12 bits in 16, and floats: by their own range, not cut off at 255."""
    ramp = np.linspace(0, 4095, 64 * 64).reshape(64, 64)
    Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "x.png")
    wanted = localization.sources.read(str(tmp_path / "x.png")).pixels
    assert len(np.unique(wanted)) == 256
    for image in (Image.open(tmp_path / "x.png"), Image.fromarray(ramp.astype(np.int32)), Image.fromarray(ramp.astype(np.float32) / 4095)):
        assert image.mode in ("I;16", "I", "F")
        np.testing.assert_allclose(localization.sources.read(image).pixels.astype(int), wanted, atol=1)


@pytest.mark.parametrize("kind", [np.asarray, Image.fromarray])
def test_what_is_transparent_is_seen_on_white(localizer, picture, kind):
    hidden = np.dstack([picture, np.zeros_like(picture[..., :1])])
    np.testing.assert_array_equal(localizer(kind(hidden)).picture, np.full_like(picture, 255))


@pytest.mark.parametrize("source, message", [
    (np.zeros((4, 4, 3)) + 2, r"\[0, 1\].*2.*divide it by 255"), (np.full((4, 4, 3), np.nan), r"\[0, 1\]"),
    (np.zeros((4, 4, 3)) - 0.1, r"\[0, 1\]"), (np.zeros((1, 4, 4, 3)), r"take one of a batch by \[0\]"),
    (np.zeros((3, 8, 9), np.uint8), "channels last"), (np.zeros((4, 4, 2), np.uint8), "channels last"),
    (np.zeros((4, 4, 3), int), "int64: convert it first"), (np.zeros(3, np.uint8), r"\[H, W\]"),
    (np.zeros((0, 4, 3), np.uint8), r"\[H, W\]"), (7, r"\[H, W\]"), (None, "this one is a NoneType$"),
    (tf.constant("a.jpg"), r"strings: give tensor.numpy\(\).decode\(\) for a path"), (np.array(["a.jpg", "b.jpg"]), "array of strings"),
    ((np.zeros((4, 4, 3), np.uint8), 1), "several pictures, and without their labels"),
    ({}, "this one is a dict$"), (["a.jpg", "b.jpg"], "this one is a list: `stream` takes several pictures"),
    (np.full((4, 4), np.nan), "some of its values are no numbers"), (np.full((4, 4, 3), -0.5), "undo its normalisation")])
def test_what_is_no_picture_is_refused_with_the_cure(localizer, source, message):
    with pytest.raises(ValueError, match=message):
        localizer(source)


def test_files_that_cannot_be_read(localizer, tmp_path):
    (tmp_path / "text.jpg").write_text("hello")
    for name, message in (("text.jpg", "text.jpg"), ("nothing.jpg", "nothing.jpg")):
        with pytest.raises(InputError, match=message):
            localizer(tmp_path / name)


def test_bytes_and_open_files_are_pictures(localizer, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "p.png")
    contents = (tmp_path / "p.png").read_bytes()
    behind = io.BytesIO(contents)
    behind.seek(0, os.SEEK_END)  # as it is when it has just been written
    expected = localizer(tmp_path / "p.png")

    class Response:
        """As of `urllib`: it cannot be sought in, and gives what has arrived."""

        def __init__(self):
            self.file = io.BytesIO(contents)

        def read(self, size=-1):
            return self.file.read(min(size, 100))

    with open(tmp_path / "p.png", "rb") as opened:
        for source in (contents, bytearray(contents), memoryview(contents), io.BytesIO(contents), behind, opened, Response()):
            result = localizer(source)
            assert [found.box for found in result] == [found.box for found in expected] and result.source is source
            np.testing.assert_array_equal(result.picture, picture)
    with open(tmp_path / "p.png") as text, pytest.raises(ValueError, match=r"p.png: is open as text.*open\(path, 'rb'\)"):
        localizer(text)
    (tmp_path / "p.png").write_text("hello")
    with open(tmp_path / "p.png", "rb") as opened, pytest.raises(InputError, match="p.png: cannot be read as a picture"):
        localizer(opened)
    for nothing in (b"", io.BytesIO()):
        with pytest.raises(InputError, match="it is empty"):
            localizer(nothing)
    with open("/dev/zero", "rb") as endless, pytest.raises(InputError, match="/dev/zero: has more than 32,008,000 bytes"):
        (result,) = localizer.stream([endless], largest=1000)
        raise result.error
    for one in (contents, io.BytesIO(contents)):
        with pytest.raises(ValueError, match="several pictures"):
            localizer.stream(one)


def test_class_map_and_probability_are_the_networks(localizer, picture):
    network = Colours()
    inputs = tf.image.resize(picture[None] / np.float32(255), [SIDE, SIDE], antialias=True)
    logits, named = network(inputs)
    for found in localizer(picture):
        expected = np.einsum("yxc,c->yx", named["features"][0], network.head.kernel[:, found.number])
        np.testing.assert_allclose(found.class_map, expected, atol=1e-5)
        assert found.probability == pytest.approx(float(tf.nn.softmax(logits)[0, found.number]), abs=1e-5)
        assert (found.wnid, found.label) == CLASSES[found.number]


def test_heat_maps_have_the_size_that_was_asked_for(localizer, picture):
    small, large = localizer(picture)[0], localizer(picture, full_size=True)[0]
    assert small.heat_map.shape == small.class_map.shape == (32, 32) and large.heat_map.shape == (96, 128)
    resized = tf.image.resize(small.class_map[..., None], [96, 128])[..., 0].numpy()
    np.testing.assert_allclose(large.heat_map, (resized - resized.min()) / np.ptp(resized), atol=1e-5)
    for heat_map in (small.heat_map, large.heat_map):
        assert heat_map.dtype == np.float32 and heat_map.min() == 0 and heat_map.max() == pytest.approx(1)


def test_boxes_are_all_segments_largest_first(localizer, picture):
    found = localizer(picture, classes="red thing", threshold=0.5)[0]
    assert len(found.boxes) == 2 and found.boxes[0].box == found.box
    for segment, true in zip(found.boxes, (RED, SMALL)):
        assert near(segment.box, true) and all(isinstance(side, int) for side in segment.box)
        x0, y0, x1, y1 = true
        assert x0 <= segment.peak[0] < x1 and y0 <= segment.peak[1] < y1
        assert segment.area == pytest.approx((x1 - x0) * (y1 - y0), rel=0.25)
    assert near(found.peak, found.boxes[0].peak, 0)
    # The mask is where these segments are.
    assert found.mask.dtype == bool and found.mask.shape == (96, 128)
    assert found.mask[40, 40] and found.mask[70, 110] and not found.mask[20, 80] and not found.mask[5, 5]
    assert found.mask.sum() == pytest.approx(sum(segment.area for segment in found.boxes), rel=0.1)


def test_the_peak_may_lie_outside_the_papers_box_and_never_outside_its_segments(picture):
    duller = picture.copy()
    duller[RED[1]:RED[3], RED[0]:RED[2]] = (0.6 * np.array(COLOURS["red"]) + 40).astype(np.uint8)
    boxes = {}
    for rule in ("paper", "peak"):
        found = localization.Localizer(Colours(), CLASSES, PLAIN, boxes=rule)(duller, classes="red thing", threshold=0.3)[0]
        boxes[rule] = found.box
        assert SMALL[0] <= found.peak[0] < SMALL[2] and SMALL[1] <= found.peak[1] < SMALL[3]
    assert near(boxes["paper"], RED) and near(boxes["peak"], SMALL)


def test_a_higher_threshold_draws_a_smaller_box(localizer, picture):
    low, high = (localizer(picture, threshold=threshold)[0] for threshold in (0.05, 0.95))
    assert low.box[0] <= high.box[0] and low.box[2] >= high.box[2] and low.box != high.box
    assert low.mask.sum() > high.mask.sum()
    for threshold in (1, -0.1, np.nan, "auto", [0.2, 0.3]):
        with pytest.raises(ValueError, match="threshold"):
            localizer(picture, threshold=threshold)


def test_classes_by_name_number_and_wnid():
    """A name comes before a number: one class is called 0."""
    named = localization.Localizer(Colours(), ["green thing", ("n02123045", "tabby, tabby cat"), "0"], PLAIN)
    pixels = np.zeros((8, 8, 3), np.uint8)
    result = named(pixels, classes=["0", 0, "n02123045", "Tabby Cat", "1", np.int64(2)])
    assert [found.number for found in result] == [2, 0, 1, 1, 1, 2]
    assert [found.wnid for found in named(pixels, classes="tabby")] == ["n02123045"]
    for classes, message in ((["zebra"], "no class of these weights is called 'zebra'"), ([3], "no class 3"),
                             (["-1"], "-1"), ([-1], "no class -1")):
        with pytest.raises(InputError, match=message):
            named(pixels, classes=classes)
    with pytest.raises(ValueError, match="classes is empty"):
        named(pixels, classes=[])
    with pytest.raises(ValueError, match="top is 0"):
        named(pixels, top=0)
    assert len(named(pixels, top=99)) == 3


def test_a_result_shows_itself_in_a_notebook(localizer, picture):
    result = localizer(picture)
    for shown, of in ((result, None), (result[0], picture.shape)):
        image = Image.open(io.BytesIO(shown._repr_png_()))
        assert image.format == "PNG" and (of is None or image.size == of[1::-1])
    overlay = result[0].overlay()
    assert overlay.shape == picture.shape and overlay.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(result[0]._repr_png_()))), overlay)
    assert "red thing" in repr(result) and str(result[0].box) in repr(result)


# ---------------------------------------------------------------- streams

def test_a_stream_answers_in_order_and_names_what_cannot_be_read(localizer, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "p.png")
    (tmp_path / "text.jpg").write_text("hello")
    green = np.zeros((10, 20, 3), np.uint8) + np.uint8([0, 200, 0])
    sources = [tmp_path / "p.png", green, tmp_path / "text.jpg", np.zeros(3), picture] * 3
    results = list(localizer.stream(iter(sources), batch=4, top=1))
    assert len(results) == 15
    for source, result in zip(sources, results):
        assert result.source is source
    labels = [None if result.error else result[0].label for result in results]
    assert labels == ["red thing", "green thing", None, None, "red thing"] * 3
    assert "text.jpg" in str(results[2].error) and results[2].size is None and len(results[2]) == 0
    assert isinstance(results[3].error, ValueError)
    # What is found in a batch is what is found alone.
    alone = localizer(green, top=1)[0]
    assert results[1].size == (10, 20) and results[1][0].box == alone.box
    np.testing.assert_allclose(results[1][0].class_map, alone.class_map, atol=1e-6)


def test_a_stream_reads_only_a_little_ahead(localizer):
    read = []

    def sources():
        for number in range(500):
            read.append(number)
            yield np.zeros((8, 8, 3), np.uint8)

    stream = localizer.stream(sources(), batch=4)
    for number in range(100):
        next(stream)
        assert len(read) <= number + 1 + 5 * 4 + 2 * (os.cpu_count() or 1)
    stream.close()
    assert threading.active_count() < 50


def test_a_stream_says_what_is_wrong_before_it_begins(localizer):
    for options in ({"batch": 0}, {"top": 0}, {"classes": ["zebra"]}, {"threshold": 2}, {"method": "psychic"}):
        with pytest.raises(ValueError, match="batch|top|zebra|threshold|psychic"):
            localizer.stream([], **options)


def test_a_file_is_read_again_for_its_overlay_or_kept_as_asked(localizer, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "p.png")
    (again,) = localizer.stream([tmp_path / "p.png"])
    (kept,) = localizer.stream([tmp_path / "p.png"], keep=lambda pixels: pixels[::2, ::2])
    os.unlink(tmp_path / "p.png")
    assert kept.picture.shape == (48, 64, 3) and kept[0].overlay().shape == (48, 64, 3)
    with pytest.raises(InputError):
        again.picture


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_frames_of_one_buffer_have_their_own_answers(localizer, batch):
    """A camera's driver fills one buffer again and again."""
    buffer, colours = np.zeros((24, 32, 3), np.uint8), [COLOURS[("red", "green", "red")[number % 3]] for number in range(60)]

    def camera():
        for colour in colours:
            buffer[:] = colour
            yield buffer
        buffer[:] = 7

    results = list(localizer.stream(camera(), batch, top=1))
    assert [found[0].label for found in results] == ["red thing", "green thing", "red thing"] * 20
    for result, colour in zip(results, colours):  # what is drawn on, too
        assert (result.picture == colour).all()
        assert result.source is buffer


@pytest.mark.parametrize("form", ["TIFF", "GIF"])
def test_frames_of_a_stack_have_their_own_answers(localizer, form, tmp_path):
    """Pillow's iterator gives one image, at another frame each time."""
    images = [Image.new("RGB", (32, 24), COLOURS[("red", "green", "green")[number % 3]]) for number in range(12)]
    images[0].save(tmp_path / "stack", form, save_all=True, append_images=images[1:], **({} if form == "TIFF" else {"duration": 100}))
    with Image.open(tmp_path / "stack") as stack:
        count = stack.n_frames
        results = list(localizer.stream(ImageSequence.Iterator(stack), 4, top=1))
        with pytest.raises(ValueError, match=r"its frames are PIL.ImageSequence.Iterator\(image\)'s"):
            localizer.stream(stack)
    wanted = (["red thing", "green thing", "green thing"] if form == "TIFF" else ["red thing", "green thing"]) * 4  # a GIF joins equal frames
    assert len(wanted) == count and [found[0].label for found in results] == wanted
    assert {tuple(result.picture[5, 5]) for result in results} == {tuple(COLOURS["red"]), tuple(COLOURS["green"])}


def test_images_that_are_closed_when_the_next_one_is_asked_for_are_read(localizer, picture, tmp_path):
    Image.fromarray(picture).save(tmp_path / "p.png")

    def opened():
        for _ in range(8):
            with Image.open(tmp_path / "p.png") as image:
                yield image
            with open(tmp_path / "p.png", "rb") as file:
                yield file

    assert [result.error for result in localizer.stream(opened(), 4)] == [None] * 16


def test_what_is_written_over_after_the_answer_is_drawn_on_as_it_was(localizer, picture):
    buffer = picture.copy()
    found = localizer(buffer)
    buffer[:] = 0
    np.testing.assert_array_equal(found.picture, picture)


@pytest.mark.parametrize("ahead", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("batch", [1, 4, 32])
def test_no_more_pictures_are_taken_ahead_than_asked_for(localizer, ahead, batch):
    taken, answered, most = 0, 0, 0

    def sources():
        nonlocal taken, most
        for number in range(60):
            taken += 1
            most = max(most, taken - answered - 1)
            yield np.full((8, 8 + number, 3), COLOURS["red"], np.uint8)

    for number, result in enumerate(localizer.stream(sources(), batch, ahead=ahead)):
        answered += 1
        assert result.size == (8, 8 + number)
    assert answered == 60 and most <= ahead


def test_a_live_source_that_waits_for_its_answer_gets_it(localizer, picture):
    """With any number of pictures taken ahead, it and the stream would wait for each other."""
    answers = []

    def robot():
        for number in range(6):
            assert len(answers) == number  # the last picture's answer is there
            yield np.full((24, 32, 3), COLOURS[("red", "green")[number % 2]], np.uint8)

    for result in localizer.stream(robot(), top=1, ahead=0):
        answers.append(result[0].label)
    assert answers == ["red thing", "green thing"] * 3
    with pytest.raises(ValueError, match="ahead is -1; it must be a whole number of at least 0"):
        localizer.stream([], ahead=-1)


def test_threads_may_share_a_localizer(localizer, picture):
    pictures = [np.roll(picture, 4 * number, axis=1) for number in range(8)]
    expected = [localizer(one)[0].box for one in pictures]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda one: localizer(one)[0].box, pictures)) == expected


# ---------------------------------------------------------------- networks

def test_a_network_must_fit_its_classes():
    with pytest.raises(ValueError, match="2 classes are named, and the network has 3 logits"):
        localization.Localizer(Colours(), ["a", "b"], PLAIN)
    with pytest.raises(ValueError, match="no method is called 'psychic'; known are cam"):
        localization.Localizer(Colours(), CLASSES, PLAIN, method="psychic")
    with pytest.raises(ValueError, match="rule for boxes"):
        localization.Localizer(Colours(), CLASSES, PLAIN, boxes="round")


def test_weights_of_one_logit_are_a_sigmoid(tmp_path):
    config = {"name": "resnet", "depth": 26, "width": 8, "stem": "3x3/2", "output_stride": 8}
    tensors = {name: v.numpy() for name, v in nets.named_variables(nets.build(config, 1)).items()} | {"head/bias": np.float32([-0.7])}
    weights.save(tmp_path / "w.npz", Weights(config, tensors, [Category(None, "dog")], Preprocessing(size=32)), "float32")
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    dog = localization.load(tmp_path / "w.npz")
    (found,) = dog(picture)
    logit = dog.network(dog._prepare(picture)[None])[0].numpy().item()
    assert found.probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6) and 0 < found.probability < 1
    both = localization.Localizer(dog.network, ["cat", "dog"], Preprocessing(size=32))
    np.testing.assert_allclose([one.probability for one in both(picture, classes=["cat", "dog"])], [1 - found.probability, found.probability], atol=1e-6)
    assert not hasattr(both.network, "nothing") and both.network.grid(32) == dog.network.grid(32)


def test_load_takes_a_file_a_runs_folder_and_nothing(tmp_path):
    config = {"name": "resnet", "depth": 26, "width": 8, "stem": "3x3/2", "output_stride": 8}
    tensors = {name: v.numpy() for name, v in nets.named_variables(nets.build(config, 2)).items()}
    (tmp_path / "run").mkdir()
    weights.save(tmp_path / "run" / "weights.npz",
                 Weights(config, tensors, [Category(None, "a"), Category(None, "b")], Preprocessing(size=32)))
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    of_file, of_run = (localization.load(place)(pixels) for place in
                       (str(tmp_path / "run" / "weights.npz"), tmp_path / "run"))
    assert [found.probability for found in of_file] == [found.probability for found in of_run]
    assert len(localization.load().classes) >= 100
    with pytest.raises(InputError, match="no such weights file"):
        localization.load("resnet5-keras")
    with pytest.raises(InputError, match="not a file"):
        localization.load(tmp_path)


def test_only_what_a_method_needs_is_kept(monkeypatch):
    class Network(Colours):
        def __call__(self, pictures):
            logits, named = super().__call__(pictures)
            return logits, named | {"more": named["features"] + 1}

    localizer = localization.Localizer(Network(), CLASSES, Preprocessing(size=SIDE))
    seen = tf.zeros([1, SIDE, SIDE, 3])
    assert set(localizer._look(seen, ("features",))[1]) == {"features"} and set(localizer._look(seen)[1]) == {"features", "more"}
    asked, look = [], localizer._look
    monkeypatch.setattr(localizer, "_look", lambda view, needs=None: asked.append(needs) or look(view, needs))
    monkeypatch.setitem(METHODS, "all", lambda network, named, classes: METHODS["cam"](network, {"features": named["more"]}, classes))
    plain, more = (localizer(np.zeros((SIDE, SIDE, 3), np.uint8), method=method)[0].class_map for method in ("cam", "all"))
    assert asked == [("features",), None] and not np.array_equal(plain, more)


@pytest.mark.parametrize("one", [lambda pixels: pixels, Image.fromarray, lambda pixels: "cat.jpg"])
def test_a_stream_of_one_picture_is_refused(localizer, picture, one):
    """Its rows, or its letters, would be taken for pictures."""
    with pytest.raises(ValueError, match="several pictures"):
        localizer.stream(one(picture))
    assert [len(result) for result in localizer.stream(np.stack([picture] * 2), 2)] == [3, 3]
