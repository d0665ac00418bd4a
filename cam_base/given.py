"""What a user says of a network in place of its file: options that several programs have."""

from dataclasses import dataclass

from .settings import option

GROUP = "preprocessing, in place of the weights' own"


@dataclass
class Given:
    """A file of weights is read so; none of it: as the file says."""

    entry: str = option(None, "of a checkpoint that holds several networks: model_ema, say", metavar="NAME")
    class_names: str = option(None, "names of the network's classes: a text or JSON file, or the folder of the training data; none: "
                              "the weights' own", metavar="PLACE")
    multi_label: bool = option(False, "each logit is a sigmoid of its own: a picture may show several classes")
    size: int = option(None, "side of the network's input in pixels", kind=int, least=8, below=4097, group=GROUP)
    mean: list = option([], "subtracted from each channel's pixels after --pixel-scale, in the order of --channels", kind=float, values=3,
                        metavar="X", group=GROUP)
    deviation: list = option([], "by which each channel is divided after that", kind=float, values=3, metavar="X", group=GROUP)
    pixel_scale: float = option(None, "multiplies pixels of 0 to 255 before that: 0.00392156862745098 is 1/255", kind=float, group=GROUP)
    channels: str = option(None, "order of the channels", choices=("RGB", "BGR"), group=GROUP)
    interpolation: str = option(None, "of the resize", choices=("bilinear", "bicubic", "nearest"), group=GROUP)

    def preprocessing(self):
        """{field of `cam_base.Preprocessing`: value} of what was given in place of the weights' own."""
        given = {"size": self.size, "mean": self.mean or None, "deviation": self.deviation or None, "scale": self.pixel_scale,
                 "channels": self.channels, "interpolation": self.interpolation}
        return {name: value for name, value in given.items() if value is not None}
