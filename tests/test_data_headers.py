"""A picture's kind, size and orientation are read from its head alone, and what asks for too much is refused by it."""

import io
import os
import socket
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin
from test_data_decode import PNG, chunk, exif, picture, saved

from cam_base import InputError
from cam_data import LARGEST_PICTURE, read_picture
from cam_data.decoding import BYTES_BESIDES, MOST_SCANS
from cam_data.headers import GIF_PIXELS, Header, count_scans, read_header

XMP = ('<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
       'tiff:Orientation="6"/></x:xmpmeta>')


def header_of(contents):
    return read_header(io.BytesIO(contents))


def refusal(source, **options):
    with pytest.raises(InputError) as refused:
        read_picture(source, **options)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def png(width, height, *chunks):
    return PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)) + b"".join(chunks)


# ---------------------------------------------------------------- what is read

@pytest.mark.parametrize("form, mode, options", [
    ("JPEG", "RGB", {}), ("JPEG", "L", {"progressive": True}), ("JPEG", "CMYK", {"exif": exif(8)}), ("PNG", "RGB", {}),
    ("PNG", "P", {"exif": exif(6)}), ("GIF", "P", {}), ("BMP", "RGB", {}), ("BMP", "L", {})])
def test_kind_and_size_are_pillows(form, mode, options):
    contents = saved(picture(mode), form, **options)
    header = header_of(contents)
    assert (header.kind, header.width, header.height) == (form, 48, 32)
    assert header.size == ImageOps.exif_transpose(Image.open(io.BytesIO(contents))).size[::-1]


def test_a_bmp_from_above_has_its_height():
    contents = bytearray(saved(picture(), "BMP"))
    contents[22:26] = struct.pack("<i", -32)
    np.testing.assert_array_equal(read_picture(bytes(contents))[::-1], read_picture(saved(picture(), "BMP")))


def test_what_stands_between_a_jpegs_segments_is_passed_over_as_its_decoder_does():
    contents = saved(picture(), "JPEG", quality=95)
    place = contents.index(b"\xff\xdb")
    for between in (b"\xff" * 7, b"garbage\xff\0more", b"\xff\xd3", b"\xff\x01"):
        changed = contents[:place] + between + contents[place:]
        assert header_of(changed).size == (32, 48)
        np.testing.assert_array_equal(read_picture(changed), read_picture(contents))


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_an_orientation_in_xmp_counts_where_exif_says_none(form):
    """As it does for Pillow."""
    def contents(**options):
        if form == "JPEG":
            return saved(picture(), form, xmp=XMP.encode(), **options)
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", XMP, zip=True)
        return saved(picture(), form, pnginfo=text, **options)

    for wanted, options in (((48, 32), {}), ((32, 48), {"exif": exif(3)})):
        assert header_of(contents(**options)).size == wanted
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(contents(**options)))).convert("RGB")
        assert np.abs(read_picture(contents(**options)).astype(int) - np.asarray(upright)).max() <= 1


def test_a_pngs_exif_behind_its_pixels_counts():
    plain = saved(picture(), "PNG")
    behind = plain[:-12] + chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0")) + plain[-12:]
    assert header_of(behind).size == (48, 32) and read_picture(behind).shape == (48, 32, 3)


def test_an_enormous_picture_is_turned_as_its_exif_says():
    """Pillow opens none of more than 179 megapixels, and warns from 90 on."""
    tall = png(20_000, 10_000, chunk(b"eXIf", exif(6).tobytes().removeprefix(b"Exif\0\0")))
    assert header_of(tall).size == (20_000, 10_000)


# ---------------------------------------------------------------- what is too large

def test_a_picture_above_the_limit_is_refused_by_its_header(tmp_path):
    """None of them has any pixels: what is refused is what they claim."""
    claims = {"png": png(20_000, 20_000), "bmp": b"BM" + bytes(16) + struct.pack("<ii", 20_000, -20_000) + bytes(28),
              "gif": b"GIF89a" + bytes(7) + b"," + struct.pack("<HHHHB", 0, 0, 20_000, 20_000, 0),
              "jpg": b"\xff\xd8\xff\xc0\0\x0b\x08" + struct.pack(">HH", 20_000, 20_000) + b"\1\1\x11\0\xff\xda"}
    for ending, contents in claims.items():
        path = tmp_path / f"x.{ending}"
        path.write_bytes(contents)
        assert refusal(str(path)) == (f"{path}: has 400.0 megapixels (20000 x 20000); at most 150 are read: "
                                      "--largest-picture sets the limit")


def test_the_limit_is_the_callers():
    contents = saved(picture(), "PNG")
    assert read_picture(contents, largest=48 * 32).shape == (32, 48, 3)
    assert "at most 0.001535 are read" in refusal(contents, largest=48 * 32 - 1)
    assert LARGEST_PICTURE == 150_000_000


def test_a_file_with_more_bytes_than_its_pixels_can_need_is_refused_unread(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png(10, 10))
    os.truncate(path, 800 + BYTES_BESIDES)
    assert "cannot be read as a picture" in refusal(str(path))  # it is tried
    os.truncate(path, 1_000_000_000_000)
    assert refusal(str(path)) == (f"{path}: has 1,000,000,000,000 bytes; a picture of 10 x 10 pixels never needs "
                                  "more than 32,000,800")


def gif_of(*frames):
    """The beginning of an animation of blank frames, (width, height) each, and where each frame ends."""
    contents, ends = b"GIF89a" + struct.pack("<HHBBB", *frames[0], 0x80, 0, 0) + bytes(6), []
    for width, height in frames:
        contents += b"!\xf9\x04" + bytes(5) + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\3\x44\1\5\0"
        ends.append(len(contents))
    return contents + b";", ends


def test_of_an_animation_no_more_is_decoded_than_a_few_frames():
    """The decoder takes memory for all frames of a file, though one is shown; a thousand blank ones are small."""
    contents, ends = gif_of(*[(4000, 2000)] * 1000)
    assert GIF_PIXELS == 2 * 4000 * 2000
    assert header_of(contents) == Header("GIF", 2000, 4000, 1, ends[1] + 8, remark="frame 1 of 3 or more")
    contents, _ = gif_of(*[(400, 200)] * 50)
    assert header_of(contents).needed is None


def test_a_long_animation_shows_its_first_frame(monkeypatch):
    monkeypatch.setattr("cam_data.headers.GIF_PIXELS", 3 * 48 * 32)
    frames = [picture("P").rotate(180 * number) for number in range(7)]
    contents = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert 0 < header_of(contents).needed < len(contents)
    np.testing.assert_array_equal(read_picture(contents), np.asarray(frames[0].convert("RGB")))


def test_a_jpeg_of_a_thousand_scans_is_refused():
    """Each is a few bytes, and takes as long as a whole decoding."""
    contents = saved(picture(), "JPEG", progressive=True)
    begin, end = contents.rindex(b"\xff\xda"), contents.rindex(b"\xff\xd9")
    more = contents[:end] + contents[begin:end] * 1000 + contents[end:]
    assert count_scans(contents, header_of(contents).scans, MOST_SCANS) == contents.count(b"\xff\xda") == 10
    assert f"more than {MOST_SCANS} scans" in refusal(more)
    # Those of a preview in front of the picture, and of what stands behind it, are not counted.
    preview = b"\xff\xe2" + struct.pack(">H", 2 + 2 * 200) + b"\xff\xda" * 200
    among = contents[:2] + preview + contents[2:begin] + preview + contents[begin:] + b"\0\2" + b"\xff\xda\0\2" * 1000
    np.testing.assert_array_equal(read_picture(among), read_picture(contents))
    # Nor does what looks like the end of the picture within a comment hide them.
    comment = b"\xff\xfe\0\4\xff\xd9"
    assert f"more than {MOST_SCANS} scans" in refusal(contents[:begin] + comment + more[begin:])


def test_texts_that_expand_without_end_take_little():
    bomb = b"XML:com.adobe.xmp\0\0" + zlib.compress(bytes(100_000_000), 9)
    tracemalloc.start()
    assert header_of(png(3, 3, chunk(b"zTXt", bomb))).size == (3, 3)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


@pytest.mark.parametrize("name, unpacked", [(b"Raw profile type exif", b"\n\n\nzz" + b"\n" * 1_000_000), (b"XML:com.adobe.xmp", bytes(1_000_000))])
def test_only_the_first_of_many_texts_is_unpacked(name, unpacked, monkeypatch):
    """Thousands of them would each be a megabyte."""
    unpackers, original = [], zlib.decompressobj
    monkeypatch.setattr(zlib, "decompressobj", lambda: unpackers.append(1) or original())
    assert header_of(png(3, 3, chunk(b"zTXt", name + b"\0\0" + zlib.compress(unpacked, 9)) * 50)).size == (3, 3)
    assert len(unpackers) == 1


def test_a_jpeg_of_fill_bytes_alone_is_refused_after_some(monkeypatch):
    monkeypatch.setattr("cam_data.headers.MOST_BYTES", 1000)
    asked = []

    class Endless(io.BytesIO):
        def read(self, count=-1):
            asked.append(count)
            return super().read(count).ljust(count, b"\xff")

    with pytest.raises(InputError, match="damaged"):
        read_header(Endless(b"\xff\xd8"))
    assert len(asked) < 3000


@pytest.mark.parametrize("form, begin", [("WebP", b"RIFF\0\0\0\0WEBPVP8X"), ("AVIF", b"\0\0\0\x20ftypavif")])
def test_a_file_that_pillow_would_read_whole_is_refused_where_it_is_too_large(form, begin, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(begin)
    os.truncate(path, 1_000_000_000_000)
    assert f"of {form.upper()}, at most 268,435,456 are read" in refusal(str(path))


# ---------------------------------------------------------------- what is no file

def test_a_pipe_a_device_and_a_socket_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("/dev/zero", tmp_path / "zero.png")
    os.symlink(tmp_path / "pipe.jpg", tmp_path / "link.jpg")
    made = [str(tmp_path / name) for name in ("pipe.jpg", "zero.png", "link.jpg")]
    for path in (*made, "/dev/zero", "/dev/null"):
        assert refusal(path) == f"{path}: not a regular file"
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path)  # the names of sockets are short
        listener.bind("s.jpg")
        os.chdir(here)
        assert "cannot be read as a picture (No such device or address)" in refusal(str(tmp_path / "s.jpg"))
