"""English and German words for what one can hear in a voice, those that mean the same side by side."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facet:
    """
    One thing that can be said of a voice.

    Args:
        meaning (`str`): An attribute and its value, `"pitch:low"`. Facets of one meaning are paraphrases.
        kind (`str`): The part it plays in a sentence: `"voice"` (adjectives of a voice), `"manner"` (adverbs of
            speaking), `"measure"` (a quantity's name and its level), `"emotion"` (adjectives of a person), `"feeling"`
            (nouns of a feeling) or `"speaker"` (nouns of a person).
        english (`tuple[str, ...]`): English words; for a measure `level/noun`, as in `"low/pitch"`.
        german (`tuple[str, ...]`): German words; for a measure `level/article/noun`, as in `"niedrig/die/Tonhöhe"`, and
            for a speaker both cases, `nominative/genitive`.
    """

    meaning: str
    kind: str
    english: tuple[str, ...]
    german: tuple[str, ...]

    @property
    def attribute(self) -> str:
        return self.meaning.split(":")[0]


VOICE = """
pitch:low | low, deep, low-pitched | tief, dunkel
pitch:high | high, high-pitched | hoch, hell
intensity:low | quiet, soft, hushed | leise, gedämpft
intensity:high | loud, powerful, booming | laut, kräftig, dröhnend
pitch variation:low | monotone, flat, monotonous | monoton, eintönig, gleichförmig
pitch variation:high | lively, melodic, expressive | lebhaft, melodisch, ausdrucksvoll
quality:hoarse | hoarse, rough, raspy | heiser, rau, kratzig
quality:breathy | breathy, airy | hauchig, behaucht
quality:creaky | creaky | knarrend
quality:shaky | shaky, trembling, quivering | zittrig, zitternd, bebend
quality:clear | clear, pure | klar, rein
quality:harsh | harsh, sharp | harsch, scharf
quality:shrill | shrill, piercing | schrill, durchdringend
quality:warm | warm, gentle | warm, sanft
quality:cold | cold, cool | kalt, kühl
quality:nasal | nasal | näselnd, nasal
quality:tense | tense, strained | angespannt, gepresst
quality:relaxed | relaxed, easy | entspannt, locker
quality:full | full, resonant, rich | voll, klangvoll
quality:thin | thin, weak | dünn, schwach
quality:firm | firm, steady | fest, stabil
quality:noisy | noisy, distorted | verrauscht, verzerrt
gender:female | female, feminine | weiblich
gender:male | male, masculine | männlich
age:child | childlike, childish | kindlich
age:young | young, youthful | jung, jugendlich
age:old | old, elderly, aged | alt, betagt
"""

MANNER = """
rate:low | slowly, at a slow pace, unhurriedly | langsam, in langsamem Tempo, gemächlich
rate:high | fast, quickly, rapidly, hurriedly | schnell, rasch, hastig
rate:normal | at a normal pace, at moderate speed | in normalem Tempo, mit mittlerer Geschwindigkeit
intensity:low | quietly, softly, in a low volume | leise, mit geringer Lautstärke
intensity:high | loudly, at full volume | laut, mit voller Lautstärke
style:whisper | in a whisper, whispering | im Flüsterton, flüsternd
style:shout | shouting, at the top of the lungs | schreiend, aus voller Kehle
style:laugh | laughing, with a laugh | lachend, mit einem Lachen
style:cry | crying, in tears, sobbing | weinend, unter Tränen, schluchzend
style:sigh | with a sigh, sighing | mit einem Seufzer, seufzend
style:sing | in a singing tone, as if singing | singend, in einem Singsang
style:read | as if reading aloud | wie vorgelesen
fluency:low | haltingly, with many pauses, hesitantly | stockend, mit vielen Pausen, zögernd
fluency:high | fluently, without pauses | flüssig, ohne Pausen
articulation:high | clearly, distinctly | deutlich, klar verständlich
articulation:low | indistinctly, mumbling | undeutlich, nuschelnd
pitch variation:low | in a monotone, without intonation | monoton, ohne Betonung
pitch variation:high | with varied intonation, melodically | mit wechselnder Betonung, melodisch
"""

QUANTITIES = """
pitch | pitch, mean pitch, fundamental frequency | die/Tonhöhe, die/Stimmhöhe, die/Grundfrequenz
pitch variation | pitch variation, intonation range | die/Tonhöhenschwankung, die/Variation der Tonhöhe
intensity | loudness, volume, intensity | die/Lautstärke, die/Lautheit, die/Intensität
rate | speaking rate, speech rate, tempo | das/Sprechtempo, die/Sprechgeschwindigkeit, das/Tempo
jitter | jitter, pitch perturbation | der/Jitter, die/Schwankung der Periodendauer
shimmer | shimmer, amplitude perturbation | der/Shimmer, die/Schwankung der Amplitude
harmonicity | harmonicity, harmonics-to-noise ratio | die/Harmonizität, das/Verhältnis von Klang zu Rauschen
duration | duration, length | die/Dauer, die/Länge
arousal | arousal, activation, energy | die/Erregung, die/Aktivierung, die/Energie
valence | valence | die/Valenz
dominance | dominance | die/Dominanz
"""

LEVELS = """
low | low | niedrig, gering
normal | normal, medium, average | normal, durchschnittlich
high | high | hoch
very low | very low | sehr niedrig, sehr gering
very high | very high | sehr hoch
"""

# More natural words for the levels of two quantities.
OWN_LEVELS = """
rate | low | slow | langsam
rate | high | fast | schnell
rate | very low | very slow | sehr langsam
rate | very high | very fast | sehr schnell
duration | low | short | kurz
duration | high | long | lang
duration | very low | very short | sehr kurz
duration | very high | very long | sehr lang
"""

EMOTIONS = """
neutral | neutral, unemotional | neutrality, no emotion | neutral, emotionslos | Neutralität, keine Emotion
happy | happy, joyful, cheerful, glad | happiness, joy | glücklich, fröhlich, froh | Freude, Glück, Fröhlichkeit
sad | sad, unhappy, sorrowful | sadness, sorrow | traurig, unglücklich, betrübt | Traurigkeit, Trauer
angry | angry, mad, furious | anger, rage, fury | wütend, zornig, verärgert | Wut, Zorn, Ärger
fearful | afraid, fearful, scared, frightened | fear, fright | ängstlich, furchtsam, verängstigt | Angst, Furcht
disgusted | disgusted, repulsed | disgust, revulsion | angeekelt, angewidert | Ekel, Abscheu
surprised | surprised, astonished, amazed | surprise, astonishment | überrascht, erstaunt | Überraschung, Erstaunen
pleasantly surprised | pleasantly surprised | pleasant surprise | angenehm überrascht | angenehme Überraschung
calm | calm, peaceful, serene | calm, serenity | ruhig, gelassen, friedlich | Ruhe, Gelassenheit
bored | bored, uninterested | boredom | gelangweilt, uninteressiert | Langeweile
excited | excited, thrilled | excitement | aufgeregt, begeistert | Aufregung, Begeisterung
contemptuous | contemptuous, scornful | contempt, scorn | verächtlich, geringschätzig | Verachtung, Geringschätzung
nervous | nervous, anxious, uneasy | nervousness, anxiety | nervös, unruhig, beklommen | Nervosität, Unruhe
frustrated | frustrated | frustration | frustriert | Frustration, Frust
proud | proud | pride | stolz | Stolz
ashamed | ashamed, embarrassed | shame, embarrassment | beschämt, verlegen | Scham, Verlegenheit
guilty | guilty, remorseful | guilt, remorse | schuldbewusst, reumütig | Schuld, Reue
amused | amused | amusement | amüsiert, belustigt | Belustigung, Heiterkeit
tired | tired, exhausted, weary | tiredness, exhaustion | müde, erschöpft | Müdigkeit, Erschöpfung
interested | interested, curious | interest, curiosity | interessiert, neugierig | Interesse, Neugier
confused | confused, puzzled | confusion | verwirrt, ratlos | Verwirrung, Ratlosigkeit
disappointed | disappointed | disappointment | enttäuscht | Enttäuschung
relieved | relieved | relief | erleichtert | Erleichterung
desperate | desperate, hopeless | despair, desperation | verzweifelt, hoffnungslos | Verzweiflung, Hoffnungslosigkeit
loving | loving, tender, affectionate | love, tenderness | liebevoll, zärtlich | Liebe, Zärtlichkeit
jealous | jealous, envious | jealousy, envy | eifersüchtig, neidisch | Eifersucht, Neid
confident | confident, self-assured | confidence | selbstsicher, zuversichtlich | Selbstsicherheit, Zuversicht
sarcastic | sarcastic, ironic, mocking | sarcasm, irony | sarkastisch, ironisch, spöttisch | Sarkasmus, Ironie, Spott
hopeful | hopeful, optimistic | hope, optimism | hoffnungsvoll, optimistisch | Hoffnung, Optimismus
lonely | lonely, abandoned | loneliness | einsam, verlassen | Einsamkeit
suffering | hurt, tormented | pain, suffering | verletzt, gequält | Schmerz, Leid
worried | worried, concerned | worry, concern | besorgt, beunruhigt | Sorge, Besorgnis
grateful | grateful, thankful | gratitude | dankbar | Dankbarkeit
impatient | impatient | impatience | ungeduldig | Ungeduld
irritated | irritated, annoyed | irritation, annoyance | gereizt, genervt | Gereiztheit, Verärgerung
serious | serious, grave | seriousness | ernst, ernsthaft | Ernst
friendly | friendly, kind | friendliness, kindness | freundlich, nett | Freundlichkeit
threatening | threatening, menacing | menace, a threat | drohend, bedrohlich | Bedrohung, Drohung
polite | polite, courteous | politeness | höflich | Höflichkeit
enthusiastic | enthusiastic, passionate | enthusiasm, passion | enthusiastisch, leidenschaftlich | Enthusiasmus
panicked | panicked, terrified | panic, terror | panisch, entsetzt | Panik, Entsetzen
positive | positive | positive emotion | positiv | positive Emotion
negative | negative | negative emotion | negativ | negative Emotion
dominant | dominant, commanding | dominance, authority | dominant, gebieterisch | Dominanz, Autorität
submissive | submissive, timid | submission, timidity | unterwürfig, schüchtern | Unterwürfigkeit, Schüchternheit
"""

SPEAKERS = """
woman | a woman, a lady, a female speaker | eine Frau/einer Frau, eine Sprecherin/einer Sprecherin
man | a man, a gentleman, a male speaker | ein Mann/eines Mannes, ein Sprecher/eines Sprechers
child | a child, a kid | ein Kind/eines Kindes
girl | a girl, a little girl | ein Mädchen/eines Mädchens
boy | a boy, a little boy | ein Junge/eines Jungen
old woman | an old woman, an elderly lady | eine alte Frau/einer alten Frau, eine ältere Dame/einer älteren Dame
old man | an old man, an elderly gentleman | ein alter Mann/eines alten Mannes, ein älterer Herr/eines älteren Herrn
young woman | a young woman | eine junge Frau/einer jungen Frau
young man | a young man | ein junger Mann/eines jungen Mannes
teenager | a teenager, an adolescent | ein Teenager/eines Teenagers, ein Jugendlicher/eines Jugendlichen
baby | a baby, an infant | ein Baby/eines Babys, ein Säugling/eines Säuglings
robot | a robot, a machine | ein Roboter/eines Roboters, eine Maschine/einer Maschine
"""


def read_table(table: str) -> list[list[tuple[str, ...]]]:
    """Rows of a table: cells divided by bars, words in a cell by commas."""
    return [[tuple(cell.strip().split(", ")) for cell in row.split("|")] for row in table.strip().splitlines()]


def measures() -> list[Facet]:
    """Each quantity at each level."""
    own = {(quantity, level): words for (quantity,), (level,), *words in read_table(OWN_LEVELS)}
    found = []
    for (quantity,), names, namen in read_table(QUANTITIES):
        for (level,), words, worte in read_table(LEVELS):
            more, mehr = own.get((quantity, level), ((), ()))
            english = tuple(f"{word}/{name}" for word in words + more for name in names)
            german = tuple(f"{wort}/{name}" for wort in worte + mehr for name in namen)
            found.append(Facet(f"{quantity}:{level}", "measure", english, german))
    return found


def facets() -> list[Facet]:
    """Everything that can be said, in a fixed order."""
    found = [Facet(meaning, "voice", english, german) for (meaning,), english, german in read_table(VOICE)]
    found += [Facet(meaning, "manner", english, german) for (meaning,), english, german in read_table(MANNER)]
    found += measures()
    for (name,), adjectives, nouns, adjektive, nomen in read_table(EMOTIONS):
        found.append(Facet(f"emotion:{name}", "emotion", adjectives, adjektive))
        found.append(Facet(f"emotion:{name}", "feeling", nouns, nomen))
    found += [Facet(f"speaker:{name}", "speaker", english, german) for (name,), english, german in read_table(SPEAKERS)]
    return found
