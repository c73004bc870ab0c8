"""Whatever is said stays text: no markup, no script, no escape, no formula in page, Markdown or JSON."""

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

from evaluations import evaluation, silent
from hypothesis import given, settings
from hypothesis import strategies as st

from hqre_jax.bridge.models import Reply, Usage
from hqre_jax.bridge.report import write_report
from hqre_jax.bridge.report._figures import gain_plot, margin_plot
from hqre_jax.bridge.report._markdown import markdown
from hqre_jax.bridge.report._safe import for_html, for_markdown
from hqre_jax.bridge.report._shown import Shown
from hqre_jax.bridge.report._transcripts import _play
from hqre_jax.core._text import harmless

HOSTILE = [
    "</pre></td></table><script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "<img src=x onerror=alert(1)>",
    "]]><svg/onload=alert(1)>",
    "&lt;b&gt; &#60;i&#62;",
    "\x1b[2J\x1b]0;gone\x07",
    "\u202egnp.exe",
    '=HYPERLINK("http://x")',
    "+1+cmd|' /C calc'!A0",
    "| --- | # heading\n- list",
    "![x](javascript:alert(1)) [y](http://x) <http://x>",
    "`code` **bold** ~~gone~~ $x$",
    "Agent 2: I vote B\nThe budget is spent.",
]
texts = st.one_of(
    st.sampled_from(HOSTILE), st.text(max_size=60), st.text(alphabet="<>&\"'/=`|\\\n\x1b\u202eab", max_size=30)
)


class Skeleton(HTMLParser):
    """Tags with their attributes, and all text that is not in a style."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, tuple(sorted(attrs))))

    def handle_data(self, data):
        self.text += data


def play(text: str) -> dict:
    turn = {
        "agent": text, "control": text, "probability": 0.5, "why": text, "shown": [["user", text]], "stream": [text],
        "said": text, "answer": text, "tokens": 3, "cost": 0.1, "failure": None,
    }  # fmt: skip
    return {
        "question": 0, "text": text, "right_answer": text, "score": 1.0, "answer": text, "reason": text, "tokens": 3,
        "steps": [[turn]],
    }  # fmt: skip


@given(texts)
@settings(max_examples=80, deadline=None)
def test_a_transcript_has_the_same_skeleton_whatever_is_said(text):
    plain, shown = Skeleton(_play(play("plain"))), Skeleton(_play(play(text)))
    assert shown.tags == plain.tags
    assert harmless(text, keep="\n") in shown.text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", shown.text)


@given(texts)
@settings(max_examples=80, deadline=None)
def test_text_comes_back_as_it_was(text):
    assert html.unescape(for_html(text)) == harmless(text, keep="\n")
    assert not set("<>\"'") & set(for_html(text))
    line = for_markdown(text)
    assert "\n" not in line
    # Every character that means something to Markdown, HTML or a spreadsheet stands behind a backslash.
    assert re.sub(r"\\(.)", r"\1", line) == harmless(" ".join(text.split()))
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]()<>#+\-.!|~&$^=@:/'\"]", line)


@given(texts, texts)
@settings(max_examples=60, deadline=None)
def test_a_table_keeps_its_shape(one, other):
    table = Shown(one, ("a", other), [(one, other), (other, one)])
    lines = markdown(one, [other], {"t": table}).splitlines()
    assert len(lines) == len(markdown("x", ["y"], {"t": Shown("z", ("a", "b"), [("c", "d"), ("e", "f")])}).splitlines())
    for line in lines[-4:]:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3


def test_a_whole_report_of_hostile_agents(tmp_path, monkeypatch):
    """Agents say all of it, and the policy's file, the team's title and a setting are called so."""
    text = "\n".join(HOSTILE)
    for name in ("learning_curves", "margins"):
        monkeypatch.setattr(f"hqre_jax.bridge.evaluation._run.{name}", lambda *arguments: None)
    pages = []
    for number, said in enumerate(("A plain", text)):
        folder = tmp_path / str(number)
        run, plan, _ = evaluation(
            folder, lambda request, said=said: Reply(f"A{said}", "stop", Usage(9, 0, 9)), ("single",), 2
        )
        policies = ((said, run.policies[0][1]),)
        replace(run, policies=policies).run(replace(plan, team=said, policies=((said, "d"),)), silent)
        write_report(folder, resamples=10)
        pages.append((folder / "report.html").read_text())
        document = (folder / "report.json").read_text()
        assert document.isascii()
        assert json.loads(document)["plan"]["team"] == said
        assert "\x1b" not in pages[-1] + (folder / "report.md").read_text()
    plain, hostile = (Skeleton(page) for page in pages)
    tags = [[tag for tag in one.tags if "id" not in dict(tag[1]) and tag[0] != "path"] for one in (plain, hostile)]
    assert tags[0] == tags[1]
    allowed = {name for name, _ in plain.tags}
    assert not allowed & {"script", "iframe", "object", "embed", "form", "link", "a", "base"}
    assert not any(key.startswith("on") for _, attributes in hostile.tags for key, _ in attributes)
    assert "default-src 'none'" in pages[1]


def test_pictures_of_hostile_names():
    """A class may be called anything: the picture stays well-formed, and its words are text."""
    name = "</text><script>$\\frac{1}{0}$ \x1b[2J \u202e 数学 " + "x" * 300
    row = {
        "class": name, "round": 1, "agreement": None, "margin": 0.1, "low": 0.0, "high": 0.2,
    }  # fmt: skip
    svg = margin_plot([row, row | {"low": None, "high": None}])
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert not [node for node in root.iter() if node.tag.endswith("script")]
    gains = [{"against": name, "method": name, "family": "single", "budget": 1.0, "gain": 0.1, "gain_low": 0.0,
              "gain_high": 0.2}]  # fmt: skip
    ElementTree.fromstring(gain_plot(gains))
