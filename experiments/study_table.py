"""The table and the figure of a study (`reproduce.py`) from the results of its runs."""

import math
import pathlib
import statistics
import textwrap

from jaxgan.common.errors import UserError
from jaxgan.common.files import write_text
from jaxgan.evaluation.results import compare, half_interval

HEAD = (
    "",
    "paper",
    "ours",
    "chosen seed",
    "seeds, updates",
    "read on",
    "how the protocols differ",
    "run",
)

# Metrics whose reference varies little with a classifier's rounding.
_OF_REAL_IMAGES = {
    "conditional_accuracy": {"rel_tol": 0, "abs_tol": 0.002},
    "frechet_distance": {"rel_tol": 0.02},
}


class Mistake(Exception):
    """A mistake in the study or on the command line: one line of text, and exit status 2."""


def as_flags(prefix: str, values: dict) -> tuple[str, ...]:
    """PREFIX + KEY=VALUE of each pair."""
    return tuple(f"{prefix}{key}={value}" for key, value in values.items())


def chosen_seed(results: list[dict]) -> int | None:
    """The seed that the comparison of a run chose, or else the one with the best score on the
    validation split; None if a seed has no score, or there is only one."""
    for result in results:
        if result.get("chosen"):
            return int(result["chosen"]["seed"])
    scored = [result["scores"] for result in results if "scores" in result]
    scores = [item for one in scored for item in one.items()]
    seeds = set().union(*map(seeds_of, results))
    if len(scores) < max(len(seeds), 2):
        return None
    return int(max(scores, key=lambda item: item[1])[0])


def select_measures(row: dict, results: list[dict]) -> list[dict]:
    """The row's measure in each run that has it; of several codes the one of the largest value.

    Raises:
      Mistake: if several measures of a run fit, or those of different runs are not comparable.
    """
    fields = {key: row[key] for key in ("checkpoint", "split", "extractor") if key in row}
    fields["name"] = row["measure"]
    codes = row.get("code")
    codes = codes if isinstance(codes, list) or codes is None else [codes]
    selected = []
    for result in results:
        fitting = [
            m
            for m in result["measures"]
            if fields.items() <= m.items() and (codes is None or m["code"] in codes)
        ]
        if len({m["code"] for m in fitting}) < len(fitting) or (codes is None and fitting[1:]):
            raise Mistake(
                f"{row['what']}: {len(fitting)} measures fit; name code, split or extractor"
            )
        if fitting:
            # Runs may differ in the code that has the largest value, so it is not compared.
            measure = {**max(fitting, key=lambda m: m["value"]), "code": str(codes)}
            selected.append((measure, result))
    first, first_result = selected[0] if selected else ({}, {})
    for measure, result in selected[1:]:
        if same_classifier(measure["extractor"], first_result, result):
            measure = {**measure, "extractor_hash": first["extractor_hash"]}
        try:
            compare(first, measure)
        except UserError as error:
            raise Mistake(f"{row['what']}: {str(error).splitlines()[0]}") from None
    return [measure for measure, _ in selected]


def same_classifier(extractor: str | None, one: dict, other: dict) -> bool:
    """Whether an extractor of this name is one classifier in two results, though perhaps trained on
    two kinds of machine, which round differently: real images score nearly the same. (MNIST's, on
    AVX2 and AVX-512: accuracies .9935 and .9936, Fréchet distances of the splits .2316 and .2330.)
    """
    real = [
        {m["name"]: m["reference"] for m in result["measures"] if m["extractor"] == extractor}
        for result in (one, other)
    ]
    near = {}
    for name, tolerance in _OF_REAL_IMAGES.items():
        pair = [found.get(name) for found in real]
        if None not in pair:
            near[name] = math.isclose(*pair, **tolerance)
    return "frechet_distance" in near and all(near.values())


def values(row: dict, results: list[dict]) -> list[float]:
    """The values of `select_measures`."""
    return [measure["value"] for measure in select_measures(row, results)]


def describe_data(measures: list[dict]) -> str:
    """The split, the numbers of examples, the extractor, and the reference of some measures."""
    if not measures:
        return ""
    one = measures[0]
    parts = [one["split"]]
    for count, what in ((one["n_real"], "real"), (one["n_generated"], "generated")):
        parts += [f"{count:,} {what}"] if count else []
    if one["extractor"]:
        digests = dict.fromkeys(m["extractor_hash"] for m in measures if m["extractor_hash"])
        parts.append(" ".join([one["extractor"], *(f"`{digest[:8]}`" for digest in digests)]))
    references = sorted({m["reference"] for m in measures if m["reference"] is not None})
    if references:
        ends = dict.fromkeys(map(in_digits, (references[0], references[-1])))
        parts.append("reference " + " to ".join(ends))
    return ", ".join(parts)


def ours(seeds: list[float]) -> str:
    """The mean over the seeds; from three seeds on with its 95 % interval, which would be wider
    than the values themselves for two. A measure of the data alone has one value for all seeds."""
    if not seeds:
        return "not measured"
    if len(set(seeds)) == 1:
        return in_digits(seeds[0])
    mean = statistics.mean(seeds)
    interval = f" ± {half_interval(seeds):.{decimals(mean)}f}" if len(seeds) > 2 else ""
    return in_digits(mean) + interval


def in_digits(value: float) -> str:
    """The value with `decimals`."""
    return f"{value:.{decimals(value)}f}"


def decimals(value: float) -> int:
    """The number of decimals of a value: three below 10, otherwise one."""
    return 3 if abs(value) < 10 else 1


def table(study: dict, results: dict[str, list[dict]]) -> str:
    """The study as Markdown; `results` holds the results of the finished runs by config name."""
    lines = [HEAD, ("---",) * len(HEAD)]
    full_length = {run["name"]: run.get("full") for run in study["runs"]}
    for row in study["rows"]:
        found = results.get(row["run"], [])
        measures = select_measures(row, found)
        seeds = [measure["value"] for measure in measures]
        choice = chosen_seed(found) if len(seeds) > 1 else None
        chosen = [m["value"] for m in measures if choice is not None and m["seed"] == choice]
        sizes = sorted({(one["step"], one["batch_size"]) for one in found})
        budget = "; ".join(f"{step:,} of {batch}" for step, batch in sizes)
        full = full_length.get(row["run"])
        if full:
            whole = all(step >= full for step, _ in sizes)
            budget += " (full length)" if whole else f" (incomplete: {full:,} documented)"
        # A consensus is a single measure of several seeds.
        count = measures[0].get("seeds", len(seeds)) if measures else 0
        each = f" ({', '.join(map(in_digits, seeds))})" if len(set(seeds)) > 1 else ""
        source = f"({row['source']})" if row.get("source") else ""
        lines.append(
            (
                f"{row['what']} ({row['checkpoint']} networks)",
                " ".join(filter(None, [str(row.get("paper", "")), source])),
                ours(seeds),
                "".join(map(in_digits, chosen)),
                f"{count}{each}, {budget}" if seeds else "",
                describe_data(measures),
                row.get("differs", ""),
                f"`{row['run']}`",
            )
        )
    text = [f"# {study['title']}", ""]
    text += ["Mean over the seeds, of three and more ± its 95 % interval (Student's t).", ""]
    text += ["| " + " | ".join(line) + " |" for line in lines]
    runs = [run_item(run, results.get(run["name"], [])) for run in study["runs"]]
    return "\n".join([*text, "", "The runs:", "", *runs]) + "\n"


def run_item(run: dict, results: list[dict]) -> str:
    """A run as an item of a Markdown list: its commands, and which seeds were trained."""
    train = [f"python -m jaxgan.main --config={run['config']}"]
    train += as_flags("--config.", run.get("keys", {}))
    line = f"- `{run['name']}`: `{' '.join(train)}`"
    if run.get("evaluate"):
        flags = " ".join(as_flags("--", run["evaluate"]))
        line += f", then `python -m jaxgan.evaluate --workdir=DIR {flags}`"
    done = {seed for result in results for seed in seeds_of(result)}
    missing = [seed for seed in run["seeds"] if seed not in done]
    seeds = [seed for seed in run["seeds"] if seed in done]
    line += f"; seeds {listed(seeds)}" if seeds else ""
    line += f"; not trained yet: seeds {listed(missing)}" if missing else ""
    return line + devices(results)


def devices(results: list[dict]) -> str:
    """Which seeds were trained on accelerators, where their results say so."""
    seeds: dict[str, set[int]] = {}
    for result in results:
        if result.get("device", "cpu") != "cpu":
            name = f"{result['device']}, jax {result['jax']}"
            seeds.setdefault(name, set()).update(seeds_of(result))
    return "".join(
        f"; {listed(sorted(own))} on an accelerator: {device}" for device, own in seeds.items()
    )


def seeds_of(result: dict) -> set[int]:
    """The seeds that a result has measures of; a consensus has none."""
    return {measure["seed"] for measure in result["measures"] if "seed" in measure}


def listed(seeds: list[int]) -> str:
    """Seeds with commas between them."""
    return ", ".join(map(str, seeds))


def figure(study: dict, results: dict[str, list[dict]], path: pathlib.Path) -> None:
    """Draws an axis for each measured row: the seeds, their mean and interval, and the paper's
    value as a dashed line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [(row, values(row, results.get(row["run"], []))) for row in study["rows"]]
    rows = [(row, seeds) for row, seeds in rows if seeds]
    if not rows:
        return
    drawn, axes = plt.subplots(len(rows), 1, figsize=(7, 0.9 * len(rows) + 0.3), squeeze=False)
    for (row, seeds), axis in zip(rows, axes[:, 0], strict=True):
        error = half_interval(seeds) if len(seeds) > 2 else 0
        axis.plot(seeds, [0] * len(seeds), "o", color="tab:blue", alpha=0.4)
        axis.errorbar(statistics.mean(seeds), 0, xerr=error, fmt="|", color="tab:blue", capsize=4)
        if isinstance(row.get("paper"), (int, float)):
            axis.axvline(row["paper"], color="tab:red", linestyle="--")
        axis.set_yticks([])
        axis.margins(x=0.1)
        title = textwrap.fill(f"{row['what']} ({row['checkpoint']})", 90)
        axis.set_title(title, fontsize=8, loc="left")
        axis.tick_params(labelsize=7)
    measures = [row["measure"] for row, _ in rows]
    for stem in {_stem(measure, measures) for measure in measures}:
        # One scale, so that the rows of a measure, and of its variants, can be compared.
        same = [axes[i, 0] for i, name in enumerate(measures) if _stem(name, measures) == stem]
        low, high = zip(*(axis.get_xlim() for axis in same), strict=True)
        for axis in same:
            axis.set_xlim(min(low), max(high))
    drawn.tight_layout()
    drawn.savefig(path, dpi=110)
    plt.close(drawn)


def _stem(name: str, measures: list[str]) -> str:
    """The shortest of the measures of which `name` is a variant, such as precision_linear of
    precision."""
    return min((one for one in measures if f"{name}_".startswith(f"{one}_")), key=len)


def replace_section(path: pathlib.Path, name: str, text: str) -> None:
    """Replaces the text between a study's two marks, if the page has them, by `text` without its
    heading."""
    begins, ends = f"<!-- {name} begins -->\n", f"<!-- {name} ends -->"
    page = path.read_text(encoding="utf-8") if path.is_file() else ""
    before, found, rest = page.partition(begins)
    _, closed, after = rest.partition(ends)
    if found and closed:
        _, _, body = text.partition("\n\n")
        write_text(str(path), f"{before}{begins}{body}{ends}{after}")
