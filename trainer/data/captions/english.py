"""English wordings of the groups that captions speak of. `{person}` is replaced by a word for the speaker."""

PERSONS: dict[str, tuple[str, ...]] = {
    "female": ("she", "the woman", "the speaker"),
    "male": ("he", "the man", "the speaker"),
    "non-binary": ("the speaker", "this person", "someone"),
    "unknown": ("the speaker", "this person", "someone", "she", "he"),
}

FRAMES: tuple[str, ...] = ("{}", "{}", "{}", "{}.", "A recording: {}.")
NOUN_FRAMES: tuple[str, ...] = ("This is a sound of {}.", "This is a recording of {}.", "This is {}.")
"""The first is the template that the zero-shot pipeline of transformers puts labels into."""
ARTICLES: tuple[str, ...] = ("a ", "an ")

AND = " and "

WORDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "pitch": {
        "low": (
            "a low voice",
            "a deep voice",
            "low pitch",
            "a low-pitched voice",
            "a dark voice",
            "a baritone voice",
            "a rumbling voice",
            "{person} speaks in a low voice",
            "{person} talks in a deep voice",
            "{person} has a deep voice",
            "the pitch is low",
        ),
        "normal": ("a voice of medium pitch", "normal pitch", "{person} speaks at a normal pitch"),
        "high": (
            "a high voice",
            "a high-pitched voice",
            "high pitch",
            "a shrill voice",
            "a bright voice",
            "a soprano voice",
            "a piping, thin voice",
            "{person} speaks in a high voice",
            "{person} talks in a high-pitched voice",
            "{person} has a high voice",
            "the pitch is high",
        ),
    },
    "pitch variation": {
        "low": (
            "a monotone voice",
            "a flat voice",
            "little variation in pitch",
            "monotonous speech",
            "a toneless, dull way of speaking",
            "{person} speaks in a monotone",
            "{person} talks with a flat intonation",
            "the pitch hardly changes",
        ),
        "normal": (
            "normal variation in pitch",
            "an ordinary intonation",
            "{person} speaks with normal intonation",
        ),
        "high": (
            "a lively voice",
            "a sing-song voice",
            "much variation in pitch",
            "expressive intonation",
            "a melodious way of speaking",
            "{person} speaks with a lively intonation",
            "{person} talks with strong changes of pitch",
            "the pitch goes up and down a lot",
        ),
    },
    "intensity": {
        "low": (
            "a quiet voice",
            "a soft voice",
            "quiet speech",
            "low intensity",
            "{person} speaks quietly",
            "{person} talks softly",
            "{person} is hardly audible",
            "the speech is not loud",
            "{person} is murmuring",
        ),
        "normal": ("normal loudness", "a voice of medium loudness", "{person} speaks at a normal volume"),
        "high": (
            "a loud voice",
            "loud speech",
            "high intensity",
            "a powerful voice",
            "{person} speaks loudly",
            "{person} talks in a loud voice",
            "{person} is shouting",
            "the speech is very loud",
            "{person} is calling out",
        ),
    },
    "rate": {
        "low": (
            "slow speech",
            "a slow voice",
            "a low speaking rate",
            "{person} talks slowly",
            "{person} speaks slowly",
            "{person} takes a lot of time to speak",
            "the words come slowly",
            "leisurely speech with pauses",
        ),
        "normal": ("a normal speaking rate", "speech at a medium tempo", "{person} speaks at a normal speed"),
        "high": (
            "fast speech",
            "a fast voice",
            "a high speaking rate",
            "{person} talks fast",
            "{person} speaks quickly",
            "{person} is in a hurry to speak",
            "the words come quickly",
            "hasty speech without pauses",
        ),
    },
    "jitter": {
        "low": ("a clear, steady voice", "low jitter", "{person} has a smooth voice", "a voice without roughness"),
        "normal": ("normal jitter", "a voice of ordinary steadiness"),
        "high": ("a rough voice", "high jitter", "{person} has a hoarse voice", "a trembling voice"),
    },
    "shimmer": {
        "low": ("a firm voice", "low shimmer", "{person} has an even voice"),
        "normal": ("normal shimmer", "a voice of ordinary firmness"),
        "high": ("a breathy voice", "high shimmer", "{person} has an uneven voice"),
    },
    "duration": {
        "low": ("a short utterance", "a brief remark", "{person} says only a few words", "short duration"),
        "normal": ("an utterance of medium length", "normal duration"),
        "high": ("a long utterance", "a long sentence", "{person} speaks for a long time", "long duration"),
    },
    "arousal": {
        "low": ("a calm, sleepy voice", "low arousal", "{person} sounds tired", "without energy"),
        "normal": ("medium arousal", "{person} sounds moderately excited"),
        "high": ("an excited voice", "high arousal", "{person} sounds agitated", "full of energy"),
    },
    "dominance": {
        "low": ("a submissive voice", "low dominance", "{person} sounds timid", "a weak, hesitant manner"),
        "normal": ("medium dominance", "{person} sounds neither dominant nor submissive"),
        "high": ("a dominant voice", "high dominance", "{person} sounds in control", "a strong, confident manner"),
    },
    "valence": {
        "low": ("a negative feeling", "low valence", "{person} sounds unhappy", "an unpleasant mood"),
        "normal": ("a neutral feeling", "medium valence", "{person} sounds neither happy nor unhappy"),
        "high": ("a positive feeling", "high valence", "{person} sounds pleased", "a pleasant mood"),
    },
    "gender": {
        "female": ("a woman speaking", "a female voice", "a female speaker", "a woman's voice"),
        "male": ("a man speaking", "a male voice", "a male speaker", "a man's voice"),
        "non-binary": ("a person speaking", "a non-binary speaker"),
    },
    "emotion": {
        "neutral": ("a neutral voice", "{person} sounds neutral", "speech without emotion"),
        "happy": ("a happy voice", "{person} sounds happy", "{person} is full of joy", "joyful speech"),
        "angry": ("an angry voice", "{person} sounds angry", "{person} is furious", "speech full of anger"),
        "sad": ("a sad voice", "{person} sounds sad", "{person} is sorrowful", "speech full of sadness"),
        "fearful": ("a fearful voice", "{person} sounds afraid", "{person} is scared", "speech full of fear"),
        "disgusted": ("a disgusted voice", "{person} sounds disgusted", "speech full of disgust"),
        "surprised": ("a surprised voice", "{person} sounds surprised", "speech full of surprise"),
        "calm": ("a calm voice", "{person} sounds calm", "{person} is relaxed"),
        "bored": ("a bored voice", "{person} sounds bored", "speech full of boredom"),
        "contemptuous": ("a contemptuous voice", "{person} sounds scornful", "speech full of contempt"),
        "excited": ("an excited tone", "{person} sounds excited", "speech full of excitement"),
        "frustrated": ("a frustrated voice", "{person} sounds frustrated", "speech full of frustration"),
        "anxious": ("an anxious voice", "{person} sounds anxious", "{person} is worried", "speech full of worry"),
        "tender": ("a tender voice", "{person} sounds affectionate", "speech full of tenderness"),
        "other": ("an unusual emotion", "{person} sounds emotional in a way that has no common name"),
        "no agreement": ("an ambiguous emotion", "listeners disagree about how {person} feels"),
    },
}
