"""A checkpoint brings its own code: it works, and is saved again, where this package is not installed."""

import json

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoModel, AutoModelForAudioClassification, AutoProcessor, pipeline

from modeling_smoothclap import SmoothCLAPForAudioClassification, SmoothCLAPModel, SmoothCLAPProcessor
from tests import tiny
from tests.clean_process import run_without_packages


LABELS = ["a low voice", "a high voice", "низкий голос"]
NAMES = {0: "sad", 1: "pleasantly surprised", 2: "wütend"}
ZERO_SHOT, CLASSES = "zero-shot-audio-classification", "audio-classification"
OWN = "zero-shot-speech-description"
GIVEN = {ZERO_SHOT: {"candidate_labels": LABELS, "hypothesis_template": "{}"}, CLASSES: {}}
KINDS = [(task, family) for task in (ZERO_SHOT, CLASSES) for family in ("wav2vec2", "whisper")]
SHARED = {"audio", "configuration", "decoding", "feature_extraction", "lengths", "loss", "modeling", "towers"}
CODE = {
    task: {f"{name}_smoothclap.py" for name in SHARED | own}
    for task, own in (
        (
            ZERO_SHOT,
            {"batching", "checkpoint", "encoding", "pipeline", "processing", "scores", "streaming", "timeline"},
        ),
        (CLASSES, {"classification"}),
    )
}
AUTO_MAP = {
    ZERO_SHOT: {"AutoModel": "modeling_smoothclap.SmoothCLAPModel"},
    CLASSES: {"AutoModelForAudioClassification": "classification_smoothclap.SmoothCLAPForAudioClassification"},
}

LISTEN = f"""
import numpy as np
from transformers import AutoProcessor, pipeline

source, target = sys.argv[1:]

def listen(task, family):
    folder = f"{{task}}-{{family}}"
    pipe = pipeline(task, model=f"{{source}}/{{folder}}", trust_remote_code=True)
    processor = pipe.feature_extractor
    if task == "{ZERO_SHOT}":
        processor = AutoProcessor.from_pretrained(f"{{source}}/{{folder}}", trust_remote_code=True)
    scores = {{each["label"]: each["score"] for each in pipe(np.load("clip.npy"), **{GIVEN!r}[task])}}
    for part in (pipe.model, processor):
        part.save_pretrained(f"{{target}}/{{folder}}")
    parts = [pipe.model, pipe.model.config, pipe.feature_extractor, processor]
    if task == "{ZERO_SHOT}":
        own = pipeline("{OWN}", model=f"{{source}}/{{folder}}", trust_remote_code=True)
        own_scores = {{each["label"]: each["score"] for each in own("clip.wav", candidate_labels={LABELS!r})}}
        assert set(own_scores) == set(scores) and all(abs(own_scores[name] - scores[name]) < 1e-5 for name in scores)
        own.save_pretrained(f"{{target}}/own-{{folder}}")
        parts.append(own)
    return scores, [type(part).__module__ for part in parts]

result = [listen(*kind) for kind in {KINDS!r}]
result.append([name for name in sys.modules if name.split(".")[0] in ("modeling_smoothclap", "smoothclap_trainer")])
"""


@pytest.fixture(scope="module")
def generations(tmp_path_factory):
    """Checkpoints saved by the package, saved again by a process without it, and by a third; and what both found."""
    folder = tmp_path_factory.mktemp("generations")
    for task, family in KINDS:
        if task == ZERO_SHOT:
            tiny.checkpoint(folder / "first" / f"{task}-{family}", family)
        else:
            weights = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
            model = SmoothCLAPForAudioClassification.from_dual_encoder(tiny.model(family), weights, NAMES)
            for part in (model, tiny.processor(family).feature_extractor):
                part.save_pretrained(folder / "first" / f"{task}-{family}")
    np.save(folder / "clip.npy", tiny.clips(0.1)[0])
    soundfile.write(folder / "clip.wav", tiny.clips(0.1)[0], 16000, subtype="FLOAT")
    found = [
        run_without_packages(LISTEN, folder, source, target, modules_cache=folder / f"modules-{source}")
        for source, target in (("first", "second"), ("second", "third"))
    ]
    return folder, found


@pytest.fixture(scope="module")
def expected(generations):
    return [scores_with_the_package(task, generations[0] / "first" / f"{task}-{family}") for task, family in KINDS]


def scores_with_the_package(task, folder) -> dict[str, float]:
    found = pipeline(task, model=str(folder))(tiny.clips(0.1)[0], **GIVEN[task])
    return {each["label"]: each["score"] for each in found}


def test_processes_without_the_package_use_the_checkpoints_code(generations):
    for *found, packages in generations[1]:
        assert packages == []
        for _, modules in found:
            assert all(name.startswith("transformers_modules.") for name in modules), modules


def test_all_generations_give_the_same_scores(generations, expected):
    assert [set(scores) for scores in expected] == [set(LABELS)] * 2 + [set(NAMES.values())] * 2
    for *found, _ in generations[1]:
        for (scores, _), wanted in zip(found, expected, strict=True):
            assert scores == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("generation", ["first", "second", "third"])
def test_every_generation_carries_its_code(generations, generation):
    for task, family in KINDS:
        folder = generations[0] / generation / f"{task}-{family}"
        assert {path.name for path in folder.glob("*.py")} == CODE[task]
        auto_map = json.loads((folder / "config.json").read_text())["auto_map"]
        assert auto_map == {"AutoConfig": "configuration_smoothclap.SmoothCLAPConfig"} | AUTO_MAP[task]


@pytest.mark.parametrize("generation", ["first", "second", "third"])
def test_every_generation_names_the_pipeline_of_its_dual_encoders(generations, generation):
    for task, family in KINDS:
        named = json.loads((generations[0] / generation / f"{task}-{family}" / "config.json").read_text())
        entry = {OWN: {"impl": "pipeline_smoothclap.SpeechDescriptionPipeline", "pt": ["AutoModel"]}}
        assert named.get("custom_pipelines") == (entry if task == ZERO_SHOT else None)


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_a_pipeline_saves_what_model_and_processor_save(generations, family):
    saved, by_parts = (generations[0] / "second" / f"{own}{ZERO_SHOT}-{family}" for own in ("own-", ""))
    assert {path.name for path in saved.iterdir()} == {path.name for path in by_parts.iterdir()}


@pytest.mark.parametrize("generation", ["second", "third"])
def test_code_and_weights_do_not_change_from_one_generation_to_the_next(generations, generation):
    for task, family in KINDS:
        first, later = (generations[0] / each / f"{task}-{family}" for each in ("first", generation))
        for name in (*CODE[task], "model.safetensors"):
            assert (later / name).read_bytes() == (first / name).read_bytes(), name


@pytest.mark.parametrize("generation", ["second", "third"])
def test_what_remote_code_saved_the_package_loads(generations, generation, expected):
    for (task, family), scores in zip(KINDS, expected, strict=True):
        folder = generations[0] / generation / f"{task}-{family}"
        if task == ZERO_SHOT:
            assert type(AutoModel.from_pretrained(folder)) is SmoothCLAPModel
            assert type(AutoProcessor.from_pretrained(folder)) is SmoothCLAPProcessor
        else:
            model = AutoModelForAudioClassification.from_pretrained(folder)
            assert type(model) is SmoothCLAPForAudioClassification
        assert scores_with_the_package(task, folder) == pytest.approx(scores, abs=1e-6)


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_a_model_of_remote_code_can_train(generations, family):
    # Both kinds of class in one process: nothing may ask whether a config is of this package's own class.
    folder = generations[0] / "first" / f"{ZERO_SHOT}-{family}"
    model = AutoModel.from_pretrained(folder, trust_remote_code=True).train()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    batch = processor(text=LABELS, audio=tiny.clips(0.1, 0.05, 0.07), sampling_rate=16000, return_tensors="pt")
    model(**batch, return_loss=True).loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)
