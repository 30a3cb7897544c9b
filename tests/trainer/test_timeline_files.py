"""Segments of other programs are read, and timelines are files for them."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from modeling_smoothclap import Timeline, Window
from smoothclap_trainer.timeline_files import _runs, draw_timeline, read_segments, write_timeline


TEXTS = ['a "low" voice', "a high voice"]


def made(**changes):
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [np.nan, np.nan], [0.3, 0.7]])
    windows = [Window(0, 2), Window(1, 3), Window(4, 6), Window(5.5, 7.25)]
    parts = {"texts": TEXTS, "windows": windows, "cosines": scores, "scores": scores, "spread": None}
    return Timeline(**parts | {"problems": [None, None, "silent", None]} | changes)


def test_a_table(tmp_path):
    write_timeline(made(), tmp_path / "x.csv")
    rows = list(csv.DictReader((tmp_path / "x.csv").open()))
    assert rows[0] == {
        "start": "0",
        "end": "2",
        "speaker": "",
        "best": TEXTS[0],
        "problem": "",
        TEXTS[0]: "0.9",
        TEXTS[1]: "0.1",
    }
    assert (rows[2]["problem"], rows[2]["best"], rows[2][TEXTS[0]]) == ("silent", "", "")
    write_timeline(made(spread=np.full((4, 2), 0.05)), tmp_path / "x.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert lines[3][TEXTS[1]] == 0.7 and lines[2][TEXTS[1]] is None and lines[0][f"spread of {TEXTS[0]}"] == 0.05


LABELS = [(0, 3, TEXTS[0]), (4, 5.75, "silent"), (5.75, 7.25, TEXTS[1])]
SCORES = [" (0.85)", "", " (0.70)"]
TWO = {
    "texts": ["a <low> voice", "b --> c"],
    "windows": [Window(0, 4, "anna"), Window(1, 3, "ben"), Window(2, 6, "anna"), Window(8, 9, "ben")],
    "scores": np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]]),
    "problems": [None] * 4,
}


def test_labels_of_audacity_join_windows_that_agree(tmp_path):
    write_timeline(made(), tmp_path / "x.txt")
    cells = [line.split("\t") for line in (tmp_path / "x.txt").read_text().splitlines()]
    assert [(float(start), float(end), text) for start, end, text in cells] == [
        (start, end, text + score) for (start, end, text), score in zip(LABELS, SCORES, strict=True)
    ]
    write_timeline(made(**TWO | {"texts": ["two\tlines\n", "b"]}), tmp_path / "y.txt")
    assert (tmp_path / "y.txt").read_text().splitlines()[0] == "0.000\t3.000\tanna: two lines (0.90)"


def test_a_textgrid_is_read_back(tmp_path):
    write_timeline(made(), tmp_path / "x.TextGrid")
    found = read_segments(tmp_path / "x.TextGrid")
    assert found == [Window(start, end, "best description") for start, end, _ in LABELS]
    text = (tmp_path / "x.TextGrid").read_text()
    assert 'text = "a ""low"" voice"' in text and "intervals: size = 4" in text  # 3 to 4 s is an empty one
    assert read_segments(tmp_path / "x.TextGrid", "best description") == found
    with pytest.raises(ValueError, match="words"):
        read_segments(tmp_path / "x.TextGrid", "words")


def test_speakers_have_tiers_of_their_own_and_keep_what_they_say_at_once(tmp_path):
    write_timeline(made(**TWO), tmp_path / "x.TextGrid")
    anna, ben = (read_segments(tmp_path / "x.TextGrid", name) for name in ("anna", "ben"))
    assert anna == [Window(0, 3, "anna"), Window(3, 6, "anna")]  # windows from 0 to 4 and from 2 to 6 share 2 to 4
    assert ben == [Window(1, 3, "ben"), Window(8, 9, "ben")]
    text = (tmp_path / "x.TextGrid").read_text()
    assert text.count("xmax = 9\n") == 5  # the file, two tiers, and the last interval of each


def test_subtitles(tmp_path):
    write_timeline(made(**TWO), tmp_path / "x.vtt")
    assert (tmp_path / "x.vtt").read_text().split("\n\n") == [
        "WEBVTT",
        "00:00:00.000 --> 00:00:03.000\n<v anna>a &lt;low&gt; voice (0.90)",
        "00:00:01.000 --> 00:00:03.000\n<v ben>b --&gt; c (0.80)",
        "00:00:03.000 --> 00:00:06.000\n<v anna>b --&gt; c (0.70)",
        "00:00:08.000 --> 00:00:09.000\n<v ben>b --&gt; c (0.60)\n",
    ]


def test_segments_of_other_programs(tmp_path):
    expected = [Window(1.5, 3.0, "anna"), Window(3.25, 4.0, "ben")]
    (tmp_path / "x.rttm").write_text(
        "SPEAKER talk 1 1.5 1.5 <NA> <NA> anna <NA> <NA>\nSPEAKER talk 1 3.25 .75 <NA> <NA> ben <NA> <NA>\n"
    )
    (tmp_path / "x.csv").write_text("start,end,speaker,text\n1.5,3.0,anna,hello\n3.25,4,ben,\n")
    for name in ("x.rttm", "x.csv"):
        assert read_segments(tmp_path / name) == expected
    (tmp_path / "y.csv").write_text("end,start\n2,1\n")
    assert read_segments(tmp_path / "y.csv") == [Window(1, 2, None)]


TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3
tiers? <exists>
size = 3
item []:
    item [1]:
        class = "IntervalTier"
        name = "anna"
        xmin = 0
        xmax = 3
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1
            text = "yes"
        intervals [2]:
            xmin = 1
            xmax = 3
            text = " "
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3
        points: size = 1
        points [1]:
            number = 1
            mark = "x"
    item [3]:
        class = "IntervalTier"
        name = "ben"
        xmin = 0
        xmax = 3
        intervals: size = 1
        intervals [1]:
            xmin = 1.5
            xmax = 3
            text = "no"
"""


def test_tiers_of_a_textgrid_are_speakers(tmp_path):
    (tmp_path / "x.TextGrid").write_text(TEXTGRID, encoding="utf-16")  # as Praat writes what is not ASCII
    assert read_segments(tmp_path / "x.TextGrid") == [Window(0, 1, "anna"), Window(1.5, 3, "ben")]
    assert read_segments(tmp_path / "x.TextGrid", "ben") == [Window(1.5, 3, "ben")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", "begin,end\n1,2\n"),
        ("x.csv", "start,end\n1,soon\n"),
        ("x.csv", "start,end\n1\n"),
        ("x.csv", ""),
        ("x.rttm", "SPEAKER talk 1\n"),
        ("x.rttm", "SPEAKER one 1 0 1 <NA> <NA> a\nSPEAKER two 1 0 1 <NA> <NA> a\n"),
        ("x.TextGrid", '"ooTextFile"\n"TextGrid"\n0\n1\n<exists>\n1\n"IntervalTier"\n"a"\n0\n1\n1\n0\n1\n"x"\n'),
    ],
)
def test_segments_that_cannot_be_read(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=name):
        read_segments(tmp_path / name)


@pytest.mark.parametrize("name", ["missing.csv", "x.srt", "x"])
def test_files_that_are_no_segments(tmp_path, name):
    with pytest.raises(ValueError, match=name):
        read_segments(tmp_path / name)


def test_an_ending_that_says_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"x\.doc"):
        write_timeline(made(), tmp_path / "x.doc")


def test_a_plot(tmp_path):
    draw_timeline(made(spread=np.full((4, 2), 0.05)), tmp_path / "x.png", "talk.wav")
    assert Image.open(tmp_path / "x.png").size[0] > 1000


def test_curves_break_at_silence_pauses_and_other_speakers():
    times, places = _runs(made())
    assert times.tolist() == [0, 1, 2, 3, 3, 5.5, 6.375, 7.25, 7.25] and places == [0, 0, 1, 1, -1, 3, 3, 3, -1]
    times, places = _runs(made(**TWO))
    assert times.tolist() == [0, 2, 4, 6, 6, 1, 2, 3, 3, 8, 8.5, 9, 9]
    assert places == [0, 0, 2, 2, -1, 1, 1, 1, -1, 3, 3, 3, -1]
