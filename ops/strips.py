"""A strip of pictures: the picture itself, then one panel for each class with its heat map and box."""

import bisect

import numpy as np

from ops.arguments import listed, real_array, real_boxes, shown
from ops.overlays import overlay, rgb, unit_map

PANEL_HEIGHT = 320
GAP = 6
COLOUR = (255, 255, 255)
SHADOW = (20, 20, 20)


def panels(picture, heat_maps, boxes, captions):
    """Draw what a network sees in a picture.

    picture    uint8 [H, W, 3], RGB
    heat_maps  [k, h, w] in [0, 1], of any size: they cover the whole picture
    boxes      [k, 4]: x0, y0, x1, y1 in pixels of the picture, half-open
    captions   k strings
    returns    uint8 [h', w', 3]: k + 1 panels side by side, captions below
    raises     ValueError when the numbers of maps, boxes and captions differ, or for what
               is no picture, heat map (as `overlay`), box or text
    """
    picture, captions = rgb(picture), listed(captions, "captions")
    heat_maps = [unit_map(heat_map, f"heat_maps[{number}]")
                 for number, heat_map in enumerate(listed(heat_maps, "heat_maps"))]
    boxes = real_array(boxes, "boxes")
    boxes = real_boxes(boxes, "boxes") if boxes.size else np.zeros((0, 4))
    if not all(isinstance(caption, str) for caption in captions):
        raise ValueError("captions must be strings")
    if boxes.ndim != 2 or not np.isfinite(boxes).all() or (boxes[:, :2] > boxes[:, 2:]).any():
        raise ValueError(f"boxes must be finite [k, 4], x0 <= x1 and y0 <= y1; they are {shown(boxes.tolist())}")
    if not len(heat_maps) == len(boxes) == len(captions):
        raise ValueError(f"{len(heat_maps)} heat maps, {len(boxes)} boxes and "
                         f"{len(captions)} captions do not belong together")
    return _drawn(picture, heat_maps, boxes, captions)


def _drawn(picture, heat_maps, boxes, captions):
    from PIL import Image, ImageDraw, ImageFont
    height, width = picture.shape[:2]
    scale = PANEL_HEIGHT / height
    # A panorama must not become a strip of a hundred thousand pixels, nor a tower a hair.
    panel_width = int(np.clip(round(width * scale), PANEL_HEIGHT // 3, 3 * PANEL_HEIGHT))
    shrunk = Image.fromarray(picture).resize((panel_width, PANEL_HEIGHT), Image.Resampling.LANCZOS)
    font = ImageFont.load_default(PANEL_HEIGHT // 20)
    caption_height = PANEL_HEIGHT // 12
    strip = Image.new("RGB", ((panel_width + GAP) * (1 + len(boxes)) - GAP, PANEL_HEIGHT + caption_height),
                      COLOUR)
    strip.paste(shrunk, (0, 0))
    for number, (heat_map, box, caption) in enumerate(zip(heat_maps, boxes, captions), 1):
        panel = Image.fromarray(overlay(np.asarray(shrunk), heat_map))
        corners = box * np.tile([panel_width / width, scale], 2) - [0, 0, 1, 1]
        corners[2:] = np.maximum(corners[2:], corners[:2])  # a box thinner than a pixel of the panel
        pen = ImageDraw.Draw(panel)
        pen.rectangle(list(corners), outline=SHADOW, width=4)
        pen.rectangle(list(corners), outline=COLOUR, width=2)
        left = number * (panel_width + GAP)
        strip.paste(panel, (left, 0))
        text = _fit(caption, font, panel_width)
        ImageDraw.Draw(strip).text((left + 2, PANEL_HEIGHT + 2), text, SHADOW, font)
    return np.asarray(strip)


def _fit(text, font, width):
    """The text, cut with an ellipsis to at most `width` pixels."""
    if font.getlength(text) <= width:
        return text
    letters = bisect.bisect(range(len(text)), width, key=lambda end: font.getlength(text[:end + 1] + "…"))
    return text[:letters].rstrip() + "…"
