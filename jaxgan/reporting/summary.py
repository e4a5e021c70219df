"""The text that training and evaluation print at their end."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxgan.evaluation.results import format_table
from jaxgan.reporting.advice import advice
from jaxgan.reporting.html.report import FILE_NAME
from jaxgan.training import run_files, run_folder


def describe_finished(config: ConfigDict, workdir: str) -> str:
    """The table of results of a finished run, what has gone wrong in it, its data, and the paths of
    its sheets and report."""
    saved, results = run_folder.inspect(config, workdir), run_files.read_results(workdir)
    assert saved is not None
    assert results is not None
    trained_on = saved["dataset"]
    lines = [format_table(results["measures"])]
    lines += [describe_rollback(row) for row in results["rollbacks"]]
    if results["chosen"]:
        lines.append("chosen seed: {seed}, by {by}".format(**results["chosen"]))
    lines += [f"stopped: {what}" for what in results["ended"].values()]
    lines += describe_advice(saved, workdir, results["measures"])
    sheets = os.path.join(workdir, "samples", f"step_{results['step']:06}*.png")
    lines += [
        "",
        f"data: {trained_on['name']}, {trained_on['train']:,} training images"
        f" (sha256 {trained_on['sha256']})",
        f"run: {workdir}",
        f"last sheets: {sheets}",
    ]
    report = os.path.join(workdir, FILE_NAME)
    if os.path.exists(report):  # Runs of older versions have no report.
        lines.append(f"report: {report}")
    return "\n".join(lines)


def describe_advice(
    about: Mapping[str, Any], workdir: str, measures: Iterable[Mapping[str, Any]]
) -> list[str]:
    """A line of text for each finding about a run.

    Args:
      about: its `config.json`.
      workdir: its folder, for the rows of `metrics.jsonl`.
      measures: of its `results.json`.
    """
    try:
        rows = run_files.read_metrics(os.path.join(workdir, run_files.METRICS)).rows
    except (OSError, ValueError):  # The report names a file that cannot be read.
        rows = []
    findings = advice(about["config"], rows, measures, about["dataset"])
    return [f"advice: {finding}" for finding in findings]


def describe_rollback(row: dict[str, Any]) -> str:
    """A line of text for the row of a rollback."""
    seed, step, attempt = (row[key] for key in ("seed", "step", "attempt"))
    return f"seed {seed}: {row['rolled_back']}; rolled back to step {step}, attempt {attempt}"
