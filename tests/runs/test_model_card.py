"""Cards say which data, views and labels, and the figures; a push to a stand-in of the hub brings all of it."""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import huggingface_hub
import pytest
from saved_encoders import READERS, make

from bam_core import PretrainedEncoder
from bam_core.config.registry import load_modality
from bam_core.runs.model_card import active_risks, card_text

EVALUATION = {"verdict": "It is better.", "table": "| accuracy | 100 % |\n|---|---:|\n| bam | .9 |", "notes": ["Few."]}


@pytest.mark.parametrize("name", READERS)
def test_a_card_of_every_domain(name, tmp_path):
    make(name, tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "More Information Needed" not in card
    assert card.startswith("---\nlibrary_name: bam-ssl\n")
    for part in ("## Data", "## Views", "## Training", "## Figures", "## Licence", "PretrainedEncoder.from_pretrained"):
        assert part in card
    assert f"read by `{READERS[name]}`" in card
    modality = load_modality(name)
    risks = active_risks(next(iter(modality.views)), {}, modality)
    assert risks
    assert all(f"- `{key}`: {labels}" in card for key, labels in risks.items())


def test_a_change_that_is_off_destroys_no_label():
    modality = load_modality("ecg")
    default, without = (active_risks("ecg", options, modality) for options in ({}, {"stretch": None}))
    assert "stretch" in default
    assert without == {key: labels for key, labels in default.items() if key != "stretch"}
    assert active_risks("mine.py:Views", {}, modality) == dict(modality.label_risks)


def test_data_rows_figures_and_licence_are_told():
    config = {
        "encoder": {"name": "resnet1d"},
        "facts": {"classes": [f"c{i}" for i in range(30)], "sampling_rate_hz": 250.0},
        "source": {"rows": {"train": 1200, "test": 30}, "data": "0123abc", "steps": 5000, "evaluation": EVALUATION},
        "task": {},
    }
    card = card_text(config, load_modality("ecg"), kind="PretrainedClassifier", licence="cc-by-4.0")
    for said in (
        "# Classifier of ECGs: resnet1d, bam",
        "- rows: 30 of test, 1,200 of train",
        "c19 and 10 more",
        "- sampling rate, Hz: 250.0",
        "- optimiser steps: 5,000",
        "It is better.",
        "| bam | .9 |",
        "- Few.",
        "The weights: cc-by-4.0.",
        'model.predict("new_data")',
        "Nothing is known of the views.",
    ):
        assert said in card
    bare = card_text({"encoder": {"name": "x"}}, load_modality("ecg"), kind="PretrainedEncoder")
    assert "Nothing is known of the data." in bare
    assert "It was not evaluated" in bare
    assert "Of the weights none was stated." in bare


class Hub(ThreadingHTTPServer):
    """As much of the Hugging Face hub as an upload needs; it keeps what it is given."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Answers)
        self.files, self.created = {}, []

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        hub = self.server
        if self.path == "/api/repos/create":
            hub.created.append(json.loads(body)["name"])
            self._answer({"url": f"{hub.address}/me/ecgs", "id": "me/ecgs"})
        elif "/preupload/" in self.path:
            kinds = [{"path": one["path"], "uploadMode": "regular"} for one in json.loads(body)["files"]]
            self._answer({"files": [{**one, "shouldIgnore": False, "oid": None} for one in kinds]})
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self._answer({"commitUrl": f"{hub.address}/me/ecgs/commit/{'a' * 40}", "commitOid": "a" * 40})
        else:
            self._answer({"warnings": [], "errors": []})

    def do_GET(self):
        self._answer({"id": "me/ecgs", "sha": "a" * 40, "siblings": []})

    def _answer(self, content):
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch):
    server = Hub()
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.address)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.filterwarnings("ignore")
def test_a_push_brings_weights_config_and_card(hub, tmp_path):
    saved = make("ecg", tmp_path / "encoder")
    saved.source = saved.config["source"] = {**saved.source, "evaluation": EVALUATION}
    address = saved.push_to_hub("me/ecgs", token="hf_nothing", model_card_kwargs={"license": "cc-by-4.0"})
    assert str(address).startswith(hub.address)
    assert hub.created == ["ecgs"]
    assert {"README.md", "config.json", "model.safetensors"} <= hub.files.keys()
    card = hub.files["README.md"].decode()
    assert "license: cc-by-4.0" in card
    assert "It is better." in card
    for name, content in hub.files.items():
        (tmp_path / "back").mkdir(exist_ok=True)
        (tmp_path / "back" / name).write_bytes(content)
    again = PretrainedEncoder.from_pretrained(tmp_path / "back")
    assert again.source["evaluation"] == EVALUATION
    for name, value in saved.state_dict().items():
        assert (again.state_dict()[name] == value).all()
