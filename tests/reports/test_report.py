import base64
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from bam_core import InputError
from bam_core.probes.embeddings import EmbeddingFigures
from bam_core.probes.metrics import figure
from bam_core.probes.verdict import comparisons
from bam_core.reports.curves import curve_drawings, read_curves
from bam_core.reports.differences import difference_chart
from bam_core.reports.pictures import AttentionPicture, EmbeddingMap, Gallery, NeighbourRows
from bam_core.reports.report import ReportContent, write_report

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Collects what a page holds, and fails on tags that are not closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.targets, self.ids, self.text = [], [], [], [], ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(attributes)
        self.targets += [attributes[key] for key in ("src", "href", "action") if key in attributes]
        self.ids += [attributes["id"]] if "id" in attributes else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text += data


def draw(axes, sample):
    axes.plot(np.asarray(sample["x"]))
    axes.set_axis_off()


@pytest.fixture
def metrics():
    n = 1000
    return pd.DataFrame(
        {
            "step": np.arange(n),
            "train/loss": 6 - np.linspace(0, 2, n),
            "train/kl_step": np.linspace(0.1, 0.4, n),
            "target_entropy": np.linspace(5, 4, n),
            "attention_entropy": np.linspace(5.5, 4.2, n),
            "rankme": np.where(np.arange(n) % 50 == 0, 20.0, np.nan),
            "lr-AdamW": np.linspace(1e-3, 0, n),
            "samples/s": 1.0,
        }
    )


@pytest.fixture
def content(task, results, metrics):
    features, labels = task
    batch = {"x": torch.randn(12, 30)}
    embeddings = features["signal"].test
    rows = torch.randn(24, 6)
    return ReportContent(
        title="Run <1> & more",
        results=results,
        metrics=metrics,
        uniform_loss=math.log(510),
        map=EmbeddingMap(embeddings, features["noise"].test, labels.test, labels.classes, max_tsne_points=60),
        draw=draw,
        gallery=Gallery.of_batch(batch, [batch, batch], ["a"] * 12),
        attention=AttentionPicture.of_projections(rows, labels=np.arange(12) % 3, classes=["a", "b", "c"]),
        neighbours=NeighbourRows.find(
            embeddings,
            lambda i: {"x": embeddings[i]},
            labels=labels.test,
            classes=labels.classes,
            groups=labels.test_groups,
        ),
        set_aside=[("records/7.dat", "truncated <header>")],
        repairs={"NaN gap": 1200},
        notes=["Column 'Patient_ID' is taken as the group."],
        recipe="train:\n  epochs: 5\n",
        versions={"torch": torch.__version__},
        seeds={"training": 3},
        command="bam pretrain recipe.yaml train.epochs=5",
    )


def page_of(content, tmp_path):
    path = write_report(tmp_path / "report.html", content)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


@pytest.mark.slow
def test_the_page_is_whole_and_self_contained(content, tmp_path):
    text, page = page_of(content, tmp_path)
    assert all(target.startswith(("data:image/", "#")) for target in page.targets)
    outside = re.sub(r"base64,[^\"]*", "", text).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(|<script[^>]*src|fetch\(|XMLHttp", outside)
    assert {target[1:] for target in page.targets if target.startswith("#")} <= set(page.ids)
    assert len(page.images) == 2 + 5 + 4 + 1 + 1 + 2
    assert all(len(image["alt"]) > 20 for image in page.images)
    for image in page.images:
        kind, _, data = image["src"].partition(";base64,")
        raw = base64.b64decode(data)
        if kind == "data:image/png":
            pixels = np.asarray(Image.open(io.BytesIO(raw)).convert("L"))
            assert pixels.std() > 5  # not an empty picture
        else:
            assert b"<svg" in raw
    assert len(text) < 3_000_000


@pytest.mark.slow
def test_it_says_what_happened(content, results, tmp_path):
    text, page = page_of(content, tmp_path)
    assert page.text.lower().count("collapse") >= 6
    assert results.headline() in page.text
    assert results.verdict() in page.text
    assert "<title>Run &lt;1&gt; &amp; more</title>" in text
    row = results.row("signal", "linear", 0.1)
    for expected in (
        f"{row.mean:.3f}",
        f"± {row.spread:.3f}",
        results.protocol.hash(),
        *results.notes,
        "records/7.dat",
        "truncated <header>",
        "1,200",
        "Patient_ID",
        "epochs: 5",
        torch.__version__,
        "bam pretrain recipe.yaml train.epochs=5",
        "Balanced accuracy",
        "from other groups",
    ):
        assert expected in page.text, expected
    best = max(results.features, key=lambda name: results.row(name, "linear", 0.1).mean)
    assert f"<b>{results.row(best, 'linear', 0.1).mean:.3f}</b>" in text


@pytest.mark.slow
def test_runs_without_labels_get_a_useful_page(content, tmp_path):
    embeddings = np.asarray(content.map.embeddings)
    unlabelled = replace(
        content,
        results=None,
        map=replace(content.map, labels=None, classes=()),
        attention=AttentionPicture.of_projections(torch.randn(24, 6)),
        neighbours=NeighbourRows.find(embeddings, lambda i: {"x": embeddings[i]}),
        set_aside=(),
        repairs={},
    )
    _, page = page_of(unlabelled, tmp_path)
    assert len(page.images) == 13
    assert "results" not in [target[1:] for target in page.targets]
    for expected in (
        "No labels were used",
        "Untrained encoder: RankMe",
        "Trained encoder: RankMe",
        "The loss ended at 4.00 nats, of which 0.40 are kl.",
        "Without labels, look for islands",
        "None: every input could be used.",
        "sorted along the first principal component",
    ):
        assert expected in page.text, expected


def test_collapse_is_said_in_words(metrics, tmp_path):
    uniform = metrics.assign(kl=0.04, target_entropy=6.2, uniform_loss=math.log(510))
    figures = {"BAM": EmbeddingFigures(128, 1.1, 0.001)}
    _, page = page_of(ReportContent("x", metrics=uniform, figures=figures), tmp_path)
    assert "BAM: RankMe 1.1 of 128, embedding spread 0.00 (nearly all vectors point in one direction)." in page.text
    assert "has collapsed, or has learnt nothing yet: the attention knows nothing (target entropy 6.20" in page.text
    assert "Nothing in the training points to a collapse" not in page.text


def test_a_report_says_one_thing_only(metrics, results, tmp_path):
    """Embeddings that share a large component are no collapse while the attention tells samples apart."""
    healthy = metrics.assign(kl=0.4, target_entropy=3.0, uniform_loss=math.log(510), projections_rankme=20.0)
    figures = {"BAM": EmbeddingFigures(128, 9.0, 0.001)}
    for content in (
        ReportContent("x", metrics=healthy, figures=figures),
        ReportContent("x", metrics=healthy, results=results),
    ):
        _, page = page_of(content, tmp_path)
        assert (
            "Nothing in the training points to a collapse: kl 0.40, target entropy 3.00 of at most 6.23 nats"
            in page.text
        )
        assert "collapsed" not in page.text


PARTS = ["results", "metrics", "map", "gallery", "attention", "neighbours", "recipe", "command", "versions", "seeds"]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_stands_alone(content, part, tmp_path):
    _, page = page_of(ReportContent("One part", draw=draw, **{part: getattr(content, part)}), tmp_path)
    assert "None" not in page.text.replace("None: every", "").replace("None.", "")


def test_an_empty_report_and_one_without_draw(content, tmp_path):
    _, page = page_of(ReportContent("Nothing", verdict="We saw nothing."), tmp_path)
    assert "We saw nothing." in page.text
    assert not page.images
    _, page = page_of(replace(content, draw=None), tmp_path)
    assert "Nearest neighbours" not in page.text
    assert len(page.images) == 13


@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_maps_of_few_points(n, tmp_path):
    _, page = page_of(ReportContent("Few", map=EmbeddingMap(np.random.default_rng(0).normal(size=(n, 4)))), tmp_path)
    assert len(page.images) == (2 if n > 9 else 1)


def test_a_multi_label_map(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (40, 25))
    embeddings = np.random.default_rng(1).normal(size=(40, 4))
    text, _ = page_of(
        ReportContent("Many", map=EmbeddingMap(embeddings, None, labels, [f"c{i}" for i in range(25)])), tmp_path
    )
    assert "▲" in text
    assert "■" in text


def test_embeddings_that_are_not_finite_are_refused(tmp_path):
    with pytest.raises(InputError, match="embeddings of the map: 1 of 3 rows hold NaN"):
        write_report(tmp_path / "r.html", ReportContent("x", map=EmbeddingMap(np.array([[1.0], [np.nan], [2.0]]))))
    assert not (tmp_path / "r.html").exists()


def test_curves_are_found_by_the_last_part_of_their_name(metrics):
    curves = read_curves(metrics)
    assert list(curves) == ["loss", "kl", "target_entropy", "attention_entropy", "rankme", "learning_rate"]
    steps, values = curves["rankme"]
    assert steps.tolist() == list(range(0, 1000, 50))
    assert (values == 20).all()
    assert read_curves(pd.DataFrame({"loss": [2.0, 1.0], "kl": [np.nan, np.nan]}))["loss"][0].tolist() == [0, 1]


def test_panels_are_those_that_the_log_has(metrics):
    titles = [drawing.title for drawing in curve_drawings(metrics)]
    assert titles == [
        "Loss",
        "What is left to learn, kl (nats)",
        "Entropies (nats)",
        "RankMe of the embeddings",
        "Learning rate",
    ]
    only = curve_drawings(metrics[["step", "train/loss"]], uniform_loss=6.2)
    assert [drawing.title for drawing in only] == ["Loss"]
    assert only[0].alt.endswith("loss from 6 to 4. uniform, log(N - T): 6.2.")
    assert curve_drawings(metrics[["step"]]) == []


def test_points_of_the_maps_have_names_and_two_kinds_of_colours(content, task, tmp_path):
    _, labels = task
    n = len(labels.test)
    named = replace(content.map, groups=labels.test_groups, ids=[f"row-</script>{i}" for i in range(n)])
    text, _ = page_of(replace(content, map=named), tmp_path)
    found = re.search(r'<script type="application/json" id="map-data">(.*?)</script>', text, re.DOTALL)
    points = json.loads(found[1])
    assert points["ids"][3] == "row-</script>3"
    by_label, by_group = points["schemes"]
    assert (by_label["of"], by_group["of"]) == ("label", "group")
    assert by_group["names"] == [str(group) for group in labels.test_groups]
    assert [by_label["styles"][k]["name"] for k in by_label["style_of"]] == [labels.classes[k] for k in labels.test]
    assert [len(layout["rows"]) for layout in points["layouts"]] == [n, n, 60, 60]
    for layout in points["layouts"]:
        assert 0 <= min(layout["x"]) < max(layout["x"]) <= 1000
        assert 0 <= min(layout["y"]) < max(layout["y"]) <= 900


def test_differences_are_drawn_for_every_number_of_labels(results, tmp_path):
    drawing = difference_chart(results, "signal")
    assert drawing.title.endswith("signal minus the others")
    pairs = [pair for pair in comparisons(results, "signal", "noise") if pair.ours.probe == "linear"]
    assert [pair.ours.fraction for pair in pairs] == [1.0, 0.1]
    for pair in pairs:
        gain, spread = (figure(value, pair.ours.metric) for value in (pair.gain, pair.spread))
        assert f"noise, {pair.ours.fraction * 100:g} %: {gain} ± {spread}" in drawing.alt
    alone = replace(results, rows=tuple(row for row in results.rows if row.features == "signal"))
    assert difference_chart(alone, "signal") is None
