#!/usr/bin/env bash
# Two nodes of eight GPUs:
#   sbatch docs/devices/slurm.sh --config=configs/dcgan.py --workdir=/shared/runs/dcgan
# Before, once: ./run.sh setup, and .venv/bin/pip install 'jax[cuda13]'.
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
# Each task must see all GPUs of its node: JAX gives task i the i-th of them (jax issue 28194), and
# --gpus-per-task would show it one.
#SBATCH --gpu-bind=none
# Two minutes before the time is up the run saves and ends; the job is queued again and goes on.
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
exec srun .venv/bin/python -m jaxgan.main "$@"
