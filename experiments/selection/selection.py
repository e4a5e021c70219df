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
from scipy.special import softmax
from scipy.stats import spearmanr

from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.evaluation.runner import read_codes
from jaxgan.inference import trained_run
from jaxgan.metrics.codes import code_accuracy, seed_agreement
from jaxgan.metrics.codes.information import information_read
from jaxgan.training import jax_setup

HERE = pathlib.Path(__file__).resolve().parent
LIMIT = 10_000


def similarities(codes: list[np.ndarray]) -> np.ndarray:
    """The NMI of each two seeds' codes, [S, S]."""
    found = np.zeros((len(codes), len(codes)))
    for i, j in itertools.combinations(range(len(codes)), 2):
        found[i, j] = seed_agreement.categorical_similarity([codes[i]], [codes[j]])
        found[j, i] = found[i, j]
    return found


def accuracy(train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray) -> float:
    """The code accuracy, matched one to one on training images."""
    values, classes = int(max(train.max(), test.max())) + 1, int(labels.max()) + 1
    counts = code_accuracy.contingency(train, labels, values, classes)
    return code_accuracy.code_accuracy(code_accuracy.match_one_to_one(counts), test, truth)


def consensus(seeds: list, medoid: int, split: str) -> np.ndarray:
    """The most likely code by all seeds together, [N]."""
    logits = [one.train.logits(0) for one in seeds]
    target = logits[medoid].argmax(-1)
    names = [seed_agreement.align(x.argmax(-1), target, x.shape[1]) for x in logits]
    read = [softmax(getattr(one, split).logits(0), axis=-1) for one in seeds]
    return seed_agreement.consensus(read, names).argmax(-1)


def study(workdirs: list[str], of: int, checkpoint: str) -> dict:
    """The figures of all seeds in some folders."""
    runs = [
        run
        for workdir in workdirs
        for run in trained_run.load_every(workdir)[1]
        if run.checkpoint == checkpoint
    ]
    codes = [one.codes for one in read_codes(runs, data.load(runs[0].config), LIMIT)]
    train, _, test = codes[0]
    labels, truth = train.labels, test.labels
    if not 1 < of <= len(runs) or labels is None or truth is None:
        raise UserError(f"{len(runs)} seeds: a set has 2 to as many, and the data needs labels")
    alone = np.array(
        [
            accuracy(x.train.logits(0).argmax(-1), labels, x.test.logits(0).argmax(-1), truth)
            for x in codes
        ]
    )
    similarity = similarities([x.validation.logits(0).argmax(-1) for x in codes])
    agreement = seed_agreement.agreement(similarity)
    certain = np.array([information_read(softmax(x.train.logits(0), axis=-1)) for x in codes])
    sets = list(itertools.combinations(range(len(runs)), of))
    drawn = [sets[i] for i in np.random.default_rng(0).permutation(len(sets))[:2000]]
    names = ("mean", "chosen", "chosen by agreement", "best", "consensus")
    found: dict[str, list[float]] = {name: [] for name in names}
    for members in drawn:
        some = np.array(members)
        medoid = int(seed_agreement.agreement(similarity[np.ix_(some, some)]).argmax())
        found["mean"].append(float(alone[some].mean()))
        found["chosen"].append(float(alone[some[certain[some].argmax()]]))
        found["chosen by agreement"].append(float(alone[some[medoid]]))
        found["best"].append(float(alone[some].max()))
        together = [codes[i] for i in some]
        read = (consensus(together, medoid, split) for split in ("train", "test"))
        found["consensus"].append(accuracy(next(read), labels, next(read), truth))
    return {
        "seeds": [run.run_seed for run in runs],
        "steps": [run.step for run in runs],
        "checkpoint": checkpoint,
        "code_accuracy": alone.tolist(),
        "seed_information": certain.tolist(),
        "seed_agreement": agreement.tolist(),
        "rho_information": float(spearmanr(certain, alone).statistic),
        "rho_agreement": float(spearmanr(agreement, alone).statistic),
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
