"""Tags for CIFAR-10's test images: writes runs/tags/cifar10.npz, which the study of tags reads.

python experiments/tags/cifar10.py [--data_dir=…]

The features of an image are those of the reference classifier, which was trained on the 50,000
training images and has not seen the test images. An image's tags are all words that are true of
its class: five for the class itself, and five for each of two groups that contain it.
"""

import argparse
import pathlib

import numpy as np

from jaxgan.data.sources import tfds
from jaxgan.metrics.extractors.classifier import reference_classifier

OUT = pathlib.Path(__file__).resolve().parents[2] / "runs" / "tags" / "cifar10.npz"
GROUPS = {
    "animal": "animal creature fauna wildlife organism",
    "vehicle": "vehicle transport machine conveyance transportation",
    "flying": "flying wings airborne sky flight",
    "road": "road wheels street traffic driving",
    "water": "water sea maritime nautical ocean",
    "pet": "pet domestic companion house furry",
    "hoofed": "hoofed hoofs grazing meadow ungulate",
    "pond": "pond amphibian wet croaking swamp",
}
# The classes in CIFAR-10's order: the class's own words, and its two groups.
CLASSES = (
    ("airplane aeroplane plane aircraft jet", "vehicle", "flying"),
    ("automobile car sedan motorcar auto", "vehicle", "road"),
    ("bird sparrow songbird fowl beak", "animal", "flying"),
    ("cat kitten tabby feline tomcat", "animal", "pet"),
    ("deer stag doe fawn antlers", "animal", "hoofed"),
    ("dog puppy hound canine terrier", "animal", "pet"),
    ("frog toad bullfrog treefrog tadpole", "animal", "pond"),
    ("horse stallion mare pony foal", "animal", "hoofed"),
    ("ship boat vessel ferry freighter", "vehicle", "water"),
    ("truck lorry pickup van hauler", "vehicle", "road"),
)


def main() -> None:
    """Writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", default="", help="where TFDS keeps CIFAR-10")
    dataset = tfds.load("cifar10", parser.parse_args().data_dir, 32)
    classifier = reference_classifier(dataset)
    of_class = [" ".join([own, *(GROUPS[group] for group in groups)]) for own, *groups in CLASSES]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        OUT,
        features=classifier.features(dataset.test.images),
        tags=np.array([of_class[label] for label in dataset.test.labels]),
    )
    print(f"{OUT}: features and tags of {len(dataset.test):,} images")


if __name__ == "__main__":
    main()
