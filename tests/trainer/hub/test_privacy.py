"""Which paths may be published, and which are found before they are."""

from pathlib import Path

import pytest

from smoothclap_trainer.hub.privacy import check_publishable, shareable


def test_paths_become_relative_or_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {
        "dataset": [str(tmp_path / "data" / "clips.csv"), "user/corpus", "../other"],
        "cache_dir": "~/.cache/smoothclap",
        "output_dir": "/data/runs/mine",
        "audio_root": str(tmp_path),
        "columns": {"path": "/"},
        "seed": 3,
        "rates": (0.5, None),
    }
    assert shareable(settings) == {
        "dataset": ["data/clips.csv", "user/corpus", "../other"],
        "cache_dir": "~/.cache/smoothclap",
        "output_dir": "mine",
        "audio_root": tmp_path.name,
        "columns": {"path": ""},
        "seed": 3,
        "rates": [0.5, None],
    }


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "h o me"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpora" / "mine").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    "text",
    [
        *("dataset: {home}/clips.csv", '{{"manifest": "{home}"}}', "file://{home}/x", "[notes]({home}/notes.md)"),
        *("/home/alice/clips.csv", '"/Users/alice"', r'{{"path": "C:\\Users\\alice\\clips.csv"}}', "C:/Users/alice"),
        *(r"dataset: D:\speech\clips.csv", r'{{"path": "d:\\speech\\clips.csv"}}'),
        *("{here}/model", "{corpora}/gone.csv", "({corpora})", "--data={corpora}/mine"),
    ],
)
def test_paths_of_this_machine_are_found(home, text):
    path = home / "file.txt"
    path.write_text("fine\n\n" + text.format(home=Path.home(), here=home, corpora=home / "corpora"))
    with pytest.raises(ValueError, match=r"file\.txt, line 3"):
        check_publishable("file.txt", path, home / "model")


def test_paths_are_found_in_utf_16(home):
    (home / "file.txt").write_text(f"fine\n{Path.home()}/clips.csv", encoding="utf-16")
    with pytest.raises(ValueError, match=r"file\.txt, line 2"):
        check_publishable("file.txt", home / "file.txt", home / "model")


RECORDS = [
    *('{"root": "/mnt/nas/alice/x"}', "root: /scratch/alice", "a,/g/data/x/1.wav", "host:/export/data", "see /data/x."),
    *(
        "--root=/mnt/nas",
        "file:///mnt/nas/x",
        r'"\/mnt\/nas\/x"',
        "(/Volumes/disk/x)",
        "[/lustre/me,/b]",
        "D:/speech/x",
    ),
]


@pytest.mark.parametrize("text", RECORDS)
def test_paths_of_any_machine_are_found_in_records(home, text):
    path = home / "notes.md"
    path.write_text(f"fine\n{text}\n```\n/mnt/nas/alice\n```\n")
    with pytest.raises(ValueError, match=r"notes\.md, line 2"):
        check_publishable(path.name, path, home / "model", is_record=True)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "https://a.org/mnt/nas/x",
            "and/or",
            "1/2/3",
            "2026/11/27",
            "audio/x-wav",
            "/usr/share/games/x",
            "/path/to/x",
        ),
        *(
            "sounds /a/e/o and /p/-/b/",
            "user/model/resolve",
            "~/x/y",
            "../mnt/nas",
            "</p></div>",
            r"\w+/\d+",
            "N/A",
            "/mnt",
        ),
        *("[x](docs/a/b.md)", "s3://bucket/a/b", "km/h/s", "// a / b", "```\n/mnt/nas/alice\n```"),
    ],
)
def test_other_text_of_records_goes(home, text):
    path = home / "notes.md"
    path.write_text(text)
    check_publishable(path.name, path, home / "model", is_record=True)


@pytest.mark.parametrize(
    "text",
    [
        *("dataset: data/clips.csv", "https://example.org/home/alice", "../other", "~/.cache/smoothclap", "a/b/c"),
        *("#!/usr/bin/env python", "/data", "1/2/3", "and/or", "/no/such/place/here", "hf_short", "x/home/y"),
        *(r'{{"a": "b:\nc"}}', r"\alpha: \beta\gamma"),
    ],
)
def test_other_text_goes(home, text):
    path = home / "file.txt"
    path.write_text(text)
    check_publishable("file.txt", path, home / "model")
