"""Encoded pictures, as Pillow reads them."""

import io

import numpy as np
import pytest
from PIL import Image

import ops

PICTURE = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)


@pytest.mark.parametrize("encode, kind", [(ops.encode_png, "PNG"), (ops.encode_jpeg, "JPEG")])
@pytest.mark.parametrize("comment", ["", "seen by a network"])
def test_a_comment_is_in_the_file_before_its_pixels(encode, kind, comment):
    content = encode(PICTURE, comment=comment)
    image = Image.open(io.BytesIO(content))
    assert image.format == kind and image.size == (5, 7)
    read = image.info.get("comment", image.info.get("Comment"))
    assert (read.decode() if isinstance(read, bytes) else read) == (comment or None)
    assert comment.encode() in content[:100]
    np.testing.assert_array_equal(image, Image.open(io.BytesIO(encode(PICTURE))))
    if kind == "PNG":
        np.testing.assert_array_equal(image, PICTURE)


@pytest.mark.parametrize("comment", ["é", "a\0b", "a" * 1001, b"bytes", None, 3])
def test_a_comment_that_files_cannot_hold_is_refused(comment):
    for encode in (ops.encode_png, ops.encode_jpeg):
        with pytest.raises(ValueError, match="comment must be up to 1,000 letters of ASCII"):
            encode(PICTURE, comment=comment)
