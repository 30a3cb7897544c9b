import numpy as np
import soundfile as sf
import torch

from smoothclap_trainer.evaluation.embed import embed_files
from tests import tiny


def test_files_are_embedded_in_their_order_as_each_alone(tmp_path):
    model, extractor = tiny.model(), tiny.processor().feature_extractor
    clips = tiny.clips(0.4, 0.1, 0.3, 0.2, 0.25)
    paths = [str(tmp_path / f"{index}.wav") for index in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        sf.write(path, clip, 16000, subtype="FLOAT")
    embeds = embed_files(model, extractor, paths, batch_size=2)
    for clip, embed in zip(clips, embeds, strict=True):
        with torch.no_grad():
            batch = extractor(clip, sampling_rate=16000, return_tensors="pt")
            alone = model.get_audio_features(**batch).pooler_output[0]
        np.testing.assert_allclose(embed, alone, atol=1e-5)
