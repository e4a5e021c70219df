#!/usr/bin/env bash
# A TPU pod slice of Google Cloud, one process a host:
#   ZONE=us-west4-a docs/devices/tpu_pod.sh NAME --config=configs/dcgan.py --workdir=/mnt/shared/runs/dcgan
# The slice NAME exists, and the repository lies in ~/jaxgan on every host. The run's folder is on a
# disk that all hosts share, such as Filestore.
set -euo pipefail
name=$1
shift
on_every_host() {
  gcloud compute tpus tpu-vm ssh "$name" --zone="${ZONE:?set ZONE}" --worker=all --command="$1"
}
# The version of libtpu that this JAX was made for; without the pin pip might move JAX.
on_every_host "cd jaxgan && ./run.sh setup && .venv/bin/pip install --quiet 'libtpu==0.0.42.*'"
on_every_host "cd jaxgan && .venv/bin/python -m jaxgan.main $(printf '%q ' "$@")"
