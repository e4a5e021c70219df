"""Code accuracy on the embedded digits: the default InfoGAN, against clusterings of pixels.

python experiments/digits/digits.py [--seeds=4]

The run is kept in runs/digits-N-seeds, and the same command resumes it.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np

from jaxgan.data.sources import digits
from jaxgan.metrics.codes import code_accuracy as accuracy_lib
from jaxgan.metrics.codes.clustering import adjusted_rand_index, normalized_mutual_information

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("code_accuracy", "code_accuracy_many_to_one", "nmi", "ari")


def k_means(seed: int) -> dict[str, float]:
    """The metrics of scikit-learn's k-means (10 clusters, 10 starts) on the pixels."""
    from sklearn.cluster import KMeans

    train, test = pixels()
    fitted = KMeans(10, n_init=10, random_state=seed).fit(train)
    return compare(fitted.labels_, fitted.predict(test))


def spectral(seed: int) -> dict[str, float]:
    """The metrics of scikit-learn's spectral clustering on the graph of the ten nearest neighbours.
    It cannot predict, so it sees the test images too, without their labels."""
    from sklearn.cluster import SpectralClustering

    train, test = pixels()
    clustering = SpectralClustering(10, affinity="nearest_neighbors", random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Graph is not fully connected", UserWarning)
        clusters = clustering.fit_predict(np.concatenate([train, test]))
    return compare(clusters[: len(train)], clusters[len(train) :])


def pixels() -> tuple[np.ndarray, np.ndarray]:
    """The pixels of the training and of the test images, [N, 784] in [0, 1]."""
    data = digits.load()
    train, test = (s.images.reshape(len(s), -1) / 255 for s in (data.train, data.test))
    return train, test


def compare(train_clusters: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """The metrics of clusters of the training and the test images, matched to the labels as codes
    are."""
    data = digits.load()
    counts = accuracy_lib.contingency(train_clusters, data.train.labels, 10, 10)
    labels = data.test.labels
    values = (
        accuracy_lib.code_accuracy(accuracy_lib.match_one_to_one(counts), clusters, labels),
        accuracy_lib.code_accuracy(accuracy_lib.match_many_to_one(counts), clusters, labels),
        normalized_mutual_information(clusters, labels),
        adjusted_rand_index(clusters, labels),
    )
    return dict(zip(NAMES, values, strict=True))


def infogan(seeds: int) -> list[dict]:
    """The rows of results.json of the default config over `seeds` seeds."""
    folder = ROOT / "runs" / f"digits-{seeds}-seeds"
    command = [sys.executable, "-m", "jaxgan.main", "--config=configs/infogan.py"]
    command += [f"--config.seeds={seeds}", f"--workdir={folder}"]
    subprocess.run(command, cwd=ROOT, check=True)
    return json.loads((folder / "results.json").read_text())["measures"]


def row(name: str, values: dict[str, list[float]]) -> str:
    """A line of the table: each measure's mean, and its values for the worst and the best seed."""
    cells = [f"{np.mean(v):.3f} ({min(v):.3f} to {max(v):.3f})" for v in values.values()]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    seeds = parser.parse_args().seeds
    measures = infogan(seeds)
    print("\n| mean (worst to best) | " + " | ".join(NAMES) + " |")
    print("|---" * (len(NAMES) + 1) + "|")
    for checkpoint in ("best", "last"):
        found = [m for m in measures if m["checkpoint"] == checkpoint]
        values = {name: [m["value"] for m in found if m["name"] == name] for name in NAMES}
        print(row(f"InfoGAN, {checkpoint} networks", values))
    for title, method in (("k-means", k_means), ("spectral clustering", spectral)):
        every = [method(seed) for seed in range(seeds)]
        print(row(f"{title} on pixels", {name: [one[name] for one in every] for name in NAMES}))
    for m in measures:
        if m["name"] == "consensus_code_accuracy":
            print(f"all seeds together, {m['checkpoint']} networks: {m['value']:.3f}")


if __name__ == "__main__":
    main()
