"""The builder from archives to a dataset on disk, and the script around it."""

import importlib.util
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import soundfile
from speech import build
from speech import packages as package_files
from speech.build import build_dataset, convert_corpus
from speech.corpora import CORPORA
from speech.dataset import load_splits
from speech.packages import Package
from transformers import HfArgumentParser

from smoothclap_trainer.data import functionals as opensmile_features
from smoothclap_trainer.files import Record, file_sha256

from .archive_makers import write_drascula, write_fillets, write_hedgewars, write_queen


NAMES = ["queen", "drascula", "fillets-cs", "hedgewars"]
SPECS = [CORPORA[name] for name in NAMES]
SCRIPT = Path(__file__).parents[3] / "examples" / "recipes" / "build_speech_dataset.py"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    root = tmp_path_factory.mktemp("packages")
    write_queen(root / "flight-of-the-amazon-queen", with_faults=True)
    write_drascula(root / "drascula")
    write_hedgewars(root / "hedgewars-data")
    write_fillets(root / "fillets-ng-data-cs", root / "fillets-ng-data")
    return {path.name: Package(path.name, "1.0-1", f"hash of {path.name}", path) for path in sorted(root.iterdir())}


@pytest.fixture
def script(monkeypatch):
    """The example script as a module, without its change of verbosity."""
    spec = importlib.util.spec_from_file_location("build_speech_dataset", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "build_speech_dataset", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.logging, "set_verbosity_info", lambda: None)
    return module


def make(packages, folder, **options):
    return build_dataset(SPECS, packages, folder / "speech", folder / "cache", **options)


@pytest.fixture(scope="module")
def built(packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    return folder, *make(packages, folder)


def test_registry_is_sound():
    assert set(CORPORA) == {"queen", "drascula", "fillets-cs", "fillets-nl", "hedgewars"}
    for name, spec in CORPORA.items():
        assert spec.name == name
        assert spec.split in ("train", "test")
        assert spec.split == "train" or not spec.validation_speakers
        assert spec.licence
        assert spec.speakers


def test_splits_hold_the_right_clips(built):
    splits = load_splits(built[0] / "speech")
    assert splits["train"]["speaker"][:] == [
        "queen:joe",
        *["queen:sparky"] * 3,
        "queen:prin",
        "queen:joe",
    ] + [
        "drascula:hacker",
        "drascula:hacker",
        "drascula:vb",
    ]
    assert splits["validation"]["id"][:] == ["queen/CINTR021", "drascula/BJ1"]
    assert splits["validation"]["actor"][:] == ["Jon Coleman", None]
    assert not {*filter(None, splits["validation"]["actor"])} & {*splits["train"]["actor"]}
    assert splits["train"]["transcript"][:] == [
        *("Sure...", "Part 1", "Part 10", "See you!", "Help me!", "Answer 1!", None, None, None)
    ]
    assert splits["test"]["transcript"][:] == ["Zachovejte klid.", "Hlava!", *[None] * 4]
    assert splits["test"]["language"][:] == [*["cs"] * 3, "en", "pl", "en"]
    assert splits["test"]["emotion_intent"][3:] == ["happy", "sad or bored", None]
    assert splits["test"]["package"][0] == "fillets-ng-data-cs"


def test_audio_is_what_the_rows_say(built):
    for split in load_splits(built[0] / "speech").values():
        for row in split:
            info = soundfile.info(row["path"])
            assert (info.samplerate, info.channels, info.format, info.subtype) == (16000, 1, "FLAC", "PCM_16")
            assert row["duration"] == info.frames / 16000
            assert row["sha256"] == file_sha256(row["path"])
            assert row["package_version"] == "1.0-1"


def test_functionals_tell_the_pitch_of_the_tones(built):
    row = load_splits(built[0] / "speech")["validation"][1]
    assert row["F0semitoneFrom27.5Hz_sma3nz_amean"] == pytest.approx(37.5, abs=0.3)  # 240 Hz
    assert set(opensmile_features.functional_names()) <= set(row)


def test_dropped_clips_are_reported_with_reasons(built):
    folder, _, dropped = built
    assert dropped.set_index("id")["reason"].to_dict() == {
        "queen/JOE00021": "too short",
        "queen/JOE00031": "silent",
        "queen/JOE00041": "duplicate audio",
        "queen/JOE00051": "too long",
        "hedgewars/Default/Ow2": "too short",
    }
    assert pd.read_csv(folder / "speech" / build.DROPPED_FILE)["id"].tolist() == dropped["id"].tolist()
    kept = {path.stem for path in (folder / "speech/audio/queen").iterdir()}
    assert kept == {"51001FJ1", "51001FP1", "51001FPA", "51XXXXP2", "C41B_022", "CINTR021", "JOE00011"}


def test_provenance_names_packages_and_licences(built):
    record = json.loads((built[0] / "speech" / Record.PROVENANCE).read_text())
    assert [entry["name"] for entry in record] == NAMES
    assert [package["name"] for package in record[2]["packages"]] == ["fillets-ng-data-cs", "fillets-ng-data"]
    assert record[2]["packages"][1]["sha256"] == "hash of fillets-ng-data"
    assert record[2]["licence"] == "GPL-2.0-only"


def test_a_second_run_converts_and_computes_nothing(built, packages, monkeypatch):
    def never(*arguments):
        raise AssertionError("work was done twice")

    monkeypatch.setattr(build, "decode_clip", never)
    monkeypatch.setattr(opensmile_features, "_functionals", never)
    splits, dropped = make(packages, built[0])
    for name, rows in built[1].items():
        pd.testing.assert_frame_equal(splits[name], rows, check_exact=True, check_dtype=False)
    assert dropped["id"].tolist() == built[2]["id"].tolist()


def test_an_interrupted_run_resumes_to_the_same_result(built, packages, tmp_path, monkeypatch):
    decode, calls = build.decode_clip, []

    def interrupted(clip):
        calls.append(clip.name)
        if len(calls) == 14:
            raise KeyboardInterrupt
        return decode(clip)

    monkeypatch.setattr(build, "decode_clip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make(packages, tmp_path)
    splits, dropped = make(packages, tmp_path)
    assert len(calls) == 14 + 4 + 3 + 4  # queen was done and is kept, drascula starts again
    for name, rows in built[1].items():
        pd.testing.assert_frame_equal(splits[name], rows, check_exact=True, check_dtype=False)
    assert dropped.equals(built[2])


def test_lost_audio_and_new_packages_are_converted_again(packages, tmp_path):
    spec, package = CORPORA["drascula"], packages["drascula"]
    rows, _ = convert_corpus(spec, [package], tmp_path)
    lost = tmp_path / rows["path"][0]
    lost.unlink()
    convert_corpus(spec, [package], tmp_path)
    assert lost.is_file()
    newer, _ = convert_corpus(spec, [replace(package, version="1.0-2", sha256="another")], tmp_path)
    assert set(newer["package_version"]) == {"1.0-2"}


def test_limit_takes_clips_from_the_whole_corpus(packages, tmp_path):
    rows, dropped = convert_corpus(CORPORA["drascula"], [packages["drascula"]], tmp_path, limit=2)
    assert rows["id"].tolist() == ["drascula/52", "drascula/BJ1"]
    assert len(dropped) == 0
    with pytest.raises(ValueError, match="0"):
        convert_corpus(CORPORA["drascula"], [packages["drascula"]], tmp_path, limit=0)


def test_clips_without_pitch_or_functionals_are_dropped(packages, tmp_path, monkeypatch):
    extract = build.extract_table

    def faulty(*arguments):
        table = extract(*arguments)
        table.loc[0, build.PITCH_COLUMN] = 0.0
        table.loc[1, "problem"] = "undefined functionals"
        return table

    monkeypatch.setattr(build, "extract_table", faulty)
    splits, dropped = build_dataset([CORPORA["drascula"]], packages, tmp_path / "speech", tmp_path / "cache")
    assert dropped["id"].tolist() == ["drascula/52", "drascula/53"]
    assert dropped["reason"].tolist() == ["no voiced sound", "undefined functionals"]
    assert splits["train"]["id"].tolist() == ["drascula/VB7"]


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="packs a real .deb, which needs dpkg-deb")
def test_the_script_builds_from_a_package_file(tmp_path, packages, script, capsys, monkeypatch):
    tree = tmp_path / "tree"
    shutil.copytree(packages["drascula"].root, tree)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        "Package: drascula\nVersion: 1.0\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    folder = tmp_path / "cache/packages"
    folder.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "--build", tree, folder / "drascula_1.0_all.deb"], check=True, capture_output=True)
    pinned = {"1.0": file_sha256(folder / "drascula_1.0_all.deb")}
    monkeypatch.setitem(package_files.PINNED, "drascula", pinned)
    options = ["--corpora", "drascula", "--num_workers", "1"]
    options += ["--output", str(tmp_path / "speech"), "--cache", str(tmp_path / "cache")]
    script.main(HfArgumentParser(script.BuildArguments).parse_args_into_dataclasses(options)[0])
    printed = capsys.readouterr().out
    assert f"The dataset is in {tmp_path / 'speech'}" in printed
    assert "drascula" in printed
    assert len(load_splits(tmp_path / "speech")["train"]) == 3


def test_the_script_says_what_is_wrong(tmp_path, script, monkeypatch):
    arguments = script.BuildArguments(output=str(tmp_path / "speech"), cache=str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="'apt-get'"):
        script.main(arguments)
    with pytest.raises(SystemExit, match="'nonsense'"):
        script.main(replace(arguments, corpora=["nonsense"]))
