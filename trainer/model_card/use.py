"""How to use the model: examples that run."""

from .facts import Facts


def example(facts: Facts, opening: str | None = None) -> str:
    """
    Python that embeds a clip and two texts, and asks the zero-shot pipeline.

    Args:
        facts ([`Facts`]): Of the checkpoint.
        opening (`str`, *optional*): The line that says what `checkpoint` is, if that is not its name.
    """
    remote = ", trust_remote_code=True" if "auto_map" in facts.config else ""
    opening = opening or f'checkpoint = "{facts.name}"  # on the Hub, or a folder'
    lines = ["import numpy as np", "import torch", "from transformers import AutoModel, AutoProcessor, pipeline"]
    # An import comes with the others; anything else comes after them.
    lines += [opening, ""] if opening.startswith("from modeling_smoothclap ") else ["", opening]
    rate = int(facts.extractor.get("sampling_rate", 16000))
    lines += [
        f"model = AutoModel.from_pretrained(checkpoint{remote})",
        f"processor = AutoProcessor.from_pretrained(checkpoint{remote})",
        f"clip = np.random.default_rng(0).normal(0, 0.1, {rate}).astype(np.float32)  # yours: mono, {rate:,} Hz",
        'texts = ["a low voice", "a high voice"]',
        "",
        f'inputs = processor(text=texts, audio=clip, sampling_rate={rate}, padding=True, return_tensors="pt")',
        "with torch.no_grad():",
        "    print(model(**inputs).logits_per_audio.softmax(dim=-1))",
        "",
        f'classify = pipeline("zero-shot-audio-classification", model=checkpoint{remote})',
        'print(classify(clip, candidate_labels=texts, hypothesis_template="{}"))',
    ]
    return "\n".join(["```python", *lines, "```"])


def classification(rate: int) -> str:
    """
    Python that classifies a clip, where the package is installed and where it is not.

    Args:
        rate (`int`): Samples a second that the model takes.
    """
    lines = [
        "import numpy as np",
        "from transformers import pipeline",
        "",
        'checkpoint = "user/name"  # on the Hub, or the folder of this card',
        f"clip = np.random.default_rng(0).normal(0, 0.1, {rate}).astype(np.float32)  # yours: mono, {rate:,} Hz",
        "",
        'classify = pipeline("audio-classification", model=checkpoint, trust_remote_code=True)',
        "print(classify(clip))",
        "",
        "import modeling_smoothclap  # where the package is installed, no code of the checkpoint needs to run",
        "",
        'classify = pipeline("audio-classification", model=checkpoint)',
        "print(classify(clip))",
    ]
    return "\n".join(["```python", *lines, "```"])
