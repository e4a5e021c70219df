"""A page in a real browser, if the machine has one."""

import json
import re
import shutil
import subprocess

import pytest

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needed = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome"
)


def browse(shown, tmp_path):
    """A page's elements after its scripts, its console, and the URLs that it has asked for."""
    (tmp_path / "page.html").write_text(shown)
    log = tmp_path / "requests.json"
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync"
    flags += " --disable-background-networking --disable-component-update --dump-dom"
    # The clock runs as fast as the page's scripts.
    flags += " --virtual-time-budget=10000 --enable-logging=stderr"
    browser = [BROWSER, *flags.split(), f"--user-data-dir={tmp_path / 'profile'}"]
    browser += ["--host-resolver-rules=MAP * ~NOTFOUND"]  # Nor does the browser reach anything.
    browser += [f"--log-net-log={log}", f"file://{tmp_path}/page.html"]
    done = subprocess.run(browser, capture_output=True, text=True, timeout=120)
    events = json.loads(log.read_text())
    started = events["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event["params"] for event in events["events"] if event["type"] == started]
    # What the browser asks for on its own has no origin.
    of_page = {one["url"] for one in asked if "url" in one and one["initiator"] != "not an origin"}
    return done.stdout, re.findall(r"CONSOLE.*?\] (.*)", done.stderr), of_page
