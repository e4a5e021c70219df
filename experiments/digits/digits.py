"""Code accuracy on the embedded digits: the default InfoGAN over seeds, beside k-means on pixels.

python experiments/digits/digits.py [--seeds=4]

The run is kept in runs/digits-N-seeds and goes on where it stopped.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

from jaxgan.data.sources import digits
from jaxgan.metrics.codes.clustering import adjusted_rand_index, normalized_mutual_information
from jaxgan.metrics.codes.code_accuracy import (
    code_accuracy,
    contingency,
    match_many_to_one,
    match_one_to_one,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("code_accuracy", "code_accuracy_many_to_one", "nmi", "ari")


def k_means(seed: int) -> dict[str, float]:
    """scikit-learn's k-means (10 clusters, 10 starts) on the pixels, matched and read alike."""
    from sklearn.cluster import KMeans

    data = digits.load()
    train, test = (s.images.reshape(len(s), -1) / 255 for s in (data.train, data.test))
    fitted = KMeans(10, n_init=10, random_state=seed).fit(train)
    counts = contingency(fitted.labels_, data.train.labels, 10, 10)
    read, labels = fitted.predict(test), data.test.labels
    values = (
        code_accuracy(match_one_to_one(counts), read, labels),
        code_accuracy(match_many_to_one(counts), read, labels),
        normalized_mutual_information(read, labels),
        adjusted_rand_index(read, labels),
    )
    return dict(zip(NAMES, values, strict=True))


def infogan(seeds: int) -> list[dict]:
    """The measures of a run of the default config over `seeds` seeds."""
    folder = ROOT / "runs" / f"digits-{seeds}-seeds"
    command = [sys.executable, "-m", "jaxgan.main", "--config=configs/infogan.py"]
    subprocess.run(
        [*command, f"--config.seeds={seeds}", f"--workdir={folder}"], cwd=ROOT, check=True
    )
    return json.loads((folder / "results.json").read_text())["measures"]


def row(name: str, values: dict[str, list[float]]) -> str:
    """A line of the table: the mean of each measure, and the worst and the best seed."""
    cells = [f"{np.mean(v):.3f} ({min(v):.3f} to {max(v):.3f})" for v in values.values()]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    seeds = parser.parse_args().seeds
    measures = infogan(seeds)
    pixels = [k_means(seed) for seed in range(seeds)]
    print("\n| mean (worst to best) | " + " | ".join(NAMES) + " |")
    print("|---" * (len(NAMES) + 1) + "|")
    for checkpoint in ("best", "last"):
        values = {
            name: [
                m["value"] for m in measures if (m["name"], m["checkpoint"]) == (name, checkpoint)
            ]
            for name in NAMES
        }
        print(row(f"InfoGAN, {checkpoint} networks", values))
    print(row("k-means on pixels", {name: [one[name] for one in pixels] for name in NAMES}))


if __name__ == "__main__":
    main()
