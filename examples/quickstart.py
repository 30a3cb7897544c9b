"""Rank descriptions of two voices in a few lines of Python. `smoothclap rank` does the same without any."""

from modeling_smoothclap import DEMO_CLIPS, SmoothCLAPEncoder


encoder = SmoothCLAPEncoder.from_pretrained("smoothclap-tiny")
for clip in DEMO_CLIPS:
    print(clip)
    for text, score, cosine in encoder.rank(clip, ["a low voice", "a high voice"]):
        print(f"  {score:.2f}  {text}  (cosine {cosine:.2f})")
