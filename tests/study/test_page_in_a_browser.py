"""The page of a report in a real browser: it needs no network, and a click on a title sorts."""

import re
import shutil
import subprocess

import pytest

from pyg_neuralops.study import compare
from pyg_neuralops.study.page import write_page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CLICK = """<script>
  const titles = document.querySelectorAll("th button");
  for (let i = 0; i < CLICKS; i++) titles[COLUMN].click();
  document.title = [...document.images].every(image => image.complete && image.naturalWidth > 100) ? "seen" : "blank";
</script>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine; the continuous integration has one")
def test_a_click_sorts(comparison, tmp_path):
    results = compare(comparison, progress=False)
    page = write_page([comparison.out], tmp_path / "page.html")
    text = page.read_text(encoding="utf-8")
    errors = {run["model"]: 0.0 for run in results["runs"]}
    for run in results["runs"]:
        errors[run["model"]] += run["test"]["mean"] / 2
    errors |= {name: found["test"]["mean"] for name, found in results["baselines"].items() if "test" in found}
    by_error = sorted(errors, key=lambda name: errors[name])
    for column, clicks, want in ((1, 1, by_error), (1, 2, by_error[::-1]), (0, 1, sorted(errors))):
        script = CLICK.replace("COLUMN", str(column)).replace("CLICKS", str(clicks))
        page.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
        words = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--virtual-time-budget=3000",
            "--dump-dom",
            page.as_uri(),
        ]
        done = subprocess.run([BROWSER, *words], capture_output=True, text=True, timeout=120, check=True)
        assert re.findall(r"<tr><td[^>]*>(?:<em>)?([^<]+)", done.stdout) == want
        assert "<title>seen</title>" in done.stdout
