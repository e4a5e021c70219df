"""Code accuracy on the embedded digits: the default InfoGAN over seeds, against k-means on pixels.

python experiments/digits/digits.py [--seeds=4]

The run is kept in runs/digits-N-seeds, and the same command resumes it.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

from jaxgan.data.sources import digits
from jaxgan.metrics.codes import code_accuracy as accuracy_lib
from jaxgan.metrics.codes.clustering import adjusted_rand_index, normalized_mutual_information

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("code_accuracy", "code_accuracy_many_to_one", "nmi", "ari")


def k_means(seed: int) -> dict[str, float]:
    """The metrics of scikit-learn's k-means (10 clusters, 10 starts) on the pixels, whose clusters
    are matched to the labels as codes are."""
    from sklearn.cluster import KMeans

    data = digits.load()
    train, test = (s.images.reshape(len(s), -1) / 255 for s in (data.train, data.test))
    fitted = KMeans(10, n_init=10, random_state=seed).fit(train)
    counts = accuracy_lib.contingency(fitted.labels_, data.train.labels, 10, 10)
    clusters, labels = fitted.predict(test), data.test.labels
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
    pixels = [k_means(seed) for seed in range(seeds)]
    print("\n| mean (worst to best) | " + " | ".join(NAMES) + " |")
    print("|---" * (len(NAMES) + 1) + "|")
    for checkpoint in ("best", "last"):
        found = [m for m in measures if m["checkpoint"] == checkpoint]
        values = {name: [m["value"] for m in found if m["name"] == name] for name in NAMES}
        print(row(f"InfoGAN, {checkpoint} networks", values))
    print(row("k-means on pixels", {name: [one[name] for one in pixels] for name in NAMES}))


if __name__ == "__main__":
    main()
