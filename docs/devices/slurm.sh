#!/usr/bin/env bash
# Two nodes of eight GPUs:
#   sbatch docs/devices/slurm.sh --config=configs/dcgan.py --workdir=/shared/runs/dcgan
# Before, once: ./run.sh setup, and .venv/bin/pip install -c requirements.txt -e '.[cuda]'.
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=8
# Each task must see all GPUs of its node: JAX gives task i the i-th of them (jax issue 28194), and
# --gpus-per-task would show it one.
#SBATCH --gpu-bind=none
# Two minutes before the time is up the run saves and ends with 128 + 15; the job then goes back to
# the queue, and goes on from there.
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -uo pipefail
cd "${SLURM_SUBMIT_DIR:-.}" || exit
status=0
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" .venv/bin/python -m jaxgan.main "$@" || status=$?
if [ "$status" = 143 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$status"
