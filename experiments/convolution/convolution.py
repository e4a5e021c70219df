"""The DCGAN document's claim: the convolutional GAN (C1) learns faster than the fully connected one
(A), and its images are better. Reads the two runs (see the README beside this file).

python experiments/convolution/convolution.py --gan=DIR --dcgan=DIR --rates=A,C1 [--out=FILE.png]
"""

import argparse
import json
import pathlib

import numpy as np

NAME = "eval/frechet_distance"


def distances(folder: pathlib.Path) -> dict[int, float]:
    """The validation split's Fréchet distance at each step at which it was measured."""
    with open(folder / "metrics.jsonl") as file:
        rows = [json.loads(line) for line in file]
    return {row["step"]: row[NAME] for row in rows if NAME in row}


def nearest(found: dict[int, float], step: float) -> int:
    """The last step at which a distance was measured before `step`, or the first one."""
    return max((s for s in found if s <= step), default=min(found))


def sheet(folder: pathlib.Path, step: int) -> tuple[int, np.ndarray]:
    """The first five rows and columns of the last sheet until `step`, and its own step."""
    from PIL import Image

    steps = [int(path.stem.removeprefix("step_")) for path in (folder / "samples").glob("step_*")]
    here = max(s for s in steps if s <= step)
    image = np.asarray(Image.open(folder / "samples" / f"step_{here:06}.png").convert("L"))
    side = 5 * 30 + 2
    return here, image[:side, :side]


def picture(path: str, panels: list[list[tuple[str, np.ndarray]]]) -> None:
    """Rows of titled sheets."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(panels), len(panels[0]), figsize=(10, 4.6), squeeze=False)
    for row, titled in zip(axes, panels, strict=True):
        for axis, (title, image) in zip(row, titled, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
            axis.set_title(title, fontsize=9)
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Prints both tables, and writes the sheets side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gan", type=pathlib.Path, required=True)
    parser.add_argument("--dcgan", type=pathlib.Path, required=True)
    parser.add_argument("--rates", required=True, help="images/s of A and C1")
    parser.add_argument("--out", default="convolution.png")
    arguments = parser.parse_args()
    gan, dcgan = distances(arguments.gan), distances(arguments.dcgan)
    rate_a, rate_c = map(float, arguments.rates.split(","))
    print("| updates of C1 (64) | C1 | A after as many updates | A after as much time | updates |")
    print("|---|---|---|---|---|")
    panels: list[list[tuple[str, np.ndarray]]] = [[], []]
    for step, value in dcgan.items():
        later = nearest(gan, step * rate_a / rate_c)
        print(f"| {step} | {value:.1f} | {gan[step]:.1f} | {gan[later]:.1f} | {later} |")
        for row, name, folder in zip(
            panels, ("A", "C1"), (arguments.gan, arguments.dcgan), strict=True
        ):
            here, image = sheet(folder, step)
            row.append((f"{name}, {here} updates", image))
    best = min(gan, key=lambda s: gan[s])
    print(f"\nA's best of {max(gan)} updates: {gan[best]:.1f} at {best}")
    picture(arguments.out, panels)


if __name__ == "__main__":
    main()
