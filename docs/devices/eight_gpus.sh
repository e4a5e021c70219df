#!/usr/bin/env bash
# One machine of several GPUs; one process uses all of them:
#   docs/devices/eight_gpus.sh --config=configs/infogan.py:mnist --config.seeds=8
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
./run.sh setup
.venv/bin/pip install --quiet -c requirements.txt -e '.[cuda]'
exec ./run.sh "$@"
