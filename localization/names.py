"""Names for the overlays of pictures."""

import os

LONGEST = 255  # bytes of a file's name, on most file systems
ROOM = len("-123456.jpg")


class OverlayNames:
    """Names in `folder`: two pictures called the same get two; none of the pictures is written over."""

    def __init__(self, folder, pictures, ending):
        self.ending = ending
        self.taken = {os.path.basename(picture) for picture in pictures
                      if os.path.realpath(os.path.dirname(picture)) == os.path.realpath(folder)}

    def free(self, file):
        stem = os.fsencode(os.path.splitext(os.path.basename(file))[0])[:LONGEST - ROOM]
        # A letter of several bytes may have been cut.
        stem = stem.decode(errors="ignore") if _is_utf8(file) else os.fsdecode(stem)
        name, number = f"{stem}.{self.ending}", 2
        while name in self.taken:
            name, number = f"{stem}-{number}.{self.ending}", number + 1
        self.taken.add(name)
        return name


def _is_utf8(name):
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
