"""What holds for every model of this kind: uses, cautions, citations."""

INTENDED = (
    "Ranking free-text descriptions of how something is said; finding clips by description; zero-shot classification; "
    "research on paralinguistics and affective computing; a start for training on data of your own.",
    "Scores compare the descriptions that are given with each other. They are no probabilities that a description is "
    "true: among wrong descriptions one comes first all the same.",
    "Wording matters. Try more than one for the same thing, and measure on clips of your own before relying on any.",
)
OUT_OF_SCOPE = (
    "**Out of scope**: any decision about a person, such as hiring, grading, policing, credit, insurance, care or "
    "health; surveillance; telling lies from truth; diagnosis; telling who speaks or what is said."
)

CAUTIONS = (
    "**Expressed, not felt.** A model hears how a voice sounds. What a person feels it cannot know: people act, hide, "
    "and differ. Labels of emotion corpora are what actors were asked for or what listeners thought they heard.",
    "**Culture, language, gender, age.** Emotion is voiced and heard differently across them, and across accents, "
    "health and recording conditions. Figures hold for the speakers they were measured on and can be far lower "
    "elsewhere, or for some groups: check on the people it is meant for, group by group.",
    "**Not for decisions about people.** Nobody should get or lose anything by such a score.",
    "**Consent.** A voice is personal data, and what is read from it may be sensitive. Whoever is analysed should "
    "know, be asked, and be able to say no.",
    "**Law.** In the European Union, Article 5(1)(f) of the AI Act (Regulation (EU) 2024/1689) forbids systems that "
    "infer emotions of people at workplaces and in education, except for medical or safety reasons, since "
    "2 February 2025. Other emotion recognition counts as high-risk there, and people must be told. This is no legal "
    "advice.",
)

INDEPENDENCE = (
    "The method is SmoothCLAP's (Jing et al., ICASSP 2026); heads and captions follow ParaCLAP (Jing et al., "
    "Interspeech 2024). This model is not by the papers' authors and does not reproduce the papers' results."
)
BIBTEX = """```bibtex
@inproceedings{smoothclap,
  title = {{SmoothCLAP}: Soft-Target Enhanced Contrastive Language-Audio Pretraining for Affective Computing},
  author = {Jing, Xin and Wang, Jiadong and Triantafyllopoulos, Andreas and Gerczuk, Maurice and
    Amiriparian, Shahin and Luo, Jun and Schuller, Bj{\\"o}rn},
  booktitle = {IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)},
  year = {2026},
  note = {arXiv:2601.12591}
}

@inproceedings{paraclap,
  title = {{ParaCLAP} -- Towards a general language-audio model for computational paralinguistic tasks},
  author = {Jing, Xin and Triantafyllopoulos, Andreas and Schuller, Bj{\\"o}rn},
  booktitle = {Interspeech},
  year = {2024},
  note = {arXiv:2406.07203}
}
```"""
