"""What every preset needs on TPUs, by `jaxgan.plan`: writes the table of docs/devices.md.

python experiments/plans/plans.py [--only=PRESET]

Needs libtpu (`pip install 'jaxgan[tpu-plan]'`), not a TPU. Each plan is kept in plans.json and not
made again.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

from jaxgan.planning.words import size

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = HERE / "plans.json"
ONE_HOST = "v5e:2x4"
PRESETS = (
    "gan.py:mnist",
    "gan.py:mnist,paper",
    "cgan.py:mnist",
    "cgan.py:mnist,mlp",
    "infogan.py:mnist",
    "infogan.py:mnist,paper",
    "infogan.py:mnist,document",
    "tags.py",
    "dcgan.py:mnist",
    "dcgan.py:cifar10",
    "dcgan.py:cifar10,size=64",
)
OTHERS = ("v5e:1x1", "v5e:16x16", "v4:2x2x4", "v5p:2x2x4", "v6e:2x4", "tpu7x:2x2x1")
EVERYWHERE = "gan.py:mnist"
JOBS = [(preset, ONE_HOST, 1) for preset in PRESETS]
JOBS += [(EVERYWHERE, topology, 8) for topology in (ONE_HOST, *OTHERS)]
HEAD = (
    "preset",
    "seeds",
    "devices",
    "seed x data",
    "memory a device",
    "of which temporaries",
    "a step a device",
    "estimate, bound by",
    "collectives a step",
    "compile time",
)


def make_plan(preset: str, topology: str, seeds: int) -> dict:
    """The plan of one preset."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "plan.json"
        command = [sys.executable, "-m", "jaxgan.plan", f"--config=configs/{preset}"]
        command += [f"--topology={topology}", f"--config.seeds={seeds}", f"--json={out}"]
        subprocess.run(command, cwd=ROOT, check=True)
        return json.loads(out.read_text())


def line(preset: str, seeds: int, plan: dict) -> tuple[str, ...]:
    """A row of the table."""
    times = plan["estimated_seconds"]
    bound = max(times, key=times.get)
    moved = [one for one in plan["collectives"] if one["per"] == "step"]
    listed = [f"{x['number']} {x['kind']}, {size(x['bytes'])}" for x in moved]
    return (
        f"`{preset}`",
        str(seeds),
        f"{plan['devices']} {plan['kind']}, {plan['hosts']} host{'s' * (plan['hosts'] > 1)}",
        f"{plan['mesh']['seed']} x {plan['mesh']['data']}",
        size(sum(plan["memory"].values())),
        size(plan["memory"]["temporaries"]),
        f"{plan['flops'] / 1e9:.3g} GFLOP, {size(plan['bytes'])}, {plan['kernels']} kernels",
        f"{times[bound] * 1e3:.2g} ms, {bound}",
        "; ".join(listed) or "none",
        f"{plan['compile_seconds']:.0f} s",
    )


def main() -> None:
    """Makes the missing plans and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PRESETS, help="one preset; default all")
    only = parser.parse_args().only
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for preset, topology, seeds in JOBS:
        key = f"{preset} {topology} {seeds}"
        if only in (None, preset) and key not in kept:
            print(key, flush=True)
            kept[key] = make_plan(preset, topology, seeds)
            KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    rows = [HEAD, ("---",) * len(HEAD)]
    for preset, topology, seeds in JOBS:
        plan = kept.get(f"{preset} {topology} {seeds}")
        rows += [line(preset, seeds, plan)] if plan else []
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    page = ROOT / "docs" / "devices.md"
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- plans begin -->\n")
    after = rest.partition("<!-- plans end -->")[2]
    whole = f"{before}<!-- plans begin -->\n{text}<!-- plans end -->{after}"
    page.write_text(whole, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
