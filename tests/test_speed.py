"""What the speeds of experiments/speed are taken of computes the same in both frameworks."""

import sys

import pytest
from conftest import ROOT

sys.path.append(str(ROOT / "experiments" / "speed"))


@pytest.mark.parametrize("name", ["A", "D2"])
def test_pytorch_computes_the_same(float64, name):
    """Parameter counts, losses and updated parameters of two steps."""
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install -e '.[bench]'")
    import agreement

    file, arg, channels = agreement.SYSTEMS[name]
    config = agreement.comparable(agreement.load_config(file, arg), batch=4)
    found = agreement.agree(config, channels, steps=2)
    assert found.losses < agreement.TOLERANCE
    assert found.parameters < agreement.TOLERANCE < found.largest_step
