#!/usr/bin/env bash
# A TPU pod slice of Google Cloud, one process a host:
#   ZONE=us-west4-a docs/devices/tpu_pod.sh NAME --config=configs/dcgan.py --workdir=/mnt/shared/dcgan
# The slice NAME exists, the repository lies in ~/jaxgan on every host, and the run's folder is on a
# disk that all hosts share, such as Filestore. run.sh needs Python 3.11 or later on every host.
set -euo pipefail
name=$1
shift
on_every_host() {
  gcloud compute tpus tpu-vm ssh "$name" --zone="${ZONE:?set ZONE}" --worker=all --command="$1"
}
# The extra tpu of the installed jax pins the libtpu that suits it.
on_every_host "cd jaxgan && ./run.sh setup && .venv/bin/pip install --quiet 'jax[tpu]'"
# nohup: the training outlives this connection. To follow it: tail -f jaxgan/train.log.
command=$(printf '%q ' .venv/bin/python -m jaxgan.main "$@")
on_every_host "cd jaxgan && (nohup $command > train.log 2>&1 &)"
