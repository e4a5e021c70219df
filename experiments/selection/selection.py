"""Which label-free criterion finds a good seed? Information and agreement against code accuracy.

python experiments/selection/selection.py NAME RUN [RUN …] [--of=4] [--checkpoint=best]

Reads InfoGAN runs (folders, of one seed or of several), and for all their seeds the information in
Q's predictions of training images, the agreement of a seed's codes with the others', and its code
accuracy. Then draws every set of `--of` seeds (at most 2,000 of them, at random) and notes the
accuracy of the seed chosen by either criterion, of a random one, of the best, and of the consensus.
Writes NAME.json, and draws figure.png from every such file.
"""

import argparse
import itertools
import json
import pathlib

import numpy as np
from scipy.stats import spearmanr

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.evaluation.code_metrics import compare_with_labels
from jaxgan.evaluation.context import RealCodes
from jaxgan.evaluation.results import MetricResult
from jaxgan.evaluation.runner import read_codes
from jaxgan.evaluation.selection import AGREEMENT, INFORMATION, compare_seeds
from jaxgan.inference import loading
from jaxgan.training import jax_setup

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 10_000


def study(workdirs: list[str], of: int, checkpoint: str) -> dict:
    """The figures of all seeds in some folders."""
    runs = [
        run
        for workdir in workdirs
        for run in loading.load_every(workdir)[1]
        if run.checkpoint == checkpoint
    ]
    seeds = read_codes(runs, data.load(runs[0].config), LIMIT)
    labelled = seeds[0].codes.train.labels is not None
    if not 1 < of <= len(seeds) or not labelled:
        raise UserError(f"{len(seeds)} seeds: a set has 2 to as many, and the data needs labels")
    codes = runs[0].gan.latent.codes
    alone = {seed.about["seed"]: accuracy(codes[0].values, seed.codes) for seed in seeds}
    if len(alone) < len(seeds):
        raise UserError("two folders have a run of the same seed", "name folders of other seeds")
    every = compare_seeds(codes, seeds)
    values = {name: of_seeds(every, name) for name in (INFORMATION, AGREEMENT)}
    sets = list(itertools.combinations(seeds, of))
    drawn = [sets[i] for i in np.random.default_rng(0).permutation(len(sets))[:2000]]
    found: dict[str, list[float]] = {}
    for members in drawn:
        rows = compare_seeds(codes, members)
        some = [alone[seed.about["seed"]] for seed in members]
        [consensus] = of_seeds(rows, "consensus_code_accuracy").values()
        for name, value in (
            ("chosen", alone[highest(of_seeds(rows, INFORMATION))]),
            ("chosen by agreement", alone[highest(of_seeds(rows, AGREEMENT))]),
            ("best", max(some)),
            ("consensus", consensus),
        ):
            found.setdefault(name, []).append(value)
    accuracies = list(alone.values())
    found["random"] = accuracies
    return {
        "seeds": list(alone),
        "steps": [run.step for run in runs],
        "checkpoint": checkpoint,
        "code_accuracy": accuracies,
        **{name: list(of_seed.values()) for name, of_seed in values.items()},
        "rho_information": float(spearmanr(list(values[INFORMATION].values()), accuracies)[0]),
        "rho_agreement": float(spearmanr(list(values[AGREEMENT].values()), accuracies)[0]),
        "gain": gain(np.array(list(values[INFORMATION].values())), np.array(accuracies), of),
        "of": of,
        "sets": len(drawn),
        "drawn": {
            name: {
                "mean": float(np.mean(v)),
                "lowest twentieth": float(np.quantile(v, 0.05)),
                "lowest": min(v),
                "highest": max(v),
            }
            for name, v in found.items()
        },
    }


def gain(information: np.ndarray, accuracies: np.ndarray, of: int) -> dict:
    """What the choice by information adds to the mean accuracy of a set of `of` seeds: over 20,000
    sets the mean and the share of sets in which it loses, and the 95 % interval of that mean if
    other seeds had been trained (2,000 bootstrap samples of the seeds)."""
    generator = np.random.default_rng(0)

    def of_sets(seeds: np.ndarray, count: int) -> np.ndarray:
        sets = np.array([generator.choice(len(seeds), of, replace=False) for _ in range(count)])
        sets = seeds[sets]
        chosen = np.take_along_axis(sets, information[sets].argmax(1, keepdims=True), 1)[:, 0]
        return accuracies[chosen] - accuracies[sets].mean(axis=1)

    every = of_sets(np.arange(len(accuracies)), 20_000)
    samples = generator.integers(len(accuracies), size=(2_000, len(accuracies)))
    means = [of_sets(seeds, 300).mean() for seeds in samples]
    low, high = np.quantile(means, (0.025, 0.975))
    found = {"mean": every.mean(), "loses": (every < 0).mean(), "low": low, "high": high}
    return {name: float(value) for name, value in found.items()}


def of_seeds(rows: list[MetricResult], name: str) -> dict[int, float]:
    """The values of one metric by seed."""
    return {row.seed: row.value for row in rows if row.name == name}


def highest(values: dict[int, float]) -> int:
    """The seed with the highest value."""
    return max(values, key=lambda seed: values[seed])


def accuracy(values: int, codes: RealCodes) -> float:
    """The code accuracy of one seed, matched one to one on training images."""
    train, _, test = codes
    assert train.labels is not None
    assert test.labels is not None
    read, test_read = (one.logits(0).argmax(-1) for one in (train, test))
    measured = compare_with_labels(read, train.labels, test_read, test.labels, values)
    return {name: value for name, value, _, _ in measured}["code_accuracy"]


def figure(path: pathlib.Path) -> None:
    """Draws information against accuracy, a panel for each result."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    results = {file.stem: json.loads(file.read_text()) for file in sorted(HERE.glob("*.json"))}
    drawn, axes = plt.subplots(1, len(results), figsize=(3.6 * len(results), 3.2), squeeze=False)
    for axis, (name, result) in zip(axes[0], results.items(), strict=True):
        axis.plot(result["seed_information"], result["code_accuracy"], "o", color="tab:blue")
        best = int(np.argmax(result["seed_information"]))
        chosen = result["seed_information"][best], result["code_accuracy"][best]
        axis.plot(*chosen, "o", color="tab:red", label="chosen")
        axis.axhline(
            result["drawn"]["consensus"]["mean"],
            color="grey",
            linestyle="--",
            label="sets together",
        )
        axis.set_title(f"{name}, rho {result['rho_information']:.2f}", fontsize=9)
        axis.set_xlabel("information in Q's predictions, nats (no label)", fontsize=8)
        axis.set_ylabel("code accuracy", fontsize=8)
        axis.legend(fontsize=7)
    drawn.tight_layout()
    drawn.savefig(path, dpi=110)


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("workdirs", nargs="+")
    parser.add_argument("--of", type=int, default=4)
    parser.add_argument("--checkpoint", default="best", choices=("best", "last"))
    arguments = parser.parse_args()
    jax_setup.configure_jax("float32")
    try:
        result = study(arguments.workdirs, arguments.of, arguments.checkpoint)
    except UserError as error:
        parser.error(str(error))
    (HERE / f"{arguments.name}.json").write_text(json.dumps(result, indent=1) + "\n")
    rhos = {name: round(result[name], 2) for name in ("rho_information", "rho_agreement")}
    print(f"{len(result['seeds'])} seeds, {rhos}")
    for name, values in result["drawn"].items():
        print(name, {key: round(value, 3) for key, value in values.items()})
    figure(HERE / "figure.png")


if __name__ == "__main__":
    main()
