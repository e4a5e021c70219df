"""Compares a fully connected GAN (gan:mnist) with the DCGAN (dcgan:mnist), by updates and by time.
README.md has the commands that train them.

python experiments/convolution/convolution.py --gan=DIR --dcgan=DIR --rates=GAN,DCGAN
    [--out=FILE.png]
"""

import argparse
import json
import pathlib

import numpy as np

NAME = "eval/frechet_distance"


def distances(folder: pathlib.Path) -> dict[int, float]:
    """The Fréchet distance on the validation split at each step that has one."""
    with open(folder / "metrics.jsonl") as file:
        rows = map(json.loads, file.readlines())
    return {row["step"]: row[NAME] for row in rows if NAME in row}


def last_before(found: dict[int, float], step: float) -> int:
    """The last step up to `step` that has a distance, or the first one of all."""
    return max((s for s in found if s <= step), default=min(found))


def sheet(folder: pathlib.Path, step: int) -> tuple[int, np.ndarray]:
    """The step of the last sheet up to `step`, and the sheet's first five rows and columns."""
    from PIL import Image

    steps = [int(path.stem.removeprefix("step_")) for path in (folder / "samples").glob("step_*")]
    last = max(s for s in steps if s <= step)
    image = np.asarray(Image.open(folder / "samples" / f"step_{last:06}.png").convert("L"))
    side = 5 * 30 + 2
    return last, image[:side, :side]


def picture(path: str, panels: list[list[tuple[str, np.ndarray]]]) -> None:
    """Writes rows of titled sheets."""
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
    """Prints the table, and writes the sheets side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gan", type=pathlib.Path, required=True)
    parser.add_argument("--dcgan", type=pathlib.Path, required=True)
    parser.add_argument("--rates", required=True, help="images/s of the GAN and of the DCGAN")
    parser.add_argument("--out", default="convolution.png")
    arguments = parser.parse_args()
    gan, dcgan = distances(arguments.gan), distances(arguments.dcgan)
    gan_rate, dcgan_rate = map(float, arguments.rates.split(","))
    print("| updates (64) | DCGAN | GAN, as many updates | GAN, the same time | its updates |")
    print("|---|---|---|---|---|")
    panels: list[list[tuple[str, np.ndarray]]] = [[], []]
    for step, value in dcgan.items():
        later = last_before(gan, step * gan_rate / dcgan_rate)
        print(f"| {step} | {value:.1f} | {gan[step]:.1f} | {gan[later]:.1f} | {later} |")
        folders = (("GAN", arguments.gan), ("DCGAN", arguments.dcgan))
        for row, (name, folder) in zip(panels, folders, strict=True):
            last, image = sheet(folder, step)
            row.append((f"{name}, {last} updates", image))
    best = min(gan, key=lambda s: gan[s])
    print(f"\nThe GAN's best of {max(gan)} updates: {gan[best]:.1f} at {best}")
    picture(arguments.out, panels)


if __name__ == "__main__":
    main()
