"""Loss curves."""

import numpy as np
from conftest import run_python

from jaxgan.reporting.figures import curves


def test_curves_are_drawn_for_every_loss():
    names = ("discriminator", "discriminator_real", "discriminator_fake", "generator")
    names += ("information", *(f"code_{i}" for i in range(5)))
    rows = [
        {"step": step, "seed": seed} | {f"loss/{name}": i + step for i, name in enumerate(names)}
        for step in range(0, 120, 10)
        for seed in (0, 1)
    ]
    picture = curves(rows, "minimax")
    assert picture.dtype == np.uint8
    assert np.median(picture) == 255
    # A green line where the discriminator's loss on real images is, and none without it.
    green = [0x00, 0x9E, 0x73]
    assert (picture == green).all(-1).sum() > 100
    codes = ("code", "information")
    short = [{k: v for k, v in row.items() if not any(x in k for x in codes)} for row in rows]
    assert len(curves(short, "hinge")) < len(picture)
    assert not np.array_equal(curves(rows[:-2], "minimax"), picture)


def test_the_first_figure_on_a_machine_prints_nothing(tmp_path):
    # matplotlib's warning comes after 5 s of listing fonts.
    at_once = "threading.Timer = lambda seconds, warn: Timer(0, warn)"
    draw = "from jaxgan.reporting.figures import curves; curves([], 'minimax')"
    log = "import logging; logging.basicConfig(level=logging.INFO)"
    code = f"import threading; from threading import Timer; {at_once}; {log}; {draw}"
    done = run_python("-c", code, MPLCONFIGDIR=str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.glob("fontlist*"))
