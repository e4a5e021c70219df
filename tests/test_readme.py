"""What the README shows is run."""

import re

from conftest import ROOT, run_python


def test_networks_and_data_of_ones_own(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text.partition("## Networks and data")[2], re.S)
    dataset, networks = blocks[:2]
    assert max(len(block.splitlines()) for block in blocks) < 30
    checks = "assert drawn.shape == (16, 8, 8, 1) and drawn.dtype == np.uint8, drawn.shape\n"
    done = run_python("-c", dataset + networks + checks, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs/waves/samples/step_000050.png").exists()
    assert "frechet_distance" in done.stdout
