"""Random search over keys of a config; the best trial is trained again with fresh seeds.

python experiments/search.py --out=FOLDER --config=configs/gan.py:mnist
    --measure=parzen_log_likelihood --trials=20 [--seed=0] [--fresh=3] [--jobs=1]
    --key generator.learning_rate=log:1e-4,1e-2 --key batch_size=choice:64,100,128
    --key discriminator.dropout=uniform:0,0.5 [--config.KEY=VALUE …]

The budget is the number of trials times `--config.steps`. A trial's values depend only on the seed,
the trial's number and the key's name, so that a longer search repeats the trials of a shorter one.
All trials train with the search's seed. A trial's score is the best value of the measure over its
steps, on the validation split; no test image is used. The values of the best trial are then trained
with the seeds that follow the search's, and evaluated. Finished runs are kept in FOLDER and are not
repeated. @FILE on the command line stands for the arguments in a file, one a line. The exit status
is that of reproduce.py.
"""

import argparse
import json
import math
import pathlib
import random
import sys

from study_runs import Children, Job, load_result, run_all, run_jobs
from study_table import Mistake, in_digits, ours

from jaxgan.common.files import write_json, write_text
from jaxgan.config.keys import KEYS
from jaxgan.evaluation.registry import Better, metric_named

# The choices of `best_by`: -1 if lower values are better, otherwise 1.
MEASURES = {
    name: -1 if metric_named(name).names[name] is Better.LOWER else 1
    for name in KEYS["best_by"].choices
    if name != "none"
}


def parse_key(text: str) -> tuple[str, str, list[str]]:
    """Reads "NAME=KIND:A,B" as name, kind, and the two limits or all choices.

    Raises:
      Mistake: if the text is not of that form.
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
            raise Mistake(f"--key {text}: {kind} needs two numbers") from None
        if not low < high or (kind == "log" and low <= 0):
            raise Mistake(f"--key {text}: the limits are in the wrong order, or not above 0")
    return name, kind, choices


def draw(space: list[tuple[str, str, list[str]]], seed: int, trial: int) -> dict[str, str]:
    """The values of a trial as text; numbers have four significant digits."""
    found = {}
    for name, kind, given in space:
        generator = random.Random(f"{seed}/{trial}/{name}")
        if kind == "choice":
            found[name] = generator.choice(given)
            continue
        low, high = map(float, given)
        if kind == "log":
            value = math.exp(generator.uniform(math.log(low), math.log(high)))
        else:
            value = generator.uniform(low, high)
        found[name] = f"{value:.4g}"
    return found


def score(workdir: pathlib.Path, measure: str) -> float | None:
    """The best value of the measure over the run's steps, summed over its codes; None if it was
    never finite."""
    path, name = workdir / "metrics.jsonl", f"eval/{measure}"
    sums = []
    for line in path.read_text().splitlines() if path.exists() else []:
        row = json.loads(line)
        values = [v for k, v in row.items() if k == name or k.startswith(f"{name}_")]
        if values and all(v is not None and math.isfinite(v) for v in values):
            sums.append(sum(values))
    best = max if MEASURES[measure] > 0 else min
    return best(sums, default=None)


def train_trial(job: Job, measure: str, children: Children) -> int:
    """Trains a trial and keeps its score: None if its losses became not finite."""
    status = children.call("jaxgan.main", [*job.flags, f"--workdir={job.workdir}"], job.log)
    if status and (status != 1 or "not finite" not in job.log.read_text()):
        return status
    found = score(job.workdir, measure) if status == 0 else None
    job.result.parent.mkdir(parents=True, exist_ok=True)
    write_json(str(job.result), {"flags": list(job.flags), "score": found})
    return 0


def ranked(trials: list[Job], measure: str) -> list[tuple[int, float | None]]:
    """Number and score of each finished trial, the best first and those without a score last."""
    results = [(i, load_result(job)) for i, job in enumerate(trials)]
    scores = [(i, result["score"]) for i, result in results if result is not None]
    sign = MEASURES[measure]
    return sorted(scores, key=lambda one: math.inf if one[1] is None else -sign * one[1])


def table(
    title: str, drawn: list[dict[str, str]], trials: list[Job], fresh: list[Job], measure: str
) -> str:
    """The trials, the best first, and the measures of the fresh seeds, as Markdown."""
    names = list(drawn[0])
    lines = [f"# {title}", "", "| trial | " + " | ".join([*names, f"{measure}, validation"]) + " |"]
    lines.append("|---" * (len(names) + 2) + "|")
    for i, found in ranked(trials, measure):
        cells = [str(i), *drawn[i].values(), "not finite" if found is None else in_digits(found)]
        lines.append("| " + " | ".join(cells) + " |")
    groups: dict[tuple, list[float]] = {}
    for job in fresh:
        for m in (load_result(job) or {"measures": []})["measures"]:
            key = (m["name"], m["code"], m["split"], m["checkpoint"], m.get("extractor_hash"))
            groups.setdefault(key, []).append(m["value"])
    if groups:
        lines += ["", "The best trial's values, trained with fresh seeds:", ""]
        lines += ["| measure | split | networks | mean ± 95 % interval | seeds |", "|---" * 5 + "|"]
    for (name, code, split, checkpoint, _), found in groups.items():
        metric = name if code is None else f"{name} {code}"
        lines.append(f"| {metric} | {split} | {checkpoint} | {ours(found)} | {len(found)} |")
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    """Runs or resumes a search; returns the exit status."""
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
    arguments, fixed = parser.parse_known_args(argv)
    try:
        space = [parse_key(text) for text in arguments.key]
        wrong = [flag for flag in fixed if not flag.startswith("--config.") or "=" not in flag]
        if wrong:
            raise Mistake(f"{wrong[0]}: not --config.KEY=VALUE")
        if min(arguments.trials, arguments.jobs) < 1 or min(arguments.fresh, arguments.seed) < 0:
            raise Mistake("at least one trial and one job; fresh seeds and the seed from 0 up")
        with Children() as children:
            return search(arguments, space, fixed, children)
    except Mistake as mistake:
        print(f"search: {mistake}", file=sys.stderr)
        return 2


def search(arguments: argparse.Namespace, space: list, fixed: list[str], children: Children) -> int:
    """Runs the trials and the fresh seeds, and writes the table; returns the exit status."""
    out, measure, seed = arguments.out, arguments.measure, arguments.seed
    drawn = [draw(space, seed, i) for i in range(arguments.trials)]

    def job(name: str, values: dict[str, str], seed: int) -> Job:
        flags = [f"--config={arguments.config}", f"--config.best_by={measure}", *fixed]
        flags += [f"--config.{key}={value}" for key, value in values.items()]
        flags.append(f"--config.seed={seed}")
        return Job(name, seed, tuple(flags), out.resolve() / "runs" / name, out / f"{name}.json")

    trials = [job(f"trial-{i:03}", values, seed) for i, values in enumerate(drawn)]
    fresh: list[Job] = []
    status = run_all(
        trials, children, arguments.jobs, lambda one: train_trial(one[0], measure, children)
    )
    if not status:
        best, best_score = ranked(trials, measure)[0]
        if best_score is None:
            raise Mistake("no trial's measure was finite")
        # Named by the trial: a longer search may find a better trial, which needs its own seeds.
        fresh = [
            job(f"trial-{best:03}-seed-{other}", drawn[best], other)
            for other in range(seed + 1, seed + 1 + arguments.fresh)
        ]
        status = run_all(fresh, children, arguments.jobs, lambda one: run_jobs(one, children))
    out.mkdir(parents=True, exist_ok=True)
    text = table(f"Random search: {arguments.config}", drawn, trials, fresh, measure)
    write_text(str(out / "table.md"), text)
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
