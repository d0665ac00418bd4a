"""What happens to a picture's pixels before a network sees them, as data that travels with weights."""

from dataclasses import asdict, dataclass, fields

from .errors import InputError


@dataclass(frozen=True)
class Preprocessing:
    """network input = (pixels * scale - mean) / deviation, in the order of `channels`.

    size           side of the square input in pixels; localization resizes the
                   whole picture to it, without keeping its proportions
    channels       "RGB" or "BGR"; `mean` and `deviation` stand in this order
    scale          multiplies pixels of 0..255: 1/255 or 1
    mean           three numbers, subtracted after scaling
    deviation      three numbers, divided by after that
    interpolation  of the resize: "bilinear", "bicubic" or "nearest"
    antialias      whether the resize filters when it shrinks (PIL and torchvision do)
    centre_crop    for classification as the weights' origin evaluated them: the
                   shorter side is resized to this many pixels and the centre of
                   `size` is cut out; 0: the origin sees the whole picture too
    squashed       whether that resize makes both sides `centre_crop` pixels long instead

    Raises InputError for what makes no sense; scale and deviation are from 0.000001 to 1,000,000.
    """

    size: int
    channels: str = "RGB"
    scale: float = 1 / 255
    mean: tuple = (0.485, 0.456, 0.406)
    deviation: tuple = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    antialias: bool = True
    centre_crop: int = 0
    squashed: bool = False

    def __post_init__(self):
        object.__setattr__(self, "mean", tuple(self.mean))
        object.__setattr__(self, "deviation", tuple(self.deviation))
        good = (isinstance(self.size, int) and 8 <= self.size <= 4096
                and self.channels in ("RGB", "BGR")
                and self.interpolation in ("bilinear", "bicubic", "nearest") and isinstance(self.antialias, bool)
                and isinstance(self.squashed, bool)
                and len(self.mean) == len(self.deviation) == 3
                and all(isinstance(x, (int, float)) and abs(x) < 1e6
                        for x in (self.scale, *self.mean, *self.deviation))
                and all(x >= 1e-6 for x in (self.scale, *self.deviation))
                and isinstance(self.centre_crop, int) and 0 <= self.centre_crop <= 8192)
        if not good:
            raise InputError(f"this preprocessing makes no sense: {asdict(self)}")

    @classmethod
    def from_dict(cls, values):
        """From the dictionary that `to_dict` made; unknown or missing keys are refused.

        `squashed` may be missing: the first files of this format did not have it.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(values, dict) or set(values) | {"squashed"} != known:
            raise InputError(f"preprocessing must have exactly the keys {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except TypeError as error:
            raise InputError(f"this preprocessing makes no sense: {error}") from None

    def to_dict(self):
        return asdict(self)
