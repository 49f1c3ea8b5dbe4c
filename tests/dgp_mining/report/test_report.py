"""The report is one self-contained page with the store's figures, and a browser can show it."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dgp_mining.cli import main
from dgp_mining.fitting.content import CONTENT
from dgp_mining.mining import mine
from dgp_mining.planning.settings import Settings
from dgp_mining.prior.dictionary import Dictionary
from dgp_mining.report.pooled_statistics import read_pooled_statistics
from dgp_mining.store.store import Chunk, Store

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def run(*arguments: object, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["report", *map(str, arguments)])
    assert done.exit_code == status, done.output
    return done.output


@pytest.fixture
def store(photos: Path, tmp_path: Path) -> Store:
    settings = Settings(crop=32, max_crops=12, iterations=6, snapshots=(0, 3, 6))
    return mine(photos, tmp_path / "a.zarr", settings, scheduler="sync")


class Page(HTMLParser):
    """Collects what a page loads, its headings, and the tags that are left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.headings: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attributes if name in ("src", "href") and value]
        if tag not in ("meta", "img", "rect", "circle", "path", "image", "polyline", "ellipse"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attributes if name in ("src", "href") and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


def test_the_page_is_whole_and_asks_for_nothing(store: Store, tmp_path: Path) -> None:
    run("--store", store.path, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    page = Page(text)
    assert page.open == []
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert not re.search(r"@import|url\(|<script|<link", text)
    for heading in ("Distributions", "Symmetry", "The dictionary", "Snapshots", "Best and worst crops"):
        assert heading in page.headings
    assert str(tmp_path) not in text.replace(str(store.folder), "")
    assert text.count("<h1>") == 1
    for chart in re.findall(r"<svg.*?</svg>", text, re.S):
        ElementTree.fromstring(chart)


def test_its_figures_are_those_of_the_store(store: Store, tmp_path: Path) -> None:
    run("--store", store.path, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    means = read_pooled_statistics(store).means()
    assert f"<b>{means['long_axis']:.3f}</b>" in text
    assert f"<b>{store.psnr.mean():.2f}</b>" in text
    worst = int(store.psnr.argmin())
    assert f"Crop {worst}: " in text
    assert store.fingerprint in text
    assert len(re.findall(r'alt="the crop"', text)) == 6


def test_best_and_worst_crops_are_of_different_photographs_and_the_best_show_something(
    store: Store, tmp_path: Path
) -> None:
    run("--store", store.path, "--out", tmp_path / "r.html")
    shown = re.findall(r"Crop (\d+): ([^,]+),", (tmp_path / "r.html").read_text())
    best, worst = [int(crop) for crop, _ in shown[:3]], [int(crop) for crop, _ in shown[3:]]
    for group in (best, worst):
        assert len({store.plan.image[crop] for crop in group}) == min(3, len(store.plan.names))
    gradient = store.at().content[:, CONTENT.index("gradient")]
    assert (gradient[best] >= np.median(gradient)).all()
    psnr = store.psnr
    assert psnr[worst[0]] == psnr.min()
    assert psnr[best[0]] == psnr[gradient >= np.median(gradient)].max()


def test_start_and_floor_of_the_recipe_are_marked(store: Store, tmp_path: Path) -> None:
    run("--store", store.path, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert text.count('class="mark"') == 5  # l11, l22, S_xx, S_yy and the long axis
    assert "The edge at 0.243 is the recipe's floor" in text


def test_where_images_are_gone_the_page_says_so(store: Store, photos: Path, tmp_path: Path) -> None:
    photos.rename(tmp_path / "moved")
    run("--store", store.path, "--out", tmp_path / "r.html")
    assert "name the folder of the images with --images" in (tmp_path / "r.html").read_text()
    run("--store", store.path, "--out", tmp_path / "r.html", "--images", tmp_path / "moved")
    assert 'alt="the crop"' in (tmp_path / "r.html").read_text()


def test_any_dictionary_can_be_shown(store: Store, tmp_path: Path) -> None:
    kernels = np.random.default_rng(0).uniform(0.3, 1, (50, 3))
    Dictionary(kernels).save(tmp_path / "d.npz")
    run("--store", store.path, "--out", tmp_path / "r.html", "--prior", tmp_path / "d.npz")
    assert "50 kernels" in (tmp_path / "r.html").read_text()


def test_what_cannot_be_reported_is_one_sentence(store: Store, tmp_path: Path) -> None:
    assert "cannot be written" in run("--store", store.path, "--out", tmp_path / "no" / "r.html", status=1)
    assert "does not exist" in run("--store", tmp_path / "b.zarr", status=1)
    store.mark_pending(Chunk(store.parts[0].name, 0))
    assert "still has crops to fit" in run("--store", store.path, "--out", tmp_path / "r.html", status=1)


def test_one_crop_of_one_image_makes_a_page(photos: Path, tmp_path: Path) -> None:
    one = mine(photos, tmp_path / "one.zarr", Settings(crop=64, max_crops=1, iterations=3), scheduler="sync")
    run("--store", one.path, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert "one image only" in text
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", text))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_shows_it_without_a_complaint(store: Store, tmp_path: Path, width: int) -> None:
    run("--store", store.path, "--out", tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    # A script in the page reports whether it is wider than the window, and whether any image is broken.
    probe = (
        "<script>addEventListener('load', () => { const d = document.documentElement;"
        "d.dataset.wide = d.scrollWidth - d.clientWidth;"
        "d.dataset.broken = [...document.images].filter(i => !i.naturalWidth).length;"
        "d.dataset.flat = [...document.querySelectorAll('svg')].filter("
        "s => s.getBoundingClientRect().height < 20).length;});</script></body>"
    )
    (tmp_path / "r.html").write_text(text.replace("</body>", probe))
    arguments = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    arguments += ["--disable-dev-shm-usage"]  # 64 MB of it, in a container, are too few
    arguments += [
        "--enable-logging=stderr",
        f"--window-size={width},1000",
        f"--user-data-dir={tmp_path}/profile",
    ]
    page = (tmp_path / "r.html").as_uri()
    dumped = subprocess.run(
        [*arguments, "--dump-dom", page], capture_output=True, text=True, timeout=120, check=True
    )
    assert "CONSOLE" not in dumped.stderr
    for name in ("wide", "broken", "flat"):
        assert f'data-{name}="0"' in dumped.stdout, name
    shot = tmp_path / "shot.png"
    subprocess.run([*arguments, f"--screenshot={shot}", page], capture_output=True, timeout=120, check=True)
    pixels = np.asarray(Image.open(shot).convert("L")).astype(int)
    assert pixels.shape[1] == width
    assert pixels.std() > 10
