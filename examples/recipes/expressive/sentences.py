"""Who speaks what in the expressive synthetic corpus: voices and sentences, and which of them are held out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Voice:
    """
    One of espeak-ng's voice variants, which stands for a speaker.

    Args:
        gender (`str`):
            `"male"` or `"female"`, as the variant is meant.
        role (`str`):
            The split its clips may be in.
    """

    gender: str
    role: str


VOICES = {
    "m2": Voice("male", "train"),
    "m3": Voice("male", "train"),
    "m7": Voice("male", "train"),
    "boris": Voice("male", "train"),
    "f1": Voice("female", "train"),
    "f2": Voice("female", "train"),
    "f4": Voice("female", "train"),
    "Annie": Voice("female", "train"),
    "m1": Voice("male", "train"),
    "Michael": Voice("male", "train"),
    "Mike": Voice("male", "train"),
    "Nguyen": Voice("male", "train"),
    "norbert": Voice("male", "train"),
    "robert": Voice("male", "train"),
    "Alicia": Voice("female", "train"),
    "aunty": Voice("female", "train"),
    "belinda": Voice("female", "train"),
    "grandma": Voice("female", "train"),
    "linda": Voice("female", "train"),
    "steph": Voice("female", "train"),
    "m6": Voice("male", "validation"),
    "f3": Voice("female", "validation"),
    "edward": Voice("male", "test"),
    "miguel": Voice("male", "test"),
    "f5": Voice("female", "test"),
    "shelby": Voice("female", "test"),
}
"""The voices by the name of their variant, the same for every language. Ours: chosen among espeak-ng's hundred as
voices that differ, follow the pitch settings, leave headroom and are of like level."""

SENTENCES = {
    "en": (
        "The yellow boat is moving along the river.",
        "My neighbour will be home by Monday evening.",
        "They are building a new road near the mill.",
        "The green bag is lying under the window.",
        "We walked around the garden in the morning.",
        "The number nine goes all the way to the harbour.",
        "You will find the jar on the middle shelf.",
        "A man is waiting by the door of the library.",
        "I wrote my name on the bottom of the form.",
        "The menu is hanging on the wall over there.",
        "They are going to meet in room eleven.",
        "Her umbrella is made of blue linen.",
        "The meeting begins at half past nine.",
        "An old lamp is hanging above the table.",
        "We will need a little more brown paper.",
        "The road goes over a hill and down to the lake.",
        "He is reading the morning paper in the garden.",
        "The lemon is lying between the bowl and the bread.",
        "Our train will leave from number eleven.",
        "She moved the long ladder over to the barn.",
    ),
    "de": (
        "Die Lampe hängt seit Montag über dem runden Tisch.",
        "Wir wohnen schon lange in der Nähe vom Bahnhof.",
        "Mein Bruder arbeitet am Montag wieder im Garten.",
        "Der alte Wagen rollt langsam über die Brücke.",
        "Im oberen Regal liegen neun alte Bücher.",
        "Der Brief an Hannah liegt unten in der Lade.",
        "Eine Frau wartet am Eingang der Bibliothek.",
        "Das Wasser im Brunnen ist heute eher niedrig.",
        "Am Abend gehen wir noch in den neuen Laden.",
        "Der Hund von nebenan liegt unter der grünen Bank.",
        "Nach der Arbeit fahre ich immer mit dem Rad.",
        "Die Tür vom Haus zum Garten ist nur angelehnt.",
        "Er legt den braunen Mantel über die Lehne.",
        "Der blaue Ordner gehört in das obere Regal.",
        "Morgen kommt der neue Mieter mit der Bahn an.",
        "Die Birnen liegen neben dem Brot und der Butter.",
        "Der Weg führt am Ufer entlang nach Norden.",
        "Unser Zug nach Bremen fährt immer um halb neun.",
        "Auf dem Dach der Mühle liegen rote Ziegel.",
        "Sie hat ihren Namen unten in die Liste eingetragen.",
    ),
}
"""What is said, by language: everyday statements without emotion, our own, with few unvoiced sounds so that pitch can
be measured. No sentence is a translation of another."""

SENTENCE_ROLES = ("train",) * 12 + ("validation",) * 3 + ("test",) * 5
"""The split that each English sentence may be in, in order. The German ones are all for testing."""


def sentence_id(language: str, index: int) -> str:
    """
    Names a sentence.

    Args:
        language (`str`):
            A key of [`SENTENCES`].
        index (`int`):
            Its place there, from 0.

    Returns:
        `str`: For instance `"en01"` for the first.
    """
    return f"{language}{index + 1:02d}"


def split_of(language: str, voice: str, index: int) -> str | None:
    """
    Tells which split a clip belongs to: voices, sentences and languages of the test are never trained on.

    Args:
        language (`str`):
            A key of [`SENTENCES`].
        voice (`str`):
            A key of [`VOICES`].
        index (`int`):
            The sentence's place in its language, from 0.

    Returns:
        `str` or `None`: `"train"`, `"validation"`, `"test"`, or `None` where the voice belongs to one split and the
        sentence to another.
    """
    role = SENTENCE_ROLES[index] if language == "en" else "test"
    return role if VOICES[voice].role == role else None
