"""The recipes under docs/devices, as far as one machine without an accelerator can run them."""

import json
import os
import shlex
import socket
import subprocess
import sys

import pytest
import yaml
from conftest import PATIENCE, ROOT, command_environment

from jaxgan import cli

RECIPES = ROOT / "docs" / "devices"
TINY = {
    "width": 0.05,
    "batch_size": 16,
    "steps": 4,
    "best_by": "none",
    "results_images": 20,
    "tensorboard": False,
}
# Starts two tasks on this machine, as srun would on two nodes.
SRUN = """\
#!{python}
import os, subprocess, sys
numbers = [{{"SLURM_PROCID": str(i), "SLURM_LOCALID": "0"}} for i in range(2)]
command = [word for word in sys.argv[1:] if not word.startswith("--cpus-per-task")]
tasks = [subprocess.Popen(command, env=os.environ | number) for number in numbers]
sys.exit(max(task.wait() for task in tasks))
"""
# Ends as a run that has saved at SIGTERM.
STOPPED_SRUN = """\
#!{python}
raise SystemExit(143)
"""
NOTING = """\
#!{python}
import json, os, sys
with open(os.environ["NOTED"], "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
"""


def stand_in(folder, name, text):
    """Puts a program of this name first on the PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text.format(python=sys.executable))
    (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("script", sorted(RECIPES.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_bash(script):
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", script], check=True)
    assert f"devices/{script.name}" in (ROOT / "docs" / "devices.md").read_text()


@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="./run.sh setup makes .venv")
def test_slurm_tasks_find_one_another(tmp_path):
    job = _job_of_a_free_port()
    environment = command_environment(
        **stand_in(tmp_path / "bin", "srun", SRUN),
        SLURM_SUBMIT_DIR=str(ROOT),
        SLURM_JOB_ID=str(job),
        SLURM_STEP_NODELIST="localhost",
        SLURM_NTASKS="2",
        SLURM_STEP_NUM_NODES="2",
    )
    run = tmp_path / "run"
    flags = ["--config=configs/gan.py:ring", f"--workdir={run}"]
    flags += [f"--config.{name}={value}" for name, value in TINY.items()]
    result = subprocess.run(
        [RECIPES / "slurm.sh", *flags],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert result.returncode == 0, result.stderr
    # One of the two writes.
    assert result.stdout.count("report: ") == 1
    assert json.loads((run / "results.json").read_text())["step"] == 4
    assert json.loads((run / "config.json").read_text())["devices"] == 2


def _job_of_a_free_port():
    """JAX draws the coordinator's port, from 61,440 on, from the job's number."""
    for job in range(2**12):
        try:
            socket.create_server(("", 65535 - 2**12 + 1 + job)).close()
        except OSError:
            continue
        return job
    raise AssertionError("no port is free")


def test_a_slurm_job_that_has_saved_goes_back_to_the_queue(tmp_path):
    noted = tmp_path / "noted"
    stand_in(tmp_path / "bin", "srun", STOPPED_SRUN)
    environment = command_environment(
        **stand_in(tmp_path / "bin", "scontrol", NOTING),
        SLURM_SUBMIT_DIR=str(ROOT),
        SLURM_JOB_ID="17",
        NOTED=str(noted),
    )
    assert subprocess.run([RECIPES / "slurm.sh"], env=environment).returncode == 143
    assert json.loads(noted.read_text()) == ["requeue", "17"]


def test_a_pod_runs_the_command_on_every_host(tmp_path):
    noted = tmp_path / "noted"
    environment = command_environment(
        **stand_in(tmp_path / "bin", "gcloud", NOTING), ZONE="here", NOTED=str(noted)
    )
    flags = ["--config=configs/infogan.py:mnist", "--workdir=/mnt/a folder/run"]
    subprocess.run([RECIPES / "tpu_pod.sh", "slice", *flags], env=environment, check=True)
    setup, train = map(json.loads, noted.read_text().splitlines())
    for call in (setup, train):
        assert call[:6] == ["compute", "tpus", "tpu-vm", "ssh", "slice", "--zone=here"]
        assert call[6] == "--worker=all"
        subprocess.run(["bash", "-n", "-c", call[7].removeprefix("--command=")], check=True)
    words = shlex.split(train[7].partition("(")[2].partition(">")[0])
    assert words == ["nohup", ".venv/bin/python", "-m", "jaxgan.main", *flags]


def test_kubernetes_objects_reference_each_other():
    documents = list(yaml.safe_load_all((RECIPES / "kubernetes.yaml").read_text()))
    by_kind = {document["kind"]: document for document in documents}
    assert list(by_kind) == ["ServiceAccount", "Role", "RoleBinding", "Service", "Job"]
    assert {document["metadata"]["name"] for document in documents} == {"jaxgan"}
    job = by_kind["Job"]["spec"]
    pod = job["template"]["spec"]
    assert job["completionMode"] == "Indexed"
    assert job["completions"] == job["parallelism"]
    # JAX asks the API server for the pods, and reaches the first by the name of a headless service.
    assert pod["serviceAccountName"] == by_kind["RoleBinding"]["subjects"][0]["name"]
    assert by_kind["Service"]["spec"]["clusterIP"] == "None"
    assert pod["subdomain"] == by_kind["Service"]["metadata"]["name"]
    (container,) = pod["containers"]
    assert container["command"][1:] == ["-m", "jaxgan.main"]
    cli.check_config_file(str(ROOT / cli.config_argument(["", *container["args"]])))
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
