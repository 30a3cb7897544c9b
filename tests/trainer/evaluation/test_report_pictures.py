import pytest

from smoothclap_trainer.evaluation import plots as report_pictures
from smoothclap_trainer.evaluation.plots import captions, draw_pictures, file_stems
from tests.trainer.evaluation.made_up_results import made_up_arrays, made_up_results


@pytest.mark.parametrize(
    ("pairs", "stems"),
    [
        ([("iemocap-4", "user/name")], ["iemocap-4-user-name"]),
        ([("t", "/a/b"), ("t", "a/b"), ("t", "A-b")], ["t-a-b", "t-a-b-2", "t-A-b-3"]),
        ([("a-b", "c"), ("a", "b-c")], ["a-b-c", "a-b-c-2"]),
        ([("t", "../../etc"), ("t", "C:\\x y?*.pt")], ["t-etc", "t-C-x-y-.pt"]),
        ([("Ärger", "日本"), ("日本", "語")], ["rger", "task"]),
        ([("t", "a-2"), ("t", "a"), ("t", "a/")], ["t-a-2", "t-a", "t-a-3"]),
    ],
)
def test_names_of_files_are_safe_and_differ(pairs, stems):
    assert list(file_stems(pairs)) == pairs
    assert list(file_stems(pairs).values()) == stems


def test_long_names_are_cut():
    (stem,) = file_stems([("t", "x" * 5000)]).values()
    assert stem == f"t-{'x' * 118}"


def test_every_picture_has_its_caption_by_its_name(tmp_path):
    results = made_up_results()
    told = captions(results)
    assert len(told) == 2 * 2 * 4
    assert told["sessions-4-a-b-map.png"] == "Emotion map of /a/b in Sessions 4: clips and text queries on one plane"
    task = results["tasks"][0]
    stem = file_stems([("sessions-4", "/a/b")])["sessions-4", "/a/b"]
    drawn = draw_pictures(task, task["results"][1], made_up_arrays()["sessions-4", "/a/b"], tmp_path, stem)
    assert [picture.alt for picture in drawn] == [told[picture.path.name] for picture in drawn]
    assert len(drawn) == 4


def test_titles_say_what_is_shown_and_how_sure_it_is(monkeypatch, tmp_path):
    titles = []
    for name in ("confusion_picture", "reliability_picture", "emotion_map_picture"):
        monkeypatch.setattr(report_pictures, name, lambda *arguments: titles.append(arguments[-2]))
    task = made_up_results()["tasks"][1]
    drawn = draw_pictures(task, task["results"][0], made_up_arrays()["Made up/2", "user/name"], tmp_path, "x")
    assert titles == [
        f"{kind}: Made up 2 (SYNTHETIC)\nuser/name\nUAR 0.380 [0.300, 0.450], chance 0.500"
        for kind in ("Confusion matrix", "Reliability of scores", "Emotion map")
    ]
    assert [picture.path.name for picture in drawn] == ["x-confusion.png", "x-reliability.png", "x-map.png"]
