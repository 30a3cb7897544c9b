"""A checkpoint brings its own code: it works, and is saved again, where this package is not installed."""

import json

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoProcessor, pipeline

from modeling_smoothclap import SmoothCLAPModel, SmoothCLAPProcessor
from tests import tiny
from tests.clean_process import run_without_packages


LABELS = ["a low voice", "a high voice", "низкий голос"]
FILES = {
    f"{name}_smoothclap.py"
    for name in ("audio", "configuration", "feature_extraction", "loss", "modeling", "processing", "towers")
}

CLASSIFY = f"""
import numpy as np
from transformers import AutoProcessor, pipeline

source, target = sys.argv[1:]
pipe = pipeline("zero-shot-audio-classification", model=source, trust_remote_code=True)
clip = np.load("clip.npy")
found = pipe(clip, candidate_labels={LABELS!r}, hypothesis_template="{{}}")
processor = AutoProcessor.from_pretrained(source, trust_remote_code=True)
result = {{
    "scores": {{each["label"]: each["score"] for each in found}},
    "modules": [type(part).__module__ for part in (pipe.model, pipe.model.config, pipe.feature_extractor, processor)],
    "packages": [name for name in sys.modules if name.split(".")[0] in ("modeling_smoothclap", "smoothclap_trainer")],
}}
pipe.model.save_pretrained(target)
processor.save_pretrained(target)
"""


@pytest.fixture(scope="module", params=["wav2vec2", "whisper"])
def generations(request, tmp_path_factory):
    """A checkpoint saved by the package, saved again by a process without it, and by a third; and what both found."""
    folder = tmp_path_factory.mktemp("generations")
    tiny.checkpoint(folder / "first", request.param)
    np.save(folder / "clip.npy", tiny.clips(0.1)[0])
    found = [
        run_without_packages(CLASSIFY, folder, source, target, modules_cache=folder / f"modules-{source}")
        for source, target in (("first", "second"), ("second", "third"))
    ]
    return folder, found


def scores_with_the_package(folder) -> dict[str, float]:
    pipe = pipeline("zero-shot-audio-classification", model=str(folder))
    found = pipe(tiny.clips(0.1)[0], candidate_labels=LABELS, hypothesis_template="{}")
    return {each["label"]: each["score"] for each in found}


def test_processes_without_the_package_use_the_checkpoints_code(generations):
    for found in generations[1]:
        assert found["packages"] == []
        assert all(name.startswith("transformers_modules.") for name in found["modules"]), found["modules"]


def test_all_generations_give_the_same_scores(generations):
    folder, found = generations
    expected = scores_with_the_package(folder / "first")
    assert set(expected) == set(LABELS)
    for each in found:
        assert each["scores"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("generation", ["first", "second", "third"])
def test_every_generation_carries_its_code(generations, generation):
    folder = generations[0] / generation
    assert {path.name for path in folder.glob("*.py")} == FILES
    assert json.loads((folder / "config.json").read_text())["auto_map"] == {
        "AutoConfig": "configuration_smoothclap.SmoothCLAPConfig",
        "AutoModel": "modeling_smoothclap.SmoothCLAPModel",
    }


@pytest.mark.parametrize("generation", ["second", "third"])
def test_code_and_weights_do_not_change_from_one_generation_to_the_next(generations, generation):
    first, later = generations[0] / "first", generations[0] / generation
    for name in (*FILES, "model.safetensors"):
        assert (later / name).read_bytes() == (first / name).read_bytes(), name


@pytest.mark.parametrize("generation", ["second", "third"])
def test_what_remote_code_saved_the_package_loads(generations, generation):
    folder = generations[0] / generation
    assert type(AutoModel.from_pretrained(folder)) is SmoothCLAPModel
    assert type(AutoProcessor.from_pretrained(folder)) is SmoothCLAPProcessor
    assert scores_with_the_package(folder) == pytest.approx(scores_with_the_package(generations[0] / "first"), abs=1e-6)


def test_a_model_of_remote_code_can_train(generations):
    # Both kinds of class in one process: nothing may ask whether a config is of this package's own class.
    folder = generations[0] / "first"
    model = AutoModel.from_pretrained(folder, trust_remote_code=True).train()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    batch = processor(text=LABELS, audio=tiny.clips(0.1, 0.05, 0.07), sampling_rate=16000, return_tensors="pt")
    model(**batch, return_loss=True).loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.requires_grad)
