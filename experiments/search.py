"""Random search over keys of a config, then the best of it over fresh seeds.

python experiments/search.py --out=FOLDER --config=configs/gan.py:mnist
    --measure=parzen_log_likelihood --trials=20 [--seed=0] [--fresh=3] [--jobs=1]
    --key generator.learning_rate=log:1e-4,1e-2 --key batch_size=choice:64,100,128
    --key discriminator.dropout=uniform:0,0.5 [--config.KEY=VALUE …]

The budget is the number of trials times `--config.steps`. A trial's values are drawn from the seed,
its number and the key's name alone, so that a longer search begins with the shorter one. All trials
train with the search's seed, and count by the best value of the measure on the validation split
over their steps; no test image is looked at. The best one's values are then trained with the seeds
that follow, and evaluated. What is done stays in FOLDER and is not done again. @FILE on the
command line stands for the arguments in a file, one a line. Exit status as reproduce.py's.
"""

import argparse
import json
import math
import pathlib
import random
import signal
import sys

from reproduce import Children, Job, Mistake, do, kept, log_of, ours, run_all, shown

from jaxgan.common.files import write_json, write_text
from jaxgan.config.keys import KEYS
from jaxgan.evaluation.registry import Better, metric_named

# Those that `best_by` knows; the sign is that of a better value.
MEASURES = {
    name: -1 if metric_named(name).names[name] is Better.LOWER else 1
    for name in KEYS["best_by"].choices
    if name != "none"
}


def parse_key(text: str) -> tuple[str, str, list[str]]:
    """ "NAME=KIND:A,B" as name, kind and the two limits, or all choices.

    Raises:
      Mistake: if it is of another form.
    """
    name, equals, rest = text.partition("=")
    kind, colon, given = rest.partition(":")
    choices = [one for one in given.split(",") if one]
    if not equals or not colon or name not in KEYS:
        raise Mistake(f"--key {text}: not a key of the configs, =, a kind, : and its limits")
    if kind not in ("log", "uniform", "choice") or not choices:
        raise Mistake(f"--key {text}: kinds are log:LOW,HIGH uniform:LOW,HIGH choice:A,B,…")
    if kind != "choice":
        try:
            low, high = map(float, choices)
        except ValueError:
            raise Mistake(f"--key {text}: {kind} wants two numbers") from None
        if not low < high or (kind == "log" and low <= 0):
            raise Mistake(f"--key {text}: the limits are in the wrong order, or not above 0")
    return name, kind, choices


def draw(space: list[tuple[str, str, list[str]]], seed: int, trial: int) -> dict[str, str]:
    """The values of a trial, as flags have them: numbers with four digits."""
    found = {}
    for name, kind, given in space:
        chance = random.Random(f"{seed}/{trial}/{name}")
        if kind == "choice":
            found[name] = chance.choice(given)
            continue
        low, high = map(float, given)
        if kind == "log":
            value = math.exp(chance.uniform(math.log(low), math.log(high)))
        else:
            value = chance.uniform(low, high)
        found[name] = f"{value:.4g}"
    return found


def score(workdir: pathlib.Path, measure: str) -> float | None:
    """The best value of the measure over the run's steps, summed over its codes; None where it was
    never finite."""
    path = workdir / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    sums = []
    for row in rows:
        name = f"eval/{measure}"
        here = [v for k, v in row.items() if k == name or k.startswith(f"{name}_")]
        if here and all(v is not None and math.isfinite(v) for v in here):
            sums.append(sum(here))
    if not sums:
        return None
    return max(sums) if MEASURES[measure] > 0 else min(sums)


def try_one(job: Job, measure: str, children: Children) -> int:
    """Trains a trial and keeps its score; one that ceases to be finite is kept without any."""
    log = log_of(job)
    status = children.call("jaxgan.main", [*job.flags, f"--workdir={job.workdir}"], log)
    if status not in (0, 1):
        return status
    if status == 1 and "not finite" not in log.read_text():
        return status
    found = score(job.workdir, measure) if status == 0 else None
    job.kept.parent.mkdir(parents=True, exist_ok=True)
    write_json(str(job.kept), {"flags": list(job.flags), "score": found})
    return 0


def best_of(trials: list[Job], measure: str) -> int | None:
    """The number of the best trial; None where none was finite."""
    scores = [(kept(job) or {}).get("score") for job in trials]
    there = [(MEASURES[measure] * s, -i) for i, s in enumerate(scores) if s is not None]
    return -max(there)[1] if there else None


def table(
    title: str, drawn: list[dict[str, str]], trials: list[Job], fresh: list[Job], measure: str
) -> str:
    """The trials, the best one first, and what the fresh seeds reached, as Markdown."""
    names = list(drawn[0])
    scored = [(i, (kept(job) or {}).get("score")) for i, job in enumerate(trials) if kept(job)]
    scored.sort(key=lambda one: math.inf if one[1] is None else -MEASURES[measure] * one[1])
    lines = [f"# {title}", "", "| trial | " + " | ".join([*names, f"{measure}, validation"]) + " |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for i, found in scored:
        cells = [str(i), *drawn[i].values(), "not finite" if found is None else shown(found)]
        lines.append("| " + " | ".join(cells) + " |")
    groups: dict[tuple, list[float]] = {}
    for job in fresh:
        for m in (kept(job) or {"measures": []})["measures"]:
            key = (m["name"], m["code"], m["split"], m["checkpoint"], m.get("extractor_hash"))
            groups.setdefault(key, []).append(m["value"])
    if groups:
        lines += ["", "The best trial's values, trained with fresh seeds:", ""]
        lines += ["| measure | split | networks | mean ± 95 % interval | seeds |", "|---" * 5 + "|"]
    for (name, code, split, checkpoint, _), found in groups.items():
        of = name if code is None else f"{name} {code}"
        lines.append(f"| {of} | {split} | {checkpoint} | {ours(found)} | {len(found)} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Searches, or goes on with it; the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], fromfile_prefix_chars="@", allow_abbrev=False
    )
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--measure", choices=list(MEASURES), required=True)
    parser.add_argument("--key", action="append", required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    asked, fixed = parser.parse_known_args(argv)
    children = Children()
    try:
        space = [parse_key(text) for text in asked.key]
        wrong = [flag for flag in fixed if not flag.startswith("--config.") or "=" not in flag]
        if wrong:
            raise Mistake(f"{wrong[0]}: not --config.KEY=VALUE")
        if min(asked.trials, asked.jobs) < 1 or min(asked.fresh, asked.seed) < 0:
            raise Mistake("at least one trial and one job; fresh seeds and the seed from 0 up")
        return search(asked, space, fixed, children)
    except Mistake as mistake:
        print(f"search: {mistake}", file=sys.stderr)
        return 2


def search(asked: argparse.Namespace, space: list, fixed: list[str], children: Children) -> int:
    """The trials, the fresh seeds, the table; the exit status."""
    drawn = [draw(space, asked.seed, i) for i in range(asked.trials)]
    runs = asked.out.resolve() / "runs"

    def job(name: str, values: dict[str, str], seed: int) -> Job:
        flags = [f"--config={asked.config}", f"--config.best_by={asked.measure}", *fixed]
        flags += [f"--config.{key}={value}" for key, value in values.items()]
        flags.append(f"--config.seed={seed}")
        return Job(name, seed, tuple(flags), runs / name, asked.out / f"{name}.json")

    trials = [job(f"trial-{i:03}", values, asked.seed) for i, values in enumerate(drawn)]
    fresh: list[Job] = []

    def write() -> None:
        text = table(f"Random search: {asked.config}", drawn, trials, fresh, asked.measure)
        asked.out.mkdir(parents=True, exist_ok=True)
        write_text(str(asked.out / "table.md"), text)

    before = {n: signal.signal(n, children.stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = run_all(
            trials, children, asked.jobs, lambda one: try_one(one, asked.measure, children)
        )
        best = best_of(trials, asked.measure)
        if not status and best is None:
            raise Mistake("no trial's measure was finite")
        if not status and best is not None:
            # Named by the trial: where a longer search finds a better one, its seeds are others.
            seeds = range(asked.seed + 1, asked.seed + 1 + asked.fresh)
            fresh = [job(f"trial-{best:03}-seed-{seed}", drawn[best], seed) for seed in seeds]
            status = run_all(fresh, children, asked.jobs, lambda one: do(one, children))
        write()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    print((asked.out / "table.md").read_text())
    return status


if __name__ == "__main__":
    sys.exit(main())
