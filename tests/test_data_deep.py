"""Pictures of scanners, microscopes, cameras and satellites, as a person would see them: more than 8 bits, no data, several pages and bands.

The TIFFs are written here, byte by byte; what is right is worked out from the numbers that were put in.
"""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from test_data_decode import PNG, chunk, saved

from cam_base import InputError
from cam_data import as_seen, read_picture, read_reduced
from cam_data.headers import read_header
from localization.sources import read

KINDS = {"u": 1, "i": 2, "f": 3}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, RAW = 0, 1, 2, 32803
H, W = 24, 36


def page(pixels, photometric=None, compress=None, deflate=1, rows=None, **tags):
    """{tag: values} of one page, whose strips hold these numbers; tags as `t338=[2]`. compress: of a strip's bytes; deflate: its number."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    height, width, samples = pixels.shape
    rows = rows or height
    strips = [pixels[first:first + rows].tobytes() for first in range(0, height, rows)]
    found = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * samples, 259: [deflate],
             262: [(RGB if samples >= 3 else BLACK_IS_ZERO) if photometric is None else photometric],
             273: [(compress or bytes)(one) for one in strips],
             277: [samples], 278: [rows], 339: [KINDS[pixels.dtype.kind]] * samples}
    return found | {int(name[1:]): values for name, values in tags.items()}


def tiff(*pages, order="<", big=False):
    """The bytes of a TIFF or BigTIFF. A value that is bytes lies elsewhere, by its offset; a page in a value is a SubIFD; text is ASCII."""
    word = "Q" if big else "I"
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 16) if big else (42, 8)))
    data = bytearray(head)

    def directory(tags):
        """Writes a page at the end; the place of its offset of the next one."""
        counts = [len(one) for one in tags.get(273, []) if isinstance(one, bytes)]
        entries = dict(tags) | ({279: counts} if counts else {})
        begin = len(data)
        data.extend(bytes((8 if big else 2) + (20 if big else 12) * len(entries) + (8 if big else 4)))
        struct.pack_into(order + ("Q" if big else "H"), data, begin, len(entries))
        for number, (tag, values) in enumerate(sorted(entries.items())):
            if isinstance(values, str):
                kind, count, packed = 2, len(values) + 1, values.encode() + b"\0"
            else:
                values = [put(one) for one in values]
                kind, count, packed = (16 if big else 4), len(values), struct.pack(order + word * len(values), *values)
            if len(packed) > (8 if big else 4):
                packed = struct.pack(order + word, put(packed))
            place = begin + (8 if big else 2) + number * (20 if big else 12)
            struct.pack_into(order + ("HHQ8s" if big else "HHI4s"), data, place, tag, kind, count, packed)
        return begin + (8 if big else 2) + (20 if big else 12) * len(entries)

    def put(value):
        """The number itself, or the offset of what was put at the end."""
        if isinstance(value, int):
            return value
        place = len(data)
        if isinstance(value, bytes):
            data.extend(value)
        else:
            directory(value)
        return place

    for number, tags in enumerate(pages):
        following = directory(tags)
        if number + 1 < len(pages):
            struct.pack_into(order + word, data, following, len(data))
    return bytes(data)


def deep_png(pixels):
    """PNG of 16 bits, of 1 to 4 channels."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    colours = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    return (PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colours, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def levels(channels=None, most=255, seed=0):
    """Rough and smooth at once, from 0 to `most`: int [H, W] or [H, W, channels]."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, most + 1, (H, W, channels or 1))
    values.flat[:2] = 0, most
    return values if channels else values[..., 0]


def stretched(values, low=None, high=None):
    """Of all channels together."""
    low, high = (values.min() if low is None else low), (values.max() if high is None else high)
    return np.clip((values.astype(float) - low) * 255 / (high - low), 0, 255)


def grey(values):
    return np.repeat(values[..., None], 3, axis=2)


def assert_shows(source, wanted):
    found = read_picture(source)
    assert found.dtype == np.uint8 and found.shape == wanted.shape
    assert abs(found - wanted).max() <= 0.51 + 1e-6


def said(capfd):
    return capfd.readouterr().err


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch):
    monkeypatch.setattr(as_seen, "_said", set())


# ---------------------------------------------------------------- white as 0

@pytest.mark.parametrize("dtype, most", [("u2", 65535), ("u2", 4095), ("f4", 1), ("u1", 255), ("u4", 100_000)])
@pytest.mark.parametrize("order", "<>")
def test_where_0_is_white_the_picture_is_no_negative(dtype, most, order):
    values = (levels(most=4095) / 4095 * most).astype(order + dtype)
    contents = tiff(page(values, WHITE_IS_ZERO), order=order)
    assert_shows(contents, grey(stretched(-values.astype(float))))
    if dtype in ("u2", "f4") and order == "<":  # of these Pillow leaves it to its caller
        wanted = read_picture(contents)
        np.testing.assert_array_equal(read(Image.open(io.BytesIO(contents))).pixels, wanted)


# ---------------------------------------------------------------- twelve bits in sixteen

FORMS = [deep_png, lambda pixels: tiff(page(pixels)), lambda pixels: tiff(page(pixels.astype(">u2")), order=">", big=True)]


@pytest.mark.parametrize("form", FORMS)
def test_colours_of_12_bits_in_16_are_stretched_together(form):
    values = levels(3, 3000).astype("u2")
    values[..., 2] //= 4  # stretched by itself, blue would be another colour
    assert_shows(form(values), stretched(values))


@pytest.mark.parametrize("form", FORMS)
def test_colours_that_use_their_16_bits_are_left_alone(form):
    """Of a dark photograph, too, the exposure is meant."""
    values = levels(3, 50_000).astype("u2") + np.uint16(500)
    assert_shows(form(values), values / 257)


@pytest.mark.parametrize("form", [deep_png, lambda pixels: tiff(page(pixels, t338=[2]))])
@pytest.mark.parametrize("colours", [1, 3])
@pytest.mark.parametrize("opaque", [65535, 4095])
def test_with_transparency_what_is_seen_is_stretched_and_lies_on_white(form, colours, opaque):
    values, alpha = levels(colours, 3000).astype("u2"), np.full((H, W, 1), opaque, "u2")
    alpha[:, :9], values[:, :9] = 0, 60_000 if opaque == 65535 else 4000  # nobody sees it
    values.flat[-2 * colours], values.flat[-1] = 0, 3000
    alpha[3, 20] = opaque // 3
    tones = stretched(values, 0, 3000)
    wanted = np.repeat(tones, 3, 2) if colours == 1 else tones
    assert_shows(form(np.concatenate([values, alpha], 2)), 255 - (alpha.astype(float) / opaque) * (255 - wanted))


def test_premultiplied_colours_are_not_multiplied_again():
    alpha = np.zeros((H, W, 1), "u2")
    alpha[:, 6:] = 65535
    alpha[:, -4:] = 20_000
    values = (levels(3, 65535) * (alpha / 65535)).astype("u2")
    assert_shows(tiff(page(np.concatenate([values, alpha], 2), t338=[1])), values / 257 + 255 * (1 - alpha / 65535))


def test_a_pipeline_sees_12_bits_in_16_as_they_are_read(tmp_path):
    """A pipeline decodes ordinary PNGs in its graph, and none of 16 bits."""
    from test_data_large import set_of

    from cam_base import Preprocessing
    from cam_data import prepare, viewing_batches
    pictures = set_of(deep_png(levels(3, 3000).astype("u2")), folder=tmp_path)
    preprocessing = Preprocessing(size=16)
    ((inputs, *_),) = viewing_batches(pictures, preprocessing, 1)
    np.testing.assert_allclose(inputs[0], prepare(read_picture(pictures.files[0]), preprocessing), atol=1e-5)


# ---------------------------------------------------------------- no data, hot pixels

@pytest.mark.parametrize("number, share", [
    (-3.4028235e38, 0.3), (3.4e38, 0.01), (np.nan, 0.3), (np.inf, 0.1), (-9999, 0.4), (-9999, 0.001)])
def test_what_stands_for_no_data_does_not_bleach_the_rest(number, share, capfd):
    heights = (levels(most=800) + 100).astype("f4")
    there = np.random.default_rng(1).random((H, W)) >= share
    there[0, :2], there[5, 5] = True, False
    contents = tiff(page(np.where(there, heights, np.float32(number))))
    found = read_picture(contents)[..., 0]
    assert abs(found - stretched(heights))[there].max() <= 0.51 and (found[~there] == 0).all()
    assert f"shown from 100 to 900; {np.count_nonzero(~there)} of its {H * W} numbers lie outside, or are none" in said(capfd)


def test_gdal_says_which_number_stands_for_none():
    values = (levels(most=3000) + 500).astype("u2")
    values[4:9] = 0
    plain, marked = (read_picture(tiff(page(values, **tags)))[..., 0] for tags in ({}, {"t42113": "0"}))
    assert abs(plain - stretched(values)).max() <= 0.51
    assert abs(marked - stretched(values, 500, 3500)).max() <= 0.51


@pytest.mark.parametrize("hot", [[65535], [65535, 60_000, 0]])
@pytest.mark.parametrize("channels", [1, 3])
def test_hot_and_dead_pixels_do_not_darken_the_rest(hot, channels):
    values = (np.random.default_rng(0).integers(1000, 4000, (60, 60, channels))).astype("u2")
    values.flat[:2] = 1000, 3999
    flawed = values.copy()
    for number, value in enumerate(hot):
        flawed[30, 10 * number + 9, 0] = value
    same = np.ones((60, 60), bool)
    same[30, 9::10] = False
    for form in (deep_png, lambda pixels: tiff(page(pixels))):
        found, wanted = read_picture(form(flawed)), read_picture(form(values))
        np.testing.assert_array_equal(found[same], wanted[same])
        assert found[30, 9, 0] == 255


@pytest.mark.parametrize("values", [[0, 65535], [0, 1, 2, 3], [7, 7]])
def test_what_has_few_levels_keeps_them(values):
    """A mask is no picture without data."""
    pixels = np.full((60, 60), values[0], "u2")
    pixels[:3, :len(values)] = values
    found = read_picture(tiff(page(pixels)))[0, :len(values), 0]
    assert found.tolist() == np.rint(np.linspace(0, 255, len(values)) * (values[0] != values[-1])).tolist()


# ---------------------------------------------------------------- kinds of numbers

@pytest.mark.parametrize("dtype", ["i1", "i2", "u4", "i4", "u8", "f2", "f4", "f8"])
@pytest.mark.parametrize("big", [False, True])
def test_numbers_of_any_kind_are_greys(dtype, big):
    values = (levels(most=100) - (50 if dtype[0] != "u" else 0)).astype(dtype)
    assert_shows(tiff(page(values), big=big), grey(stretched(values)))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype, predictor", [("u2", 1), ("u2", 2), ("u4", 2), ("f4", 1), ("f4", 3), ("f8", 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_compressed_numbers_are_those_that_were_compressed(dtype, predictor, channels, order):
    """Deflated in strips of seven rows, as they are or by how they differ from the pixel to the left."""
    values = np.cumsum(levels(channels, 9), axis=1).astype(order + dtype)
    stored = values
    if predictor == 2:
        stored = np.diff(values, axis=1, prepend=np.zeros((H, 1, channels), values.dtype)).astype(values.dtype)
    if predictor == 3:  # bytes of equal weight together, the highest first; each minus the one `channels` before it
        split = values.astype(">" + dtype).reshape(H, -1).view("u1").reshape(H, W * channels, -1).transpose(0, 2, 1)
        split = split.reshape(H, -1, channels)
        stored = np.diff(split, axis=1, prepend=np.zeros((H, 1, channels), "u1")).reshape(H, -1).view(order + dtype).reshape(values.shape)
    contents = tiff(page(stored, compress=zlib.compress, deflate=8, rows=7, t317=[predictor]), order=order)
    assert_shows(contents, grey(stretched(values[..., 0])) if channels == 1 else stretched(values))


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_deflate"])
def test_what_pillow_compresses_is_read(compression):
    values = levels(most=4000).astype("u2")
    assert_shows(saved(Image.fromarray(values), "TIFF", compression=compression), grey(stretched(values)))


def test_a_deep_tiff_is_turned_as_its_exif_says():
    values = levels(3, 3000).astype("u2")
    assert_shows(tiff(page(values, t274=[6])), stretched(values).transpose(1, 0, 2)[:, ::-1])
    header = read_header(io.BytesIO(tiff(page(values, t274=[6]))))
    assert (header.height, header.width, header.orientation, header.size) == (H, W, 6, (W, H))


def test_a_bigtiff_of_8_bits_is_read():
    values = levels(3).astype("u1")
    for tags in (page(values), page(values, rows=5), page(values, rows=5, compress=zlib.compress, deflate=8)):
        np.testing.assert_array_equal(read_picture(tiff(tags, big=True)), values)


# ---------------------------------------------------------------- pages

def test_of_a_stack_the_first_page_is_read_and_it_is_said(capfd, tmp_path):
    frames = [levels(most=200, seed=seed).astype("u1") for seed in range(12)]
    (tmp_path / "stack.tif").write_bytes(tiff(*map(page, frames)))
    for _ in range(2):
        np.testing.assert_array_equal(read_picture(tmp_path / "stack.tif")[..., 0], frames[0])
    assert said(capfd) == f"{tmp_path}/stack.tif: page 1 of 12\n"
    for form in ("GIF", "PNG", "WEBP"):
        images = [Image.fromarray(frame) for frame in frames]
        (tmp_path / "x").write_bytes(saved(images[0], form, save_all=True, append_images=images[1:]))
        read_picture(tmp_path / "x")
        assert "frame 1 of 12" in said(capfd)
        as_seen._said.clear()


def test_of_a_thousand_stacks_the_first_ones_are_named(capfd):
    contents = tiff(page(levels().astype("u1")), page(levels().astype("u1")))
    for number in range(1000):
        read_reduced(contents, None, name=f"{number}.tif")
    lines = said(capfd).splitlines()
    assert len(lines) == as_seen.MOST_SAID and lines[0] == "0.tif: page 1 of 2"
    assert lines[-1] == "19.tif: page 1 of 2; of further pictures nothing is said"


def test_a_long_stack_of_few_pixels_is_no_file_with_too_many_bytes():
    frame = levels(most=4000).astype("u2")
    contents = tiff(page(frame), *[page(levels().astype("u1"))] * 3) + bytes(40_000_000)
    assert_shows(contents, grey(stretched(frame)))


@pytest.mark.parametrize("marked", [{"t254": [1]}, {}])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_preview_in_front_is_passed_over(marked, dtype, capfd):
    values = levels(3, np.iinfo(dtype).max).astype(dtype)
    contents = tiff(page(values[::4, ::4], **marked), page(values))
    assert_shows(contents, values / (np.iinfo(dtype).max / 255))
    assert ("page 2 of 2, the largest" in said(capfd)) == (not marked)  # what says that it is a preview is no page


def test_reduced_pages_behind_the_picture_are_not_counted(capfd):
    values = levels(3).astype("u1")
    mask = page(levels().astype("u1"), t254=[4])
    np.testing.assert_array_equal(read_picture(tiff(page(values), page(values[::2, ::2], t254=[1]), mask)), values)
    assert said(capfd) == ""


def test_of_a_dng_the_largest_preview_is_read(capfd):
    values = levels(3).astype("u1")
    jpeg = saved(Image.fromarray(values), "JPEG", quality=95)
    wanted = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)
    preview = {254: [1], 256: [W], 257: [H], 258: [8, 8, 8], 259: [7], 262: [6], 273: [jpeg], 277: [3], 278: [H], 530: [2, 2]}
    raw = page(np.zeros((8 * H, 8 * W), "u2"), RAW)
    old_jpeg = preview | {256: [2 * W], 257: [2 * H], 259: [6]}
    contents = tiff(page(values[::4, ::4], t254=[1], t330=[raw, old_jpeg, preview], t50706=[1]))
    assert abs(read_picture(contents) - wanted).max() <= 8
    assert f"its preview of {W} x {H}, not its raw pixels of a camera of {8 * W} x {8 * H}" in said(capfd)
    with pytest.raises(InputError, match="it has raw pixels of a camera"):
        read_picture(tiff(raw))


# ---------------------------------------------------------------- bands

def near_infrared(dtype):
    most = np.iinfo(dtype).max
    return np.concatenate([levels(3, most), levels(1, most, seed=5)], 2).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "u2"])
@pytest.mark.parametrize("extra", [0, 2])
def test_near_infrared_is_no_transparency(dtype, extra, capfd):
    """GDAL says of a fourth band of bytes that it is: whatever it is."""
    bands = near_infrared(dtype)
    contents = tiff(page(bands, t338=[extra]))
    wanted = bands[..., :3] / (np.iinfo(dtype).max / 255)
    assert_shows(contents, wanted)
    assert "bands 1 to 3 of 4" in said(capfd)
    if dtype == "u1":
        assert abs(read(Image.open(io.BytesIO(contents))).pixels - wanted).max() <= 0.51


@pytest.mark.parametrize("alpha", [np.arange(W) * 7 % 256 * np.ones((H, 1)), (levels() > 100) * 255, np.full((H, W), 90)])
def test_transparency_is_seen_as_such(alpha):
    """Fading, cut out, or everywhere the same."""
    bands = near_infrared("u1")
    bands[..., 3] = alpha
    assert_shows(tiff(page(bands, t338=[2])), 255 - alpha[..., None] / 255 * (255 - bands[..., :3].astype(float)))


@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_several_bands_are_said(dtype, capfd):
    bands = near_infrared(dtype)
    with pytest.raises(InputError, match="4 bands and does not say which are red, green and blue"):
        read_picture(tiff(page(bands, BLACK_IS_ZERO, t338=[0] * 3)))
    most = np.iinfo(dtype).max / 255
    assert_shows(tiff(page(bands[..., :3], BLACK_IS_ZERO, t338=[0, 0])), bands[..., :3] / most)
    assert "its three bands as red, green and blue" in said(capfd)
    first = bands[..., 0] if dtype == "u1" else stretched(bands[..., 0])
    assert_shows(tiff(page(bands[..., :2], BLACK_IS_ZERO, t338=[0])), grey(first))
    assert "band 1 of 2" in said(capfd)
    assert_shows(tiff(page(np.concatenate([bands] * 2, 2), RGB, t338=[0] * 5)), bands[..., :3] / most)
    assert "bands 1 to 3 of 8" in said(capfd)


def test_what_a_tiff_has_that_is_not_read_is_said():
    values = levels().astype("u2")
    for tags, words in ((page(values, t339=[5], t258=[16]), "it has complex numbers"),
                        (page(values, deflate=33003), "TIFF's compression 33003, which is not read"),
                        (page(values, compress=zlib.compress, deflate=8, t317=[9]), "predictor 9"),
                        (page(values, t258=[13]), "of a kind that is not read: 1 x 13 bits")):
        with pytest.raises(InputError, match=words):
            read_picture(tiff(tags))


# ---------------------------------------------------------------- hostile files

@pytest.mark.parametrize("tags", [
    {"t277": [60_000]}, {"t273": [1 << 31]}, {"t279": [1 << 31]}, {"t278": [0]},
    {"t322": [1 << 30], "t323": [1 << 30], "t324": [8], "t325": [4]}, {"t330": [8, 8, 8]}, {"t330": [0xFFFFFFFF]}, {"t258": [64], "t339": [3]}, {"t256": [3000], "t257": [3000]}])
def test_a_tiff_that_claims_too_much_is_refused_or_read_in_one_line(tags):
    contents = tiff(page(levels(3).astype("u2"), rows=3, **tags))
    try:
        read_picture(contents, largest=10_000_000)
    except InputError as error:
        assert "\n" not in str(error)


def test_a_tiff_whose_pages_go_round_ends():
    contents = bytearray(tiff(page(levels().astype("u2")), page(levels(most=7).astype("u2"))))
    first = struct.unpack_from("<I", contents, 4)[0]
    following = first + 2 + 12 * struct.unpack_from("<H", contents, first)[0]
    second = struct.unpack_from("<I", contents, following)[0]
    struct.pack_into("<I", contents, second + 2 + 12 * struct.unpack_from("<H", contents, second)[0], first)
    assert_shows(bytes(contents), grey(stretched(levels())))


def test_numbers_that_would_take_gigabytes_are_refused(monkeypatch):
    """Compressed, a few bytes may stand for many."""
    monkeypatch.setattr("cam_data.tiff_pixels.MOST_NUMBERS", H * W * 3 * 2 - 1)
    with pytest.raises(InputError, match=r"its numbers take 5,184 bytes; at most 5,183 are read"):
        read_picture(tiff(page(levels(3).astype("u2"), compress=zlib.compress, deflate=8)))


def test_thousands_of_damaged_tiffs_are_read_or_refused_in_one_line():
    rng = np.random.default_rng(0)
    values = levels(3, 3000).astype("u2")
    wholes = [tiff(page(values[::3, ::3]), page(values, t338=[], rows=5)),
              tiff(page(values, compress=zlib.compress, deflate=8, t317=[2], rows=9), big=True),
              tiff(page(near_infrared("u1"), t338=[2], t274=[3]), order=">")]
    for number in range(600):
        contents = bytearray(wholes[number % 3])
        for _ in range(rng.integers(1, 4)):
            contents[rng.integers(len(contents)) if number % 2 else rng.integers(300)] ^= 1 << rng.integers(8)
        try:
            found = read_picture(bytes(contents[:rng.integers(len(contents))] if number % 5 == 0 else contents), largest=100_000)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert found.dtype == np.uint8 and found.ndim == 3
