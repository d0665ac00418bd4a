"""Pictures reach a network as the weights' origin prepared them: against Keras' and torchvision's own functions."""

import glob
import importlib.util
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import cam_base
import cam_data
import weights
from weights import efficientnet, keras_h5, torchvision, toronto

SAMPLES = sorted(glob.glob(os.path.join(os.path.dirname(__file__), "..", "samples", "*.jpg")))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tall, a wide and a small picture without loss, and the sample photos as JPEG."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    paths = []
    for height, width in ((601, 333), (280, 512), (150, 190)):
        coarse = rng.integers(0, 256, (height // 16, width // 16, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC), np.int16)
        rough = np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)
        paths.append(str(folder / f"{height}x{width}.png"))
        Image.fromarray(rough).save(paths[-1])
    return paths + SAMPLES[:3]


def compare(path, ours, theirs, step, worst):
    """Difference in steps of 8-bit pixels: at most `worst` for PNG.

    For JPEG the decoders differ too: TensorFlow's fast DCT is off Pillow's by up to 7 steps.
    """
    difference = np.abs(np.asarray(ours) - theirs) / step
    print(f"{os.path.basename(path)}: largest difference {difference.max():.2f} of 255, mean {difference.mean():.3f}")
    assert difference.max() <= (worst if path.endswith(".png") else worst + 8)


def test_from_the_files_bytes_as_keras_prepares_it(files):
    import keras

    for path in files:
        there = keras.utils.img_to_array(keras.utils.load_img(path, target_size=(224, 224)))
        there = keras.applications.resnet50.preprocess_input(there[None])[0]
        here = cam_data.prepare(cam_data.read_picture(path), keras_h5.PREPROCESSING)
        compare(path, here, there, 1.0, worst=1e-4)


@pytest.mark.parametrize("centre_crop", [256, 232])
def test_from_the_files_bytes_as_torchvision_prepares_it(centre_crop, files):
    """torchvision resizes by Pillow, which rounds to 8 bits twice; here nothing is rounded."""
    preprocessing = replace(torchvision.PREPROCESSING, centre_crop=centre_crop)
    for path in files:
        here = cam_data.prepare_centre_crop(cam_data.read_picture(path), preprocessing)
        there = torchvision_by_pillow(Image.open(path).convert("RGB"), centre_crop)
        compare(path, here, there, 1 / 255 / np.array(preprocessing.deviation), worst=1.1)


def test_bicubic_with_antialiasing_is_pillows(files):
    """As EfficientNet-Lite's pictures are prepared. Of 8-bit pictures Pillow's is rounded twice, of floats never."""
    for path in files:
        pixels = cam_data.read_picture(path)
        here = cam_data.prepare(pixels, efficientnet.preprocessing(2)).numpy() * 128 + 127
        there = np.stack([Image.fromarray(channel.astype(np.float32)).resize((260, 260), Image.BICUBIC)
                          for channel in np.moveaxis(pixels, 2, 0)], 2)
        np.testing.assert_allclose(here, there.clip(0, 255), atol=0.01)


def test_bicubic_pixels_stay_within_0_to_255_in_training_too(tmp_path):
    """At the edge between black and white a cubic curve goes 20 levels beyond them."""
    black_and_white = np.zeros((300, 300, 3), np.uint8)
    black_and_white[:, 100:200] = 255
    preprocessing = replace(efficientnet.preprocessing(0), size=32)
    pictures = cam_data.PictureSet("drawn", [("n1", "a")], np.zeros(4, np.int64), [str(tmp_path / f"{n}.png") for n in range(4)])
    for file in pictures.files:
        Image.fromarray(black_and_white).save(file)
    for batches in (cam_data.viewing_batches(pictures, preprocessing, 4),
                    cam_data.training_batches(pictures, preprocessing, 4, seed=0, epoch=0)):
        inputs = next(iter(batches))[0].numpy()
        assert inputs.min() == -127 / 128 and inputs.max() == 1


def torchvision_by_pillow(picture, shorter):
    """What torchvision.transforms do to a PIL picture: Resize(shorter), CenterCrop(224), ToTensor, Normalize."""
    width, height = picture.size
    size = (shorter, shorter * height // width) if width < height else (shorter * width // height, shorter)
    x, y = (round((side - 224) / 2) for side in size)
    crop = picture.resize(size, Image.BILINEAR).crop((x, y, x + 224, y + 224))
    return (np.asarray(crop) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


def test_torchvisions_own_transforms_agree(files, tmp_path):
    for package in ("torch", "torchvision"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; its arithmetic by Pillow stands for it")
    code = ("import sys, numpy as np; from PIL import Image; from torchvision.models import ResNet50_Weights as W\n"
            "out, *paths = sys.argv[1:]\n"
            "np.savez(out, **{f'{w.name} {p}': w.transforms()(Image.open(p).convert('RGB')).numpy()"
            ".transpose(1, 2, 0) for w in W for p in paths})")
    subprocess.run([sys.executable, "-c", code, tmp_path / "there.npz", *files], check=True)
    with np.load(tmp_path / "there.npz") as there:
        for version, centre_crop in (("IMAGENET1K_V1", 256), ("IMAGENET1K_V2", torchvision.V2_CENTRE_CROP)):
            preprocessing = replace(torchvision.PREPROCESSING, centre_crop=centre_crop)
            for path in files:
                here = cam_data.prepare_centre_crop(np.asarray(Image.open(path).convert("RGB")), preprocessing)
                steps = np.abs(here - there[f"{version} {path}"]) * preprocessing.deviation * 255
                print(f"{version} {os.path.basename(path)}: largest difference {steps.max():.2f} of 255")
                assert steps.max() < 1.1


def test_alexnets_pictures_are_bgr_minus_mean():
    flat = np.zeros((256, 256, 3), np.uint8) + np.uint8([10, 20, 30])
    here = cam_data.prepare_centre_crop(flat, toronto.PREPROCESSING)
    assert here.shape == (227, 227, 3)
    np.testing.assert_allclose(here[100, 100], [30 - 104.00698793, 20 - 116.66876762, 10 - 122.67891434], rtol=1e-5)


def test_alexnets_pictures_are_squashed_before_they_are_cropped():
    """Caffe's examples resize to 256 x 256 whatever the proportions: half of a wide picture is half of the crop."""
    wide = np.zeros((256, 512, 3), np.uint8)
    wide[:, :256] = 255
    here = cam_data.prepare_centre_crop(wide, toronto.PREPROCESSING).numpy()
    white = (here[100, :, 0] > 100).sum()
    assert here.shape == (227, 227, 3) and abs(white - 227 / 2) <= 1


def test_preprocessing_travels_with_the_weights(tmp_path):
    for preprocessing in (keras_h5.PREPROCESSING, torchvision.PREPROCESSING, toronto.PREPROCESSING):
        own = weights.Weights({"name": "alexnet"}, {"a": np.ones(1, np.float32)}, [], preprocessing)
        weights.save(tmp_path / "x.npz", own)
        assert weights.load(tmp_path / "x.npz").preprocessing == preprocessing


@pytest.mark.parametrize("change", [{"size": 0}, {"size": 224.0}, {"channels": "GBR"}, {"scale": 0}, {"mean": (1, 2)},
                                    {"mean": (float("nan"),) * 3}, {"deviation": (1, 0, 1)},
                                    {"interpolation": "area"}, {"antialias": 1}, {"centre_crop": -1}, {"squashed": 1}])
def test_preprocessing_without_sense_is_refused(change):
    with pytest.raises(cam_base.InputError, match="makes no sense"):
        cam_base.Preprocessing.from_dict(torchvision.PREPROCESSING.to_dict() | change)


def test_preprocessing_with_unknown_or_missing_keys_is_refused():
    values = torchvision.PREPROCESSING.to_dict()
    for wrong in (values | {"gamma": 2.2}, {"size": 224}, [], None):
        with pytest.raises(cam_base.InputError, match="exactly the keys"):
            cam_base.Preprocessing.from_dict(wrong)
