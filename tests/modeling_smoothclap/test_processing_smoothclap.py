"""The processor: one call for clips, texts or both, and two masks that never meet."""

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoFeatureExtractor, AutoModel, AutoProcessor, AutoTokenizer, BertTokenizer

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPModel, SmoothCLAPProcessor
from modeling_smoothclap.audio_smoothclap import read_audio
from tests import tiny


TEXTS = ["a low voice", "a very high and rather sad voice", "低い声"]
each_kind = pytest.mark.parametrize("family", ["wav2vec2", "whisper"])


def names_of(family: str) -> list[str]:
    return ["input_features" if family == "whisper" else "input_values", "audio_attention_mask"]


@each_kind
def test_texts_alone(family):
    batch = tiny.processor(family)(text=TEXTS, return_tensors="pt")
    assert set(batch) == {"input_ids", "attention_mask"}
    expected = tiny.tokenizer()(TEXTS, padding=True, return_tensors="pt")
    assert torch.equal(batch["input_ids"], expected["input_ids"])
    assert torch.equal(batch["attention_mask"], expected["attention_mask"])


@each_kind
def test_clips_alone(family):
    processor, clips = tiny.processor(family), tiny.clips(0.1, 0.05)
    batch = processor(audio=clips, sampling_rate=16000, return_tensors="pt")
    assert set(batch) == set(names_of(family))
    expected = processor.feature_extractor(clips, sampling_rate=16000, return_tensors="pt")
    for name in names_of(family):
        assert torch.equal(batch[name], expected[name])


@each_kind
def test_both_together_keep_both_masks(family):
    processor, clips = tiny.processor(family), tiny.clips(0.1, 0.05)
    batch = processor(text=TEXTS, audio=clips, sampling_rate=16000, return_tensors="pt")
    texts = processor(text=TEXTS, return_tensors="pt")
    audio = processor(audio=clips, sampling_rate=16000, return_tensors="pt")
    assert set(batch) == set(texts) | set(audio)
    for name, value in {**texts, **audio}.items():
        assert torch.equal(batch[name], value), name
    assert batch["attention_mask"].shape != batch["audio_attention_mask"].shape


@each_kind
def test_what_it_returns_goes_into_the_model(family):
    batch = tiny.processor(family)(text=TEXTS, audio=tiny.clips(0.1, 0.05), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        assert tiny.model(family)(**batch).logits_per_audio.shape == (2, 3)


def test_one_clip_and_one_text():
    batch = tiny.processor()(text="a low voice", audio=tiny.clips(0.1)[0], sampling_rate=16000, return_tensors="pt")
    assert batch["input_ids"].shape[0] == batch["input_values"].shape[0] == 1


@each_kind
def test_it_names_its_inputs(family):
    names = tiny.processor(family).model_input_names
    assert set(names_of(family)) <= set(names)
    assert {"input_ids", "attention_mask"} <= set(names)


def test_options_for_each_side():
    processor = copy.deepcopy(tiny.processor())  # a tokenizer remembers how it padded last
    batch = processor(
        text=TEXTS,
        audio=tiny.clips(0.1, 0.05),
        text_kwargs={"padding": "max_length", "max_length": 40},
        audio_kwargs={"sampling_rate": 16000, "padding": "max_length", "max_length": 3000},
        return_tensors="np",
    )
    assert batch["input_ids"].shape == (3, 40)
    assert batch["input_values"].shape == (2, 3000)


def test_errors_of_the_clips_come_through():
    with pytest.raises(ValueError, match="`sampling_rate`"):
        tiny.processor()(text=TEXTS, audio=tiny.clips(0.1))
    with pytest.raises(ValueError, match=r"Clip 1 .*int16"):
        tiny.processor()(audio=[*tiny.clips(0.1), np.zeros(800, np.int16)], sampling_rate=16000)


def test_neither_clips_nor_texts_is_refused():
    with pytest.raises(ValueError):
        tiny.processor()()


def test_a_tokenizer_that_pads_on_the_left_is_refused(tmp_path):
    tiny.tokenizer().save_pretrained(tmp_path)
    left = AutoTokenizer.from_pretrained(tmp_path, padding_side="left")
    with pytest.raises(ValueError, match="padding_side"):
        SmoothCLAPProcessor(SmoothCLAPFeatureExtractor(), left)


def test_a_tokenizer_that_transformers_made_up_is_refused():
    # Where a directory has no tokenizer files, transformers gives a tokenizer that knows its special tokens only.
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        SmoothCLAPProcessor(SmoothCLAPFeatureExtractor(), BertTokenizer())


@pytest.fixture
def files(tmp_path):
    """A clip at 8 kHz as a file, and as the model hears it."""
    path = tmp_path / "a.wav"
    soundfile.write(path, tiny.clips(0.2)[0], 8000, subtype="FLOAT")
    return path, read_audio(path, 16000)


@each_kind
def test_files_need_no_rate(files, family):
    path, clip = files
    processor = tiny.processor(family)
    expected = processor(audio=[clip, clip], sampling_rate=16000, return_tensors="np")
    row = {"path": None, "bytes": path.read_bytes()}
    for given in (
        [str(path), str(path)],
        [path, path.read_bytes()],
        (path, {"audio": row}),
        np.array([str(path)] * 2),
        [{"array": tiny.clips(0.2)[0], "sampling_rate": 8000}, path],
    ):
        for batch in (processor(audio=given, return_tensors="np"), processor.feature_extractor(given)):
            for name, value in expected.items():
                np.testing.assert_array_equal(batch[name], value)
    one = processor.feature_extractor(str(path), return_tensors="np")
    np.testing.assert_array_equal(one[names_of(family)[0]], expected[names_of(family)[0]][:1])
    np.testing.assert_array_equal(
        processor(audio=path.read_bytes())[names_of(family)[0]][0], one[names_of(family)[0]][0]
    )


def test_among_files_a_waveform_still_needs_its_rate(files):
    path, clip = files
    with pytest.raises(ValueError, match="`sampling_rate` is missing"):
        tiny.processor()(audio=[path, clip])
    assert tiny.processor()(audio=[path, clip], sampling_rate=16000)["input_values"].shape[0] == 2
    with pytest.raises(ValueError, match="8000 Hz but this model takes 16000"):
        tiny.processor()(audio=path, sampling_rate=8000)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.wav"):
        tiny.processor()(audio=[str(tmp_path / "nowhere.wav")])


def test_threads_with_different_options_share_one_processor(tmp_path):
    """A tokenizer keeps padding and truncation of a call in its shared state."""
    tiny.tokenizer().save_pretrained(tmp_path)
    processor = SmoothCLAPProcessor(SmoothCLAPFeatureExtractor(), AutoTokenizer.from_pretrained(tmp_path))
    texts = ["a low voice", "a very high and rather sad voice that goes on for quite some time"] * 8
    options = [
        {"padding": False},
        {"padding": True},
        {"padding": "max_length", "max_length": 60},
        {"padding": True, "truncation": True, "max_length": 5},
        {"padding": "max_length", "truncation": True, "max_length": 9},
        {"padding": True, "pad_to_multiple_of": 8},
        {"padding": False, "truncation": True, "max_length": 4},
        {"padding": True, "pad_to_multiple_of": 64},
    ]
    expected = [dict(processor(text=texts, **option)) for option in options]

    def call(number: int) -> bool:
        return dict(processor(text=texts, **options[number % 8])) == expected[number % 8]

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(call, range(400)))


@pytest.mark.parametrize("text", [5, [], [None], ["a", b"b"], ("a",), "\ud800", ["a", "b\udfff"], np.array(["a"])])
def test_what_is_not_text_is_refused(text):
    with pytest.raises(ValueError, match="Text"):
        tiny.processor()(text=text)


@each_kind
def test_round_trip_through_a_directory(tmp_path, family):
    processor = tiny.processor(family)
    processor.save_pretrained(tmp_path)
    inputs = {"text": TEXTS, "audio": tiny.clips(0.1, 0.05), "sampling_rate": 16000, "return_tensors": "np"}
    expected = processor(**inputs)
    for loaded in (AutoProcessor.from_pretrained(tmp_path), SmoothCLAPProcessor.from_pretrained(tmp_path)):
        assert type(loaded) is SmoothCLAPProcessor
        batch = loaded(**inputs)
        assert batch.keys() == expected.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(batch[name], value)


@each_kind
def test_its_parts_load_by_themselves(tmp_path, family):
    # As the zero-shot pipeline loads them, from a directory that holds model and processor.
    tiny.checkpoint(tmp_path, family)
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path)
    assert type(extractor) is SmoothCLAPFeatureExtractor
    loaded = {name: value for name, value in extractor.to_dict().items() if name != "auto_map"}
    assert loaded == tiny.processor(family).feature_extractor.to_dict()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer(TEXTS)["input_ids"] == tiny.tokenizer()(TEXTS)["input_ids"]


@each_kind
def test_it_decodes_texts(family):
    processor = tiny.processor(family)
    ids = processor(text=TEXTS)["input_ids"]
    assert processor.batch_decode(ids, skip_special_tokens=True) == TEXTS


@each_kind
def test_from_the_same_encoders_as_the_model(tmp_path, family):
    AutoModel.from_config(tiny.audio_config(family)).save_pretrained(tmp_path / "audio")
    AutoModel.from_config(tiny.text_config()).save_pretrained(tmp_path / "text")
    tiny.tokenizer().save_pretrained(tmp_path / "text")
    folders = str(tmp_path / "audio"), str(tmp_path / "text")
    processor = SmoothCLAPProcessor.from_audio_text_pretrained(*folders, do_normalize=True)
    assert processor.feature_extractor.do_normalize
    assert processor.feature_extractor.num_mel_bins == (20 if family == "whisper" else None)
    model = SmoothCLAPModel.from_audio_text_pretrained(*folders)
    batch = processor(text=TEXTS, audio=tiny.clips(0.1, 0.05), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        assert model(**batch).logits_per_audio.isfinite().all()
