"""German wordings of the groups that captions speak of. `{person}` is replaced by a word for the speaker."""

PERSONS: dict[str, tuple[str, ...]] = {
    "female": ("sie", "die Frau", "die Sprecherin"),
    "male": ("er", "der Mann", "der Sprecher"),
    "non-binary": ("die Person", "dieser Mensch", "jemand"),
    "unknown": ("die Person", "dieser Mensch", "jemand", "sie", "er"),
}

FRAMES: tuple[str, ...] = ("{}", "{}", "{}", "{}.", "Man hört: {}.", "Eine Aufnahme: {}.")
NOUN_FRAMES: tuple[str, ...] = ("Das ist {}.", "Hier hört man {}.", "This is a sound of {}.")
"""The last is the template that the zero-shot pipeline of transformers puts labels of any language into."""
ARTICLES: tuple[str, ...] = ("eine ",)  # "ein" would change its form in some frames

AND = " und "

WORDINGS: dict[str, dict[str, tuple[str, ...]]] = {
    "pitch": {
        "low": (
            "eine tiefe Stimme",
            "eine dunkle Stimme",
            "eine tiefe Tonlage",
            "mit tiefer Stimme",
            "{person} spricht mit tiefer Stimme",
            "{person} redet in tiefer Tonlage",
            "{person} hat eine tiefe Stimme",
            "die Tonhöhe ist niedrig",
        ),
        "normal": ("eine mittlere Stimmlage", "normale Tonhöhe", "{person} spricht in normaler Tonhöhe"),
        "high": (
            "eine hohe Stimme",
            "eine helle Stimme",
            "eine hohe Tonlage",
            "mit hoher Stimme",
            "eine schrille Stimme",
            "{person} spricht mit hoher Stimme",
            "{person} redet in hoher Tonlage",
            "{person} hat eine hohe Stimme",
            "die Tonhöhe ist hoch",
        ),
    },
    "pitch variation": {
        "low": (
            "eine monotone Stimme",
            "eine eintönige Stimme",
            "wenig Tonhöhenschwankung",
            "eintöniges Sprechen",
            "{person} spricht monoton",
            "{person} redet ohne Betonung",
            "die Tonhöhe ändert sich kaum",
        ),
        "normal": ("normale Tonhöhenschwankung", "eine gewöhnliche Betonung", "{person} spricht mit normaler Betonung"),
        "high": (
            "eine lebhafte Stimme",
            "ein singender Tonfall",
            "viel Tonhöhenschwankung",
            "ausdrucksvolle Betonung",
            "{person} spricht mit lebhafter Betonung",
            "{person} redet mit starken Tonhöhenwechseln",
            "die Tonhöhe geht auf und ab",
        ),
    },
    "intensity": {
        "low": (
            "eine leise Stimme",
            "eine sanfte Stimme",
            "leises Sprechen",
            "geringe Lautstärke",
            "{person} spricht leise",
            "{person} redet mit leiser Stimme",
            "{person} ist kaum zu hören",
            "die Stimme ist nicht laut",
        ),
        "normal": ("normale Lautstärke", "eine mittellaute Stimme", "{person} spricht in normaler Lautstärke"),
        "high": (
            "eine laute Stimme",
            "lautes Sprechen",
            "hohe Lautstärke",
            "eine kräftige Stimme",
            "{person} spricht laut",
            "{person} redet mit lauter Stimme",
            "{person} schreit",
            "die Stimme ist sehr laut",
        ),
    },
    "rate": {
        "low": (
            "langsames Sprechen",
            "eine langsame Stimme",
            "geringe Sprechgeschwindigkeit",
            "{person} spricht langsam",
            "{person} redet langsam",
            "{person} lässt sich beim Sprechen Zeit",
            "die Wörter kommen langsam",
        ),
        "normal": (
            "normale Sprechgeschwindigkeit",
            "ein mittleres Sprechtempo",
            "{person} spricht in normalem Tempo",
        ),
        "high": (
            "schnelles Sprechen",
            "eine schnelle Stimme",
            "hohe Sprechgeschwindigkeit",
            "{person} spricht schnell",
            "{person} redet schnell",
            "{person} hat es beim Sprechen eilig",
            "die Wörter kommen schnell",
        ),
    },
    "jitter": {
        "low": ("eine klare, ruhige Stimme", "wenig Jitter", "{person} hat eine glatte Stimme"),
        "normal": ("normaler Jitter", "eine gewöhnlich ruhige Stimme"),
        "high": ("eine raue Stimme", "viel Jitter", "{person} hat eine heisere Stimme", "eine zitternde Stimme"),
    },
    "shimmer": {
        "low": ("eine feste Stimme", "wenig Shimmer", "{person} hat eine gleichmäßige Stimme"),
        "normal": ("normaler Shimmer", "eine gewöhnlich feste Stimme"),
        "high": ("eine behauchte Stimme", "viel Shimmer", "{person} hat eine ungleichmäßige Stimme"),
    },
    "duration": {
        "low": ("eine kurze Äußerung", "eine knappe Bemerkung", "{person} sagt nur wenige Wörter", "kurze Dauer"),
        "normal": ("eine Äußerung von mittlerer Länge", "normale Dauer"),
        "high": ("eine lange Äußerung", "ein langer Satz", "{person} spricht lange", "lange Dauer"),
    },
    "arousal": {
        "low": ("eine ruhige, schläfrige Stimme", "geringe Erregung", "{person} klingt müde", "ohne Energie"),
        "normal": ("mittlere Erregung", "{person} klingt mäßig erregt"),
        "high": ("eine aufgeregte Stimme", "hohe Erregung", "{person} klingt erregt", "voller Energie"),
    },
    "dominance": {
        "low": ("eine unterwürfige Stimme", "geringe Dominanz", "{person} klingt schüchtern"),
        "normal": ("mittlere Dominanz", "{person} klingt weder dominant noch unterwürfig"),
        "high": ("eine dominante Stimme", "hohe Dominanz", "{person} klingt bestimmend"),
    },
    "valence": {
        "low": ("ein negatives Gefühl", "niedrige Valenz", "{person} klingt unglücklich", "eine schlechte Stimmung"),
        "normal": ("ein neutrales Gefühl", "mittlere Valenz", "{person} klingt weder froh noch unglücklich"),
        "high": ("ein positives Gefühl", "hohe Valenz", "{person} klingt erfreut", "eine gute Stimmung"),
    },
    "gender": {
        "female": ("eine Frau spricht", "eine weibliche Stimme", "eine Frauenstimme"),
        "male": ("ein Mann spricht", "eine männliche Stimme", "eine Männerstimme"),
        "non-binary": ("ein Mensch spricht", "eine nichtbinäre Person spricht"),
    },
    "emotion": {
        "neutral": ("eine neutrale Stimme", "{person} klingt neutral", "Sprechen ohne Gefühl"),
        "happy": ("eine fröhliche Stimme", "{person} klingt glücklich", "{person} freut sich", "voller Freude"),
        "angry": ("eine wütende Stimme", "{person} klingt zornig", "{person} ist wütend", "voller Ärger"),
        "sad": ("eine traurige Stimme", "{person} klingt traurig", "{person} ist betrübt", "voller Trauer"),
        "fearful": ("eine ängstliche Stimme", "{person} klingt ängstlich", "{person} hat Angst", "voller Furcht"),
        "disgusted": ("eine angewiderte Stimme", "{person} klingt angeekelt", "voller Ekel"),
        "surprised": ("eine überraschte Stimme", "{person} klingt überrascht", "voller Überraschung"),
        "calm": ("eine gelassene Stimme", "{person} klingt ruhig", "{person} ist entspannt"),
        "bored": ("eine gelangweilte Stimme", "{person} klingt gelangweilt", "voller Langeweile"),
        "contemptuous": ("eine verächtliche Stimme", "{person} klingt verächtlich", "voller Verachtung"),
        "excited": ("ein begeisterter Tonfall", "{person} klingt begeistert", "voller Begeisterung"),
        "frustrated": ("eine frustrierte Stimme", "{person} klingt frustriert", "voller Frust"),
        "anxious": ("eine besorgte Stimme", "{person} klingt beunruhigt", "{person} macht sich Sorgen", "voller Sorge"),
        "tender": ("eine zärtliche Stimme", "{person} klingt liebevoll", "voller Zärtlichkeit"),
        "other": ("ein ungewöhnliches Gefühl", "{person} zeigt ein Gefühl, das keinen gängigen Namen hat"),
        "no agreement": ("ein uneindeutiges Gefühl", "man ist sich nicht einig, was {person} fühlt"),
    },
}
