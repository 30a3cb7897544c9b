"""SmoothCLAP for Hugging Face Transformers: how well do free-text descriptions fit the way something is said?

Importing this package registers its classes with `AutoConfig`, `AutoModel`, `AutoModelForAudioClassification`,
`AutoFeatureExtractor` and `AutoProcessor`, and the pipeline "zero-shot-speech-description".
"""

from pathlib import Path

from transformers import AutoConfig, AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, AutoProcessor
from transformers.pipelines import PIPELINE_REGISTRY

from .checkpoint_smoothclap import SMOOTHCLAP_TINY
from .classification_smoothclap import SmoothCLAPForAudioClassification
from .configuration_smoothclap import PIPELINE_TASK, SmoothCLAPConfig
from .encoding_smoothclap import SmoothCLAPEncoder
from .feature_extraction_smoothclap import ShortClipWarning, SmoothCLAPFeatureExtractor
from .modeling_smoothclap import SmoothCLAPModel, SmoothCLAPOutput
from .pipeline_smoothclap import SpeechDescriptionPipeline
from .processing_smoothclap import SmoothCLAPProcessor
from .scores_smoothclap import RankedText
from .timeline_smoothclap import Timeline, Window


__version__ = "0.1.0"

DEMO_CLIPS = tuple(str(Path(__file__).parent / "clips" / name) for name in ("low_voice.flac", "high_voice.flac"))
"""Two short clips of real speech that come with this package; `clips/README.md` has their sources and licences."""

AutoConfig.register(SmoothCLAPConfig.model_type, SmoothCLAPConfig)
AutoModel.register(SmoothCLAPConfig, SmoothCLAPModel)
AutoModelForAudioClassification.register(SmoothCLAPConfig, SmoothCLAPForAudioClassification)
AutoFeatureExtractor.register(SmoothCLAPConfig, SmoothCLAPFeatureExtractor)
AutoProcessor.register(SmoothCLAPConfig, SmoothCLAPProcessor)

PIPELINE_REGISTRY.register_pipeline(PIPELINE_TASK, SpeechDescriptionPipeline, pt_model=AutoModel, type="multimodal")

# A saved checkpoint carries the code it needs, for machines without this package.
SmoothCLAPConfig.register_for_auto_class()
SmoothCLAPModel.register_for_auto_class("AutoModel")
SmoothCLAPForAudioClassification.register_for_auto_class("AutoModelForAudioClassification")
SmoothCLAPFeatureExtractor.register_for_auto_class("AutoFeatureExtractor")
SmoothCLAPProcessor.register_for_auto_class("AutoProcessor")

__all__ = [
    "DEMO_CLIPS",
    "SMOOTHCLAP_TINY",
    "RankedText",
    "ShortClipWarning",
    "SmoothCLAPConfig",
    "SmoothCLAPEncoder",
    "SmoothCLAPFeatureExtractor",
    "SmoothCLAPForAudioClassification",
    "SmoothCLAPModel",
    "SmoothCLAPOutput",
    "SmoothCLAPProcessor",
    "SpeechDescriptionPipeline",
    "Timeline",
    "Window",
    "__version__",
]
