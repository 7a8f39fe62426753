"""The report in a browser: nothing runs off the page, mathematics shows, colours can be read, nothing is fetched.

The page stands, as it is, in a frame of a page that measures it and leaves what it found in the document. Skipped,
saying so, where there is no Chromium.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mechdsl.cli import main
from mechdsl.report.document import Document, Paragraph, Section
from mechdsl.report.html import as_html

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
MODELS = Path(__file__).parent.parent / "models"
PAGES = ("ai_2025/six_regimes", "dai_2026/data_market", "yao_2024/attention_contest", "ai_2025/two_regimes")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--window-size=1400,1600",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=4000",
)  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on the path")]

PROBE = """<!DOCTYPE html>
<meta charset="utf-8"><style>body {{ margin: 0 }} iframe {{ border: 0 }}</style>
<iframe width="{width}" height="1600" srcdoc="{page}"></iframe>
<pre id="probe"></pre>
<script>
addEventListener('load', () => {{
  const win = frames[0], doc = win.document, style = e => win.getComputedStyle(e);
  const found = {{width: win.innerWidth, dark: win.matchMedia('(prefers-color-scheme: dark)').matches}};
  doc.querySelectorAll('details').forEach(d => d.open = true);
  found.page = doc.documentElement.scrollWidth;
  const scrolls = e => {{ for (let p = e.parentElement; p; p = p.parentElement)
    if (['auto', 'scroll', 'hidden'].includes(style(p).overflowX)) return true; return false; }};
  const seen = [...doc.body.querySelectorAll('*')];
  found.wide = seen.filter(e => e.getBoundingClientRect().right > win.innerWidth + 0.5 && !scrolls(e))
    .slice(0, 5).map(e => e.outerHTML.slice(0, 80));
  const formulas = [...doc.querySelectorAll('math')];
  found.formulas = formulas.length;
  const flat = m => {{ const r = m.getBoundingClientRect(); return r.height < 4 || r.width < 2; }};
  found.flat = formulas.filter(flat).slice(0, 5).map(m => m.outerHTML.slice(0, 200));
  found.mathematics = formulas.every(m => m instanceof win.MathMLElement);
  const pictures = [...doc.images];
  found.pictures = pictures.length;
  found.broken = pictures.filter(i => !i.complete || i.naturalWidth === 0).length;
  found.fetched = win.performance.getEntriesByType('resource').map(r => r.name.slice(0, 80));
  const channel = v => {{ v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }};
  const parts = c => c.match(/[0-9.]+/g).map(Number);
  const light = c => {{ const [r, g, b] = parts(c).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; }};
  const behind = e => {{ for (let p = e; p; p = p.parentElement) {{
    const c = style(p).backgroundColor; if ((parts(c)[3] ?? 1) > 0) return c; }} return 'rgb(255, 255, 255)'; }};
  found.contrast = 21; found.faint = '';
  for (const e of seen) {{
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.getClientRects().length) continue;
    const drawn = e instanceof win.SVGElement, boxed = drawn && !e.classList.contains('label');
    const ground = boxed ? style(doc.querySelector('.diagram .box')).fill : behind(e);
    const [a, b] = [light(drawn ? style(e).fill : style(e).color), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < found.contrast) {{ found.contrast = ratio; found.faint = e.outerHTML.slice(0, 120); }}
  }}
  document.getElementById('probe').textContent = JSON.stringify(found);
}});
</script>"""


@pytest.fixture(scope="module", params=PAGES)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report."""
    file = MODELS / f"{request.param}.mech"
    made = tmp_path_factory.mktemp("browser") / f"{file.stem}.html"
    assert main(["report", str(file), "-o", str(made)]) == 0
    return made.read_text(encoding="utf-8")


def measured(page: str, width: int, *, dark: bool, folder: Path) -> dict[str, Any]:
    """What the probe found in the page, which stands in a frame of that width: a window is never so narrow."""
    assert BROWSER is not None
    probe = folder / "probe.html"
    probe.write_text(PROBE.format(width=width, page=html.escape(page)), encoding="utf-8")
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    command = [BROWSER, *FLAGS, scheme, f"--user-data-dir={folder / 'profile'}", "--dump-dom", probe.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    found = re.search(r'<pre id="probe">(.+?)</pre>', run.stdout, re.DOTALL)
    assert found is not None, run.stderr[-2000:]
    measures: dict[str, Any] = json.loads(html.unescape(found[1]))
    return measures | {"console": [line for line in run.stderr.splitlines() if "CONSOLE" in line]}


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_reads_well(page: str, width: int, dark: bool, tmp_path: Path) -> None:
    found = measured(page, width, dark=dark, folder=tmp_path)
    assert not found["console"]
    assert found["width"] == width
    assert found["dark"] is dark
    assert found["page"] <= width, found["wide"]
    assert not found["wide"]
    assert found["formulas"] > 20
    assert found["mathematics"]
    assert not found["flat"]
    assert found["broken"] == 0
    assert not found["fetched"]
    assert found["contrast"] >= 4.5, found["faint"]
    assert found["pictures"] == page.count('class="picture"')


def test_the_probe_sees_what_is_wrong(tmp_path: Path) -> None:
    """Too wide, flat, faint, broken: each is found on a page that has it."""
    page = (
        '<body style="margin:0;background:#fff"><div style="width:900px">wide</div><math></math>'
        '<p style="color:#ccc">faint</p><img alt="" src="data:image/svg+xml,nothing">'
    )
    found = measured(page, 400, dark=False, folder=tmp_path)
    assert found["page"] == 900
    assert found["wide"]
    assert found["flat"]
    assert found["contrast"] < 2
    assert found["broken"] == 1


@pytest.mark.parametrize(
    "added",
    ["<script>document.title = 'run'</script>", '<img src="http://127.0.0.1:9/x.png" alt="">'],
    ids=["run", "fetch"],
)
def test_a_page_cannot_run_or_fetch_anything(added: str, tmp_path: Path) -> None:
    """The page's own policy refuses what somebody might put into it."""
    page = as_html(Document("A page", (), (Section("One", (Paragraph(("words",)),)),)))
    found = measured(page.replace("</body>", f"{added}</body>"), 800, dark=False, folder=tmp_path)
    assert any("violates the following Content Security Policy" in line for line in found["console"])
