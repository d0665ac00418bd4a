"""A strip of pictures: the picture itself, then one panel for each class with its heat map and box."""

import numpy as np

from ops.overlays import DARK, LIGHT, outline, overlay

PANEL_HEIGHT = 320
GAP = 6


def panels(picture, heat_maps, boxes, captions):
    """Draw what a network sees in a picture.

    picture    uint8 [H, W, 3], RGB
    heat_maps  [k, h, w] in [0, 1], of any size: they cover the whole picture
    boxes      [k, 4]: x0, y0, x1, y1 in pixels of the picture, half-open
    captions   k strings
    returns    uint8 [h', w', 3]: k + 1 panels side by side, captions below
    raises     ValueError when the numbers of maps, boxes and captions differ
    """
    if not len(heat_maps) == len(boxes) == len(captions):
        raise ValueError(f"{len(heat_maps)} heat maps, {len(boxes)} boxes and "
                         f"{len(captions)} captions do not belong together")
    from PIL import Image, ImageDraw, ImageFont
    height, width = picture.shape[:2]
    shrunk = panel(picture)
    panel_width = shrunk.shape[1]
    font = ImageFont.load_default(PANEL_HEIGHT // 20)
    caption_height = PANEL_HEIGHT // 12
    strip = Image.new("RGB", ((panel_width + GAP) * (1 + len(boxes)) - GAP, PANEL_HEIGHT + caption_height), LIGHT)
    strip.paste(Image.fromarray(shrunk), (0, 0))
    for number, (heat_map, box, caption) in enumerate(zip(heat_maps, boxes, captions), 1):
        drawn = Image.fromarray(overlay(shrunk, heat_map))
        outline(ImageDraw.Draw(drawn), np.asarray(box) * np.tile([panel_width / width, PANEL_HEIGHT / height], 2))
        left = number * (panel_width + GAP)
        strip.paste(drawn, (left, 0))
        text = _fit(caption, font, panel_width)
        ImageDraw.Draw(strip).text((left + 2, PANEL_HEIGHT + 2), text, DARK, font)
    return np.asarray(strip)


def panel(picture):
    """The picture at the size of a panel: uint8 [H, W, 3] to [320, w, 3], w from 106 to 960."""
    from PIL import Image
    height, width = picture.shape[:2]
    # A panorama must not become a strip of a hundred thousand pixels, nor a tower a hair.
    panel_width = int(np.clip(round(width * PANEL_HEIGHT / height), PANEL_HEIGHT // 3, 3 * PANEL_HEIGHT))
    if (height, width) == (PANEL_HEIGHT, panel_width):
        return picture
    return np.asarray(Image.fromarray(picture).resize((panel_width, PANEL_HEIGHT), Image.Resampling.BICUBIC,
                                                      reducing_gap=2.0))


def _fit(text, font, width):
    """The text, cut with an ellipsis to at most `width` pixels."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"
