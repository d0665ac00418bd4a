"""What is written of each picture: overlays, maps, masks, and what localizations.json says of them."""

import errno
import io
import math
import os

import numpy as np

import cam_report
import ops
from cam_base import InputError, replacing
from cam_base.files import OWN_MARK
from cam_data.decoding import LargeAlone
from localization.localizer import ENOUGH
from .pictures import FileNames, names_to_show

_large_alone = LargeAlone()
# Each with a folder for the first class, the second, ...
FOLDERS = {"overlay": "overlays", "map": "maps", "mask": "masks"}


class Outputs:
    """Writes what the settings ask for.

        name = outputs.name(file)                            # in the order of the pictures
        entry, problems, shown = outputs.write(result, name)  # in any thread

    files    all pictures, none of which is written over
    classes  of a picture, at most
    asked    numbers of the classes that were asked for, or None: of these the first has the folder 1, whichever are left out
    """

    def __init__(self, settings, files, classes, asked=None):
        self.settings, self.asked = settings, asked
        self._shown = names_to_show(files) if settings.report else {}
        self._endings = {kind: ending for kind, wanted, ending in (
            ("overlay", settings.overlay != "none", f".{settings.overlay_format}"), ("map", settings.maps, f".{settings.maps}"),
            ("mask", settings.masks, ".png")) if wanted}
        places = {}
        for kind, ending in self._endings.items():
            places.setdefault(ending, []).extend(
                [settings.out] if kind == "overlay" and settings.overlay == "strip" else
                [os.path.join(settings.out, FOLDERS[kind], str(place + 1)) for place in range(classes)])
        self.folders = [settings.out, *(folder for folders in places.values() for folder in folders)]
        self._names = FileNames(places, files) if places else None

    def keep(self):
        """What a localizer is to keep of a picture's pixels (`Localizer.stream`)."""
        if self.settings.overlay == "strip" or self.settings.report and self.settings.overlay == "none":
            return ops.panel
        # A large one is read again, at full size, when its turn comes: a batch of them would not fit.
        return (lambda pixels: pixels if max(pixels.shape) < ENOUGH else None) if self.settings.overlay == "full" else None

    def name(self, file):
        """What all that is written of it is called, without an ending; None where nothing is."""
        return self._names and self._names.free(file)

    def are_there(self, name, entry):
        """Whether all files are there that an entry of an earlier call names, which must be called as this one would call them."""
        wanted = [(entry.get("overlay"), name + self._endings["overlay"])] if self.settings.overlay == "strip" else []
        wanted += [(found.get(kind), file) for place, found in zip(self._places_of(entry["predictions"]), entry["predictions"])
                   for kind, file in self._of_class(name, place).items()]
        return all(said == file and os.path.isfile(os.path.join(self.settings.out, file)) for said, file in wanted)

    def write(self, result, name):
        """(the picture's entry, in words what could not be written, what --report shows). OSError where nothing more can be."""
        if result.error is not None:
            return unread(result), [], self._of_report(result)
        # Maps and overlays as large as the picture take 25 bytes for each of its pixels.
        with _large_alone(math.prod(result.size)):
            return self._write_all(result, name)

    def _write_all(self, result, name):
        problems, entry = [], describe(result, self.settings.all_boxes)
        if self.settings.overlay == "strip":
            entry["overlay"] = self._write(problems, name + self._endings["overlay"], lambda: self._encoded(self._strip(result)))
        for place, found, said in zip(self._places_of(entry["predictions"]), result, entry["predictions"]):
            for kind, file in self._of_class(name, place).items():
                said[kind] = self._write(problems, file, lambda kind=kind, found=found: self._contents(kind, found))
        return entry, problems, self._of_report(result)

    def _places_of(self, predictions):
        """From 1, the place of each of a picture's classes among those that were asked for; where none was, among its own."""
        if self.asked is None:
            return list(range(1, len(predictions) + 1))
        left = iter(enumerate(self.asked, 1))
        return [next((place for place, number in left if number == found["class"]), None) for found in predictions]

    def _of_class(self, name, place):
        """{what: the file's name} of what is written of a picture's first class, or second, ..."""
        return {kind: f"{FOLDERS[kind]}/{place}/{name}{ending}" for kind, ending in self._endings.items()
                if kind != "overlay" or self.settings.overlay == "full"}

    def _contents(self, kind, found):
        """The bytes of such a file."""
        if kind == "overlay":
            return self._encoded(self._full(found))
        if kind == "mask":
            return png_of_mask(found.mask)
        return npy_bytes(found.refined_map) if self.settings.maps == "npy" else png_of_map(found.full_heat_map)

    def _of_report(self, result):
        """A picture of report.html; None where none is asked for."""
        if not self.settings.report:
            return None
        name = self._shown[result.source]
        if result.error is not None:
            return cam_report.Shown(name, (1, 1), b"", error=str(result.error))
        try:
            return cam_report.shown_of(name, result, result.picture)
        except InputError as error:
            return cam_report.Shown(name, result.size, b"", error=str(error))

    def _strip(self, result):
        return result.strip(*self._drawing(), caption=not self.settings.no_caption)

    def _full(self, found):
        overlay = found.overlay(*self._drawing())
        return overlay if self.settings.no_caption else ops.captioned(overlay, found.caption)

    def _drawing(self):
        return self.settings.alpha, self.settings.colormap, self.settings.all_boxes, self.settings.boxes != "none"

    def _encoded(self, overlay):
        return (ops.encode_png if self.settings.overlay_format == "png" else ops.encode_jpeg)(overlay, comment=OWN_MARK)

    def _write(self, problems, name, encoded):
        """Write a file into the folder; its name, or None, and a line more in `problems`, where that is not possible."""
        path = os.path.join(self.settings.out, name)
        try:
            data = encoded()
            with replacing(path) as file:
                file.write(data)
            return name
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
            problems.append(f"{path} could not be written ({error.strerror or error})")
        except InputError as error:  # a large picture is read again to be drawn
            problems.append(f"{path} could not be drawn ({error})")
        return None


def describe(result, all_boxes=False):
    """One picture's entry of localizations.json."""
    height, width = map(int, result.size)
    entry = {"image": result.source, "width": width, "height": height, "overlay": None, "predictions": []}
    for found in result:
        said = {"class": found.number, "wnid": found.wnid, "label": found.label, "probability": found.probability,
                "box": list(found.box), "peak": list(found.peak)}
        if all_boxes:
            said["boxes"] = [{"box": list(one.box), "area": one.area, "peak": list(one.peak), "value": one.value} for one in found.boxes]
        entry["predictions"].append(said)
    return entry


def unread(result):
    """The entry of a picture that could not be read."""
    return {"image": result.source, "width": None, "height": None, "overlay": None, "error": str(result.error), "predictions": []}


def npy_bytes(array):
    file = io.BytesIO()
    np.save(file, np.asarray(array, np.float32), allow_pickle=False)
    return file.getvalue()


def png_of_map(heat_map):
    """A heat map in [0, 1] as the bytes of a PNG of 16 bits: 65535 is 1."""
    return _grey_png((heat_map * np.float32(65535) + np.float32(0.5)).astype(np.uint16))


def png_of_mask(mask):
    """A mask as the bytes of a PNG of 8 bits: 0 and 255."""
    return _grey_png(mask.astype(np.uint8) * np.uint8(255))


def _grey_png(pixels):
    from PIL import Image, PngImagePlugin
    about, file = PngImagePlugin.PngInfo(), io.BytesIO()
    about.add_text("Comment", OWN_MARK)
    Image.fromarray(pixels).save(file, "PNG", pnginfo=about, compress_level=1)
    return file.getvalue()
