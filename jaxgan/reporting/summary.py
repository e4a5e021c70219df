"""The text that a finished run prints."""

import os
from typing import Any

from ml_collections import ConfigDict

from jaxgan.evaluation.results import format_table
from jaxgan.reporting.html.report import FILE_NAME
from jaxgan.training import run_files, run_folder


def describe_finished(config: ConfigDict, workdir: str) -> str:
    """The table of results of a finished run, its data, and the paths of its sheets and report."""
    saved, results = run_folder.inspect(config, workdir), run_files.read_results(workdir)
    assert saved is not None
    assert results is not None
    trained_on = saved["dataset"]
    lines = [format_table(results["measures"])]
    lines += [describe_rollback(row) for row in results["rollbacks"]]
    if results["chosen"]:
        lines.append("chosen seed: {seed}, by {by}".format(**results["chosen"]))
    lines += [f"not finite, left out: {what}" for what in results["ended"].values()]
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


def describe_rollback(row: dict[str, Any]) -> str:
    """A line of text for the row of a rollback."""
    seed, step, attempt = (row[key] for key in ("seed", "step", "attempt"))
    return f"seed {seed}: {row['rolled_back']}; rolled back to step {step}, attempt {attempt}"
