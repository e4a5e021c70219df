#!/usr/bin/env bash
# ./run.sh              sets up .venv and trains the main job, InfoGAN on the embedded digits
# ./run.sh --config=…   sets up and runs any job: the flags are those of python -m jaxgan.main
# ./run.sh test […]     sets up and runs the tests (arguments go to pytest)
# ./run.sh docs         sets up and builds the site of the documentation into docs/_build/html
# ./run.sh setup        only sets up
# PYTHON names the interpreter (3.11 or later); the default is python3.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

setup() {
  local python=${PYTHON:-python3}
  if ! "$python" -c '' 2>/dev/null; then
    echo "run.sh: $python does not start; name another Python: PYTHON=python3.12 ./run.sh" >&2
    exit 2
  fi
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "run.sh: $python is older than Python 3.11; name another: PYTHON=python3.12 ./run.sh" >&2
    exit 2
  fi
  local stamp=.venv/installed
  if [ -f "$stamp" ] && cmp -s "$stamp" <(cat requirements.txt pyproject.toml); then return; fi
  echo "setting up .venv (a minute or two)"
  # Without pip, it is left over from an interrupted or failed start.
  .venv/bin/python -m pip --version > /dev/null 2>&1 || "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
  cat requirements.txt pyproject.toml > "$stamp"
}

# jaxgan.main says so too, but only after minutes of installing.
require_config() {
  local flag
  for flag; do
    case $flag in -config|--config|-config=*|--config=*|-h|-help*|--help*) return ;; esac
  done
  echo "run.sh: --config is missing, such as ./run.sh --config=configs/infogan.py $*" >&2
  exit 2
}

docs() {
  local python=.venv/bin/python site=docs/_build/html
  if ! "$python" -c 'import furo, myst_parser, sphinx' 2> /dev/null; then
    echo "installing the extra 'docs' into .venv"
    "$python" -m pip install --quiet --disable-pip-version-check --constraint requirements.txt \
      --constraint docs/requirements.txt --editable '.[docs]'
  fi
  # -W: a warning is an error; -E: every page is read again, since their tables of contents are in
  # docs/conf.py.
  "$python" -m sphinx -q -W --keep-going -E -c docs -d docs/_build/doctrees . "$site"
  echo "$PWD/$site/index.html"
}

case "${1:-}" in
  setup) setup ;;
  docs) setup; docs ;;
  # xdist would sort the files by their number of tests; tests/conftest.py has the slow ones first.
  test) setup; shift
    exec .venv/bin/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder "$@" ;;
  "") setup; exec .venv/bin/python -m jaxgan.main --config=configs/infogan.py ;;
  -*) require_config "$@"; setup; exec .venv/bin/python -m jaxgan.main "$@" ;;
  *) echo "run.sh: unknown word '$1'; there are setup, test, docs, or flags of jaxgan.main" >&2; exit 2 ;;
esac
