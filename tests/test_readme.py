"""What the README shows, runs."""

import re
from pathlib import Path

import pytest

from bam_core.cli import COMMANDS, main

README = Path(__file__).parents[1] / "README.md"
DOCS = sorted(README.parent.glob("docs/*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def blocks(path, language):
    return [text for kind, text in BLOCK.findall(path.read_text(encoding="utf-8")) if kind == language]


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 120


def test_python_blocks_run():
    runnable = [text for text in blocks(README, "python") if not text.startswith("# docs: not run")]
    assert runnable
    for text in runnable:
        exec(compile(text, "README.md", "exec"), {})


@pytest.mark.parametrize("path", [README, *DOCS], ids=lambda p: p.name)
def test_python_blocks_are_python(path):
    for text in blocks(path, "python"):
        compile(text, path.name, "exec")


@pytest.mark.parametrize("path", [README, *DOCS], ids=lambda p: p.name)
def test_commands_exist(path, capsys):
    for text in blocks(path, "sh"):
        for line in text.splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["bam"] and len(words) > 1:
                assert words[1] in COMMANDS, line
                with pytest.raises(SystemExit) as stopped:
                    main([*words[1:], "--help"])
                assert stopped.value.code == 0, line
    capsys.readouterr()


@pytest.mark.parametrize("path", [README, *DOCS], ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
        assert target.startswith("http") or (path.parent / target).exists(), target
