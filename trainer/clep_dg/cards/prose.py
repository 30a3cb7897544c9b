"""What holds for every classifier that CLEP-DG makes: uses, sources, citations."""

INTENDED = (
    "Research on classifiers that are learned from text and applied to speech; a baseline to compare with.",
    "It answers with one of its classes whatever it hears, also where none fits. Scores are a softmax over scaled "
    "cosines: they order the classes, and are no probabilities that one is right.",
    "Measure it on clips of your own before relying on it.",
)
INDEPENDENCE = (
    "The method is CLEP-DG's (Shi, Zhang and Gao, Interspeech 2025), with stages 2 and 3 after PromptStyler (Cho et "
    "al., ICCV 2023), because the paper's own equations are not at hand. This is not the papers' authors' "
    "work and does not reproduce the papers' results."
)
BIBTEX = """```bibtex
@inproceedings{clepdg,
  title = {{CLEP-DG}: Contrastive Learning for Speech Emotion Domain Generalization via Soft Prompt Tuning},
  author = {Shi, Jiacheng and Zhang, Yanfu and Gao, Ye},
  booktitle = {Interspeech},
  year = {2025},
  note = {arXiv:2507.04048}
}

@inproceedings{promptstyler,
  title = {{PromptStyler}: Prompt-driven Style Generation for Source-free Domain Generalization},
  author = {Cho, Junhyeong and Nam, Gilhyun and Kim, Sungyeon and Yang, Hunmin and Kwak, Suha},
  booktitle = {IEEE/CVF International Conference on Computer Vision (ICCV)},
  year = {2023},
  note = {arXiv:2307.15199}
}
```"""
