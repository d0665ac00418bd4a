"""Files of every kind become upright RGB, as Pillow reads them; the broken ones are named in one line."""

import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps, PngImagePlugin

from cam_base import InputError
from cam_data import is_picture, read_picture

ORIENTATION = 0x0112
PNG = b"\x89PNG\r\n\x1a\n"


def picture(mode="RGB", size=(48, 32)):
    """A Pillow picture without any symmetry, smooth enough for JPEG."""
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3), np.uint8))
    return coarse.resize(size, Image.BICUBIC).convert(mode)


def saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def by_pillow(contents):
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(contents))).convert("RGB"))


def assert_like_pillow(contents, tolerance):
    found, wanted = read_picture(contents), by_pillow(contents)
    assert found.dtype == np.uint8 and found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= tolerance
    return found


def exif(orientation):
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def chunk(kind, body):
    """Of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


# ---------------------------------------------------------------- kinds of pictures

@pytest.mark.parametrize("mode, form, options, tolerance", [
    ("RGB", "JPEG", {"quality": 90}, 1),
    ("RGB", "JPEG", {"progressive": True}, 1),
    ("L", "JPEG", {}, 1),
    ("CMYK", "JPEG", {"quality": 95}, 2),
    ("RGB", "PNG", {}, 0),
    ("L", "PNG", {}, 0),
    ("1", "PNG", {}, 0),
    ("P", "PNG", {}, 0),
    ("P", "GIF", {}, 0),
    ("RGB", "BMP", {}, 0)])
def test_pixels_are_pillows(mode, form, options, tolerance):
    assert_like_pillow(saved(picture(mode), form, **options), tolerance)


def test_a_grey_picture_has_three_equal_channels():
    found = read_picture(saved(picture("L"), "JPEG"))
    assert found.shape == (32, 48, 3) and (found == found[..., :1]).all()


def test_inverted_cmyk_of_adobe_shows_the_colours_that_were_meant():
    """Pillow writes an Adobe marker and inverted values, as Photoshop does."""
    contents = saved(picture("CMYK"), "JPEG", quality=95)
    assert b"Adobe" in contents
    found = assert_like_pillow(contents, 2)
    assert np.abs(found.astype(int) - np.asarray(picture())).mean() < 4


def test_plain_cmyk_is_not_inverted():
    """Without the marker the file's values are ink, and 0 is paper."""
    contents = saved(Image.new("CMYK", (16, 16), (255, 255, 255, 255)), "JPEG", quality=95)
    start = contents.index(b"\xff\xee")
    length = struct.unpack(">H", contents[start + 2:start + 4])[0]
    plain = contents[:start] + contents[start + 2 + length:]
    assert read_picture(contents).max() < 4  # black ink everywhere, written inverted as 0
    assert read_picture(plain).min() > 251   # the same 0, now not inverted: bare paper


def on_paper(image):
    """An image with alpha as it looks on white paper, by the equation: alpha * colour + (1 - alpha) * white."""
    pixels = np.asarray(image.convert("RGBA")).astype(float)
    alpha = pixels[..., 3:] / 255
    return alpha * pixels[..., :3] + (1 - alpha) * 255


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_is_seen_on_white(mode, form):
    image = picture(mode)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    assert abs(read_picture(saved(image, form, **options)) - on_paper(image)).max() <= 1


def test_what_lies_below_a_hidden_part_is_not_seen():
    """A cat below alpha 0 is a blank page."""
    image = picture("RGBA")
    image.putalpha(0)
    assert (read_picture(saved(image, "PNG")) == 255).all()


def test_a_palette_with_a_transparent_colour_is_seen_on_white():
    image = picture("P")
    contents = saved(image, "PNG", transparency=0)
    plain, hidden = np.asarray(image.convert("RGB")), np.asarray(image) == 0
    np.testing.assert_array_equal(read_picture(contents), np.where(hidden[..., None], 255, plain))


def test_a_16_bit_png_of_colours_keeps_its_high_bytes():
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), np.uint16)
    found = read_picture(tf.io.encode_png(pixels).numpy())
    assert found.dtype == np.uint8 and np.abs(found - pixels / 257).max() <= 1


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("low, high", [(0, 65535), (0, 4095), (1000, 1127), (30000, 30001)])
def test_greys_of_16_bits_are_shown_by_their_own_range(form, low, high):
    """Of a whole range, of an X-ray's 12 bits, of a microscope's few levels."""
    values = np.random.default_rng(0).integers(low, high + 1, (9, 7)).astype(np.uint16)
    values.flat[:2] = low, high
    found = read_picture(saved(Image.fromarray(values), form))
    assert abs(found - (values.astype(float) - low)[..., None] * 255 / (high - low)).max() <= 0.51
    flat = read_picture(saved(Image.fromarray(np.full((4, 4), high, np.uint16)), form))
    assert flat.shape == (4, 4, 3) and np.ptp(flat) == 0


@pytest.mark.parametrize("form, options", [("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("JPEG2000", {}),
                                           ("AVIF", {"quality": 100, "subsampling": "4:4:4"})])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_forms_that_pillow_reads(form, options, mode, tmp_path):
    image = picture(mode)
    contents = saved(image, form, **options)
    tolerance = 8 if form == "AVIF" else 0
    assert abs(read_picture(contents).astype(int) - np.asarray(image.convert("RGB"))).max() <= tolerance
    (tmp_path / "x.jpg").write_bytes(contents)  # whatever it is called
    assert read_picture(str(tmp_path / "x.jpg")).shape == (*image.size[::-1], 3)
    with pytest.raises(InputError, match="megapixels"):
        read_picture(contents, largest=10)


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_seen(form):
    frames = [picture(), picture().transpose(Image.ROTATE_180)]
    options = {"lossless": True} if form == "WEBP" else {}
    contents = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(read_picture(contents), np.asarray(frames[0]))


@pytest.mark.parametrize("form", ["WEBP", "TIFF"])
def test_orientation_of_other_forms_is_undone(form):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = picture()
    found = read_picture(saved(image, form, exif=exif, **({"lossless": True} if form == "WEBP" else {})))
    np.testing.assert_array_equal(found, np.asarray(image.transpose(Image.ROTATE_270)))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["WEBP", "TIFF", "JPEG2000", "AVIF", "PNG"])
def test_mutated_files_are_read_or_refused_in_one_line(form):
    """200 flips and 200 truncations."""
    image = picture("RGBA" if form == "PNG" else "RGB")
    whole, rng = saved(image, form), np.random.default_rng(0)
    for number in range(400):
        content = bytearray(whole)
        if number % 2:
            content = content[:rng.integers(len(content))]
        else:
            for _ in range(rng.integers(1, 4)):
                content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        try:
            found = read_picture(bytes(content), largest=1_000_000)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert found.dtype == np.uint8 and found.ndim == 3


def test_the_first_frame_of_an_animation_is_taken():
    frames = [picture("P"), picture("P").transpose(Image.ROTATE_180)]
    contents = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_picture(contents), np.asarray(frames[0].convert("RGB")))


def test_the_ending_of_a_name_does_not_matter(tmp_path):
    path = tmp_path / "n01443537_1.JPEG"
    path.write_bytes(saved(picture(), "PNG"))
    np.testing.assert_array_equal(read_picture(str(path)), np.asarray(picture()))


def test_a_name_need_not_be_utf_8(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    picture().save(path)
    np.testing.assert_array_equal(read_picture(path), np.asarray(picture()))


# ---------------------------------------------------------------- EXIF orientation

@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_turned_upright(form, orientation):
    contents = saved(picture(), form, exif=exif(orientation))
    found = assert_like_pillow(contents, 1 if form == "JPEG" else 0)
    assert found.shape == ((48, 32, 3) if orientation >= 5 else (32, 48, 3))


def test_orientation_in_a_pngs_text_profile_counts():
    """As ImageMagick writes it."""
    profile = exif(6).tobytes()
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(profile):8}\n{profile.hex()}\n", zip=True)
    assert assert_like_pillow(saved(picture(), "PNG", pnginfo=text), 0).shape == (48, 32, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_file_is_turned_upright_too(orientation, tmp_path):
    path = tmp_path / "x.jpg"
    path.write_bytes(saved(picture(), "JPEG", exif=exif(orientation)))
    np.testing.assert_array_equal(read_picture(str(path)), by_pillow(path.read_bytes()))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    contents = saved(picture(), "PNG", exif=exif(orientation))
    np.testing.assert_array_equal(read_picture(contents), np.asarray(picture()))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("damage", [b"", b"\0\0", b"\0\0MM", b"\0\0II*\0\xff\xff\xff\x7f", b"\0\0" + bytes(range(256)),
                                    b"\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x05\0\xff\xff\xff\xff" * 20])
def test_damaged_exif_turns_nothing(damage):
    plain = saved(picture(), "JPEG", quality=95)
    segment = b"\xff\xe1" + struct.pack(">H", 6 + len(damage)) + b"Exif" + damage
    np.testing.assert_array_equal(read_picture(plain[:2] + segment + plain[2:]), read_picture(plain))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind, damage", [
    (b"eXIf", b""), (b"eXIf", b"garbage"), (b"eXIf", bytes(range(256))), (b"eXIf", b"MM\0*\xff\xff\xff\xff"),
    (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 5\nzzzz\n"))])
def test_damaged_exif_in_a_png_turns_nothing(kind, damage):
    """Pillow raises for most of these."""
    plain = saved(picture(), "PNG")
    after_header = len(PNG) + 25
    contents = plain[:after_header] + chunk(kind, damage) + plain[after_header:]
    np.testing.assert_array_equal(read_picture(contents), np.asarray(picture()))


def test_the_letters_exif_among_the_pixels_turn_nothing():
    pixels = np.frombuffer(b"Exif\0\0eXIfMM\0*" * 150, np.uint8).reshape(20, 35, 3)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    contents = (PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 35, 20, 8, 2, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))
    assert b"Exif" in contents and b"eXIf" in contents
    np.testing.assert_array_equal(read_picture(contents), pixels)


@pytest.mark.parametrize("end", [b"E", b"Exi", b"Exif"])
def test_letters_cut_off_by_the_end_of_the_file_turn_nothing(end):
    contents = saved(picture(), "PNG") + end
    np.testing.assert_array_equal(read_picture(contents), np.asarray(picture()))


# ---------------------------------------------------------------- what cannot be read

BROKEN = {
    "empty": b"",
    "text": b"This is not a picture.\n" * 9,
    "letters": b"Exif",
    "truncated JPEG": saved(picture(), "JPEG")[:400],
    "truncated PNG": saved(picture(size=(200, 200)), "PNG")[:400],
    "truncated GIF": saved(picture(size=(200, 200)).convert("P"), "GIF")[:400],
    "truncated BMP": saved(picture(), "BMP")[:400],
    "only a JPEG's beginning": b"\xff\xd8\xff",
    "PNG of no size": PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)),
    "PNG without a header": PNG + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
    "another PNG": PNG + chunk(b"CgBI", b"\0\0\0\0") + saved(picture(), "PNG")[8:],
    "JPEG without a size": b"\xff\xd8\xff\xda\0\x08" + bytes(100),
    "JPEG of no height": saved(picture(), "JPEG").replace(struct.pack(">HH", 32, 48), struct.pack(">HH", 0, 48)),
    "WebP": b"RIFF\x24\0\0\0WEBPVP8 " + bytes(24),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named_in_one_line(kind, tmp_path):
    path = str(tmp_path / "broken.jpg")
    (tmp_path / "broken.jpg").write_bytes(BROKEN[kind])
    with pytest.raises(InputError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be read as a picture (") and "\n" not in message
    assert "{{" not in message and "[Op:" not in message and len(message) < len(path) + 170


@pytest.mark.parametrize("kind, words", [
    ("empty", "it is empty"), ("truncated JPEG", "it is cut off: the end of its pixels is missing"),
    ("truncated PNG", "its PNG data are damaged or cut off"),
    ("text", "it is no JPEG, PNG, GIF, BMP, WebP, TIFF, AVIF, HEIC or JPEG 2000")])
def test_what_is_wrong_is_said_in_plain_words(kind, words):
    with pytest.raises(InputError) as caught:
        read_picture(BROKEN[kind])
    assert str(caught.value) == f"these bytes: cannot be read as a picture ({words})"


def test_a_jpeg_of_12_bits_is_named():
    contents = saved(picture(), "JPEG")
    place = contents.index(b"\xff\xc0") + 4
    with pytest.raises(InputError, match="it is a JPEG of 12 bits a channel"):
        read_picture(contents[:place] + b"\x0c" + contents[place + 1:])


VIDEOS = {"MP4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41", "MOV": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
          "old MOV": b"\0\0\0\x08wide\0\0\1\0mdat", "WebM": b"\x1aE\xdf\xa3\1\0\0\0", "AVI": b"RIFF\x24\0\0\0AVI LIST", "MPEG": b"\0\0\1\xba!\0", "TS": (b"G" + bytes(187)) * 3,
          "WMV": b"0&\xb2u\x8ef\xcf\x11\xa6\xd9"}


@pytest.mark.parametrize("kind", VIDEOS)
def test_a_video_is_called_one(kind):
    with pytest.raises(InputError, match="it is a video: take pictures out of it first"):
        read_picture(VIDEOS[kind] + bytes(100))


def heic(image, **options):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=95, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_read_where_pillow_heif_is_installed(orientation):
    image = picture(size=(128, 96))
    wanted = image if orientation == 1 else image.transpose(Image.ROTATE_270)
    found = read_picture(heic(image, exif=exif(orientation).tobytes()))
    assert found.shape == np.asarray(wanted).shape and np.abs(found.astype(int) - np.asarray(wanted)).mean() < 4


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0mif1heix"])
def test_heic_says_what_is_missing(brands, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "IMG_0001.HEIC").write_bytes(struct.pack(">I4s", 8 + len(brands), b"ftyp") + brands + bytes(400))
    assert is_picture("IMG_0001.HEIC")  # in a folder it is named, and not passed over
    with pytest.raises(InputError, match=r"IMG_0001.HEIC: cannot be .* \(it is HEIC, as iPhones save pictures: pip install pillow-heif"):
        read_picture(tmp_path / "IMG_0001.HEIC")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="nothing.png: no such file$"):
        read_picture(str(tmp_path / "nothing.png"))
    with pytest.raises(InputError, match="not a regular file$"):
        read_picture(str(tmp_path))
