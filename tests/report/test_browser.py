"""The report and the audit in a browser: no message in the console, nothing to scroll sideways."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")

PROBE = """<!DOCTYPE html><title>probe</title>
<iframe id="it" src="{page}" style="width:{width}px;height:900px;border:0"></iframe>
<script>
onload = () => {{
  const page = document.getElementById("it").contentDocument;
  for (const one of page.querySelectorAll("details")) one.open = true;
  const broken = [...page.images].filter(image => !image.complete || !image.naturalWidth).length;
  const root = page.documentElement;
  document.title = [root.scrollWidth, root.clientWidth, page.images.length, broken].join(" ");
}};
</script>"""


def _chromium(profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    quiet = ("gpu", "quic", "background-networking", "component-update", "sync")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    command += [f"--user-data-dir={profile}", "--allow-file-access-from-files", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize(("page", "pictures"), [("report.html", 7), ("audit.html", 5)])
def test_nothing_scrolls_sideways(finished: Path, tmp_path: Path, page: str, pictures: int, width: int) -> None:
    probe = tmp_path / "probe.html"
    probe.write_text(PROBE.format(width=width, page=page), encoding="utf-8")
    shutil.copy(finished / page, tmp_path / page)
    done = _chromium(tmp_path / "profile", "--virtual-time-budget=5000", "--dump-dom", probe.as_uri())
    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
    scroll, client, images, broken = map(int, title.split())
    assert client >= width - 20 and scroll <= client
    assert images == pictures and broken == 0


@pytest.mark.parametrize("page", ["report.html", "audit.html"])
def test_no_console_message(finished: Path, tmp_path: Path, page: str) -> None:
    shot = f"--screenshot={tmp_path / 'shot.png'}"
    done = _chromium(tmp_path, "--enable-logging=stderr", "--v=0", shot, (finished / page).as_uri())
    assert "CONSOLE" not in done.stderr
    assert (tmp_path / "shot.png").stat().st_size > 10_000
