"""Networks of one's own in the commands: --modules=MODULE:NAME."""

import pytest
from conftest import ROOT, run_forked

NETWORKS = """
import flax.linen as nn
from jaxgan.models.registry import Modules

class Generator(nn.Module):
    @nn.compact
    def __call__(self, latent, train):
        return nn.tanh(nn.Dense(28 * 28)(latent.noise)).reshape(-1, 28, 28, 1)

class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, images, condition, train):
        features = images.reshape(len(images), -1)
        return nn.Dense(1)(features)[:, 0], features

modules = Modules(Generator(), Discriminator(), None, -1.0)

def made():
    return modules

wrong = 3
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_networks.py").write_text(NETWORKS)
    (tmp_path / "needs.py").write_text("import no_such_package")
    return tmp_path


def test_a_run_of_them_is_trained_and_sampled(folder):
    small = "steps=2,batch_size=8,eval_images=20,results_images=20,best_by=none,tensorboard=false"
    config = f"--config={ROOT}/configs/gan.py:{small}"
    flags = ["--workdir=run", "--modules=my_networks:made"]
    done = run_forked("jaxgan.main", config, *flags, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "  Dense_0                 784" in (folder / "run" / "networks.txt").read_text()
    flags = ["--workdir=run", "--modules=my_networks.py:modules", "--n=4"]
    assert run_forked("jaxgan.sample", *flags, cwd=folder).returncode == 0
    assert (folder / "run" / "sampled.png").exists()
    # The report's explorer would show other images than the run's.
    assert "There is no latent explorer" not in (folder / "run" / "report.html").read_text()
    longer = "--config.steps=3"
    done = run_forked("jaxgan.main", config, longer, "--workdir=run", cwd=folder)
    assert done.returncode == 2
    assert "jaxgan: run trains networks of one's own\ngive the same --modules" in done.stderr
    done = run_forked("jaxgan.sample", "--workdir=run", cwd=folder)
    assert done.returncode == 2
    said = "jaxgan: run was trained with networks of its own"
    assert done.stderr.splitlines()[0].startswith(said)
    assert run_forked("jaxgan.report", "--workdir=run", cwd=folder).returncode == 0
    said = "There is no latent explorer: run was trained with networks of its own"
    assert said in (folder / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("my_networks", "not MODULE:NAME"),
        ("nothing:modules", "no module nothing"),
        ("nothing.py:modules", "no module nothing"),
        ("my-networks:modules", "not MODULE:NAME"),
        ("my_networks:absent", r"no absent in .*my_networks\.py"),
        ("my_networks:wrong", "it is neither a Modules"),
    ],
)
def test_mistakes(folder, value, said, monkeypatch):
    from jaxgan import cli
    from jaxgan.common.errors import UserError

    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    monkeypatch.setattr(cli, "MODULES", type("Flag", (), {"value": value}))
    with pytest.raises(UserError, match=said):
        cli.own_modules()


def test_a_mistake_inside_the_module_is_shown_as_it_is(folder, monkeypatch):
    from jaxgan import cli

    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    monkeypatch.setattr(cli, "MODULES", type("Flag", (), {"value": "needs:modules"}))
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        cli.own_modules()
