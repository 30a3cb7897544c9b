"""English and German words for what one can hear in a voice, those that mean the same side by side.

A meaning may have several rows. No row holds a word that evaluations ask for as unseen.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Facet:
    """
    One thing that can be said of a voice.

    Args:
        meaning (`str`): An attribute and its value, `"pitch:low"`, by the names of captions' groups and levels where
            they have them. Facets of one meaning are paraphrases.
        kind (`str`): The part it plays in a sentence: `"voice"` (adjectives of a voice), `"manner"` (adverbs of
            speaking), `"likeness"` (what a voice is like), `"deed"` (verbs of a person), `"measure"` (a quantity's name
            and its level), `"emotion"` (adjectives of a person), `"feeling"` (nouns of a feeling) or `"speaker"` (nouns
            of a person).
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
pitch:low | low, deep, low-pitched, dark | tief, dunkel, sonor
pitch:low | deep-toned, rumbling, grumbling, cavernous | dunkel, grollend, abgrundtief
pitch:low | baritone, sepulchral, hollow, deep-chested, gruff, grunting | knurrig, grunzend, hohl, dumpf, baritonal
pitch:low | bottom-register, lowest, dark-toned, deepest, low-lying, ogre-like | tiefliegend, dunkelgetönt, rumpelnd
pitch:high | high, high-pitched, bright, shrill | hoch, hell, schrill, spitz
pitch:high | high-toned, squealing, piping, screechy | fiepend, kreischend, glockenhell
pitch:high | flutelike, silvery, girlish, boyish, peeping, whistling | silbrig, mädchenhaft, knabenhaft, pfeifend
pitch:high | soprano, highest, sky-high, tinkling, mouselike, elfin | quäkend, fiepsig, klirrend, helltönend, elfenhaft
intensity:low | quiet, soft, hushed, muffled, whispering, murmuring | leise, gedämpft, zart, flüsternd, murmelnd
intensity:low | subdued, low-volume, whispered, inaudible, gentle, toned-down | tonlos leise, hauchzart, geflüstert
intensity:low | softly spoken, noiseless, silent, small, barely audible | lautlos, kaum hörbar, halblaut, still
intensity:high | loud, powerful, booming, strong, carrying, forceful | laut, kräftig, dröhnend, mächtig, lautstark
intensity:high | shouting, screaming, noisy, stentorian, mighty, resounding | schreiend, lärmend, schallend, gewaltig
intensity:high | amplified, blasting, clamorous, vociferous | überlaut, durchdringend laut, volltönend
rate:low | slow, slow-moving, ponderous, sedate, leisurely | langsam, bedächtig, gemächlich, behäbig
rate:low | unrushed, plodding, crawling, lingering, slow-paced, dragging | zäh, schleichend, geruhsam, kriechend
rate:low | deliberate, measured, tardy, slowed-down | gedehnt, verlangsamt, gemessen, umständlich langsam
rate:high | fast, quick, speedy, hasty, brisk, swift | schnell, rasch, hastig, eilig, flott, zügig
rate:high | rushed, racing, galloping, fleet, fast-paced, accelerated | gehetzt, überstürzt, beschleunigt, flink
rate:high | hurrying, pell-mell, rushing, extremely fast | überschnell, sehr schnell, schnellzüngig, eilend
pitch variation:low | monotone, flat, monotonous, toneless, unmodulated | monoton, eintönig, gleichförmig, tonlos
pitch variation:low | expressionless, unchanging | ausdruckslos, einförmig, gleichbleibend
pitch variation:low | uniform, invariable, colorless, wooden, dull, dry | gleichtönig, modulationsarm, nüchtern, trocken
pitch variation:low | unexpressive, level, machine-like, constant | unmelodisch, konstant, fad
pitch variation:high | lively, melodic, expressive, melodious, lilting | lebhaft, melodisch, ausdrucksvoll, singend
pitch variation:high | sing-song, musical, dramatic | musikalisch, dramatisch, modulationsreich, abwechslungsreich
pitch variation:high | varied, modulated, emphatic | bunt, wechselhaft
pitch variation:high | changing, fluctuating, playful | moduliert, betont
pitch variation:high | rising and falling, wavelike, operatic, tuneful | auf- und absteigend, wellenförmig, wohlklingend
arousal:low | calm, relaxed, weary, exhausted, slack, passive | ruhig, gelassen, kraftlos, erschöpft, apathisch
arousal:low | half-asleep, dozing, inert, quietened, serene | verschlafen, phlegmatisch, gedrückt, schlapp
arousal:low | tired, sleepy, subdued, listless, unexcited | müde, schläfrig, matt, antriebslos, unaufgeregt
arousal:high | excited, agitated, energetic, vigorous | aufgeregt, erregt, energiegeladen, energisch
arousal:high | worked-up, wound-up, spirited | hellwach, aufgewühlt, lebhaft erregt
arousal:high | thrilled, ecstatic, hysterical, panting, stirred, alert | begeistert, ekstatisch, hysterisch, aufgedreht
arousal:high | exhilarated, impassioned, overexcited, eager, electrified | leidenschaftlich, elektrisiert, euphorisch
quality:hoarse | hoarse, rough, raspy | heiser, rau, kratzig
quality:breathy | breathy, airy | hauchig, behaucht
quality:creaky | creaky | knarrend
quality:shaky | shaky, trembling, quivering | zittrig, zitternd, bebend
quality:clear | clear, pure | klar, rein
quality:harsh | harsh, sharp | harsch, scharf
quality:piercing | piercing, penetrating | durchdringend
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
age:child | infantile, babyish | infantil, babyhaft
age:young | young, youthful | jung, jugendlich
age:old | old, elderly, aged | alt, betagt
"""

MANNER = """
pitch:low | in a deep voice, in a low register, in deep tones | mit tiefer Stimme, in tiefer Tonlage, in dunklem Ton
pitch:high | in a high voice, in a high register, in shrill tones | mit hoher Stimme, in hoher Tonlage, in hellem Ton
rate:low | slowly, at a slow pace, without haste, at a leisurely pace | langsam, in langsamem Tempo, gemächlich
rate:low | deliberately, sedately, in no hurry | bedächtig, gemessen, behäbig, ohne Eile
rate:high | fast, quickly, speedily, swiftly | schnell, rasch, hastig, eilig, zügig, flott
rate:high | at a fast pace, at high speed, hastily, in a rush | in hohem Tempo, in Eile, wie ein Wasserfall
rate:normal | at a normal pace, at moderate speed | in normalem Tempo, mit mittlerer Geschwindigkeit
intensity:low | quietly, softly, in a low volume, in hushed tones | leise, mit geringer Lautstärke, mit gesenkter Stimme
intensity:high | loudly, at top volume, with a raised voice | laut, mit voller Lautstärke, mit erhobener Stimme
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
pitch variation:low | in a monotone, without intonation, tonelessly | monoton, ohne Betonung, tonlos, eintönig
pitch variation:low | without melody, without ups and downs | ohne Melodie, ohne Auf und Ab, mit flacher Betonung
pitch variation:high | with varied intonation, melodically | mit wechselnder Betonung, melodisch, ausdrucksvoll
pitch variation:high | with many ups and downs, expressively | mit vielen Höhen und Tiefen, mit lebhafter Betonung
arousal:low | calmly, tiredly, sleepily, wearily, without energy | ruhig, müde, schläfrig, matt, erschöpft, ohne Energie
arousal:high | excitedly, energetically, full of energy | aufgeregt, erregt, energiegeladen, voller Energie, energisch
"""

LIKENESSES = """
pitch:low | a cello, a tuba, an old man, a cow | ein Cello, eine Tuba
pitch:low | an organ, a bull, a lion, a foghorn | ein alter Mann
pitch:low | an ogre, a troll, a bullfrog, a diesel engine | ein Stier, ein Löwe, ein Nebelhorn, ein Troll
pitch:high | a flute, a whistle, a child, a mouse, a fairy, a kettle | eine Flöte, eine Pfeife, ein Kind, eine Maus
pitch:high | a little girl, a violin, a siren, a puppy, an elf, a piccolo | ein kleines Mädchen, eine Geige, ein Welpe
intensity:low | a mouse in hiding, a breeze, someone in a church | ein Windhauch, jemand in einer Kirche, ein Säuseln
intensity:low | someone with a secret | jemand mit einem Geheimnis
intensity:low | someone beside a sleeping baby | jemand neben einem Baby
intensity:high | a drill sergeant, a megaphone, a market crier, a cannon | ein Feldwebel, ein Megafon, ein Marktschreier
intensity:high | someone at a football match, a loudspeaker | jemand im Stadion, ein Lautsprecher
intensity:high | an explosion | eine Kanone
rate:low | a tortoise, a slow clock, someone who dictates, a glacier | eine Schildkröte, eine langsame Uhr, ein Faultier
rate:high | an auctioneer, a waterfall | ein Auktionator, ein Wasserfall
rate:high | a racing commentator, an express train | ein Schnellzug
pitch variation:low | a speaking clock, a flat line, a dial tone, a recorded announcement | eine Zeitansage, ein Wählton
pitch variation:high | a storyteller, an opera singer | ein Märchenerzähler
pitch variation:high | a roller coaster, a songbook | eine Achterbahn
arousal:low | someone just woken up, a patient after surgery | jemand kurz nach dem Aufwachen
arousal:low | someone at bedtime | ein Müder
arousal:high | someone who won the lottery, a fan at a final, a kid at a fair | ein Lottogewinner, ein Fan im Endspiel
"""

DEEDS = """
pitch:low | rumbles, grumbles, hums low, speaks from the cellar | grollt, grummelt, raunt tief
pitch:high | squeals, screeches, pipes, peeps, whistles, trills | fiept, kreischt, pfeift, trällert, piept, quietscht
intensity:low | whispers, murmurs, mutters, mumbles, hushes | flüstert, murmelt, haucht, raunt, nuschelt leise
intensity:high | shouts, screams, hollers, shrieks | schreit, ruft laut
intensity:high | cries out, calls out, booms | kreischt laut, poltert
intensity:high | bawls, clamours, raises the voice, howls | lärmt, grölt, johlt, dröhnt, erhebt die Stimme
rate:low | drags the words, takes their time, plods along, lingers on every word | dehnt die Wörter, lässt sich Zeit
rate:high | rushes, races, hurries, speeds along | hetzt, eilt
rate:high | babbles, jabbers, chatters | jagt durch den Satz, plappert
pitch variation:low | speaks on one level, never changes the tone | betont alles gleich
pitch variation:low | reads like a list | betont nichts
pitch variation:high | sings the words, modulates | moduliert, spielt mit dem Ton
pitch variation:high | plays with the tone, emphasises | betont viel
arousal:low | yawns, sighs, nods off, winds down, rests, drifts off | gähnt, seufzt, ruht, ist müde
arousal:high | raves, rejoices, panics | jubelt, schwärmt, regt sich auf
arousal:high | bubbles over, gets worked up | tobt, ereifert sich
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
emotion:neutral | neutral, unemotional | neutrality | neutral, emotionslos | Neutralität
emotion:neutral | emotionless, detached | no emotion | unbeteiligt, sachlich | keine Emotion
emotion:happy | happy, joyful, cheerful | happiness, joy | glücklich, fröhlich, froh | Freude, Glück
emotion:happy | glad, merry, delighted | cheerfulness | heiter, vergnügt | Fröhlichkeit
emotion:sad | sad, unhappy, sorrowful | sadness, sorrow | traurig, unglücklich, betrübt | Traurigkeit, Trauer
emotion:sad | mournful, gloomy, dejected | grief | bedrückt, niedergeschlagen | Kummer
emotion:angry | angry, mad, furious | anger, rage | wütend, zornig | Wut, Zorn
emotion:angry | enraged, irate, outraged | fury | verärgert, empört | Ärger
emotion:fearful | afraid, fearful, scared | fear, fright | ängstlich, furchtsam | Angst, Furcht
emotion:fearful | frightened, terrified, panicked | terror, panic | verängstigt, panisch | Panik
emotion:disgusted | disgusted, repulsed | disgust, revulsion | angeekelt | Ekel, Abscheu
emotion:disgusted | revolted | loathing | angewidert | Widerwillen
emotion:surprised | surprised, astonished, amazed | surprise, astonishment | überrascht, erstaunt | Überraschung
emotion:surprised | startled, stunned | amazement | verblüfft, verwundert | Erstaunen, Verwunderung
emotion:pleasantly surprised | pleasantly surprised | pleasant surprise | angenehm überrascht | angenehme Überraschung
emotion:calm | calm, peaceful, serene | calm, serenity | ruhig, gelassen | Ruhe
emotion:calm | composed, tranquil | tranquillity | friedlich, gefasst | Gelassenheit
emotion:bored | bored, uninterested | boredom, tedium | gelangweilt, uninteressiert | Langeweile
emotion:bored | indifferent, apathetic | indifference | desinteressiert, gleichgültig | Desinteresse
emotion:excited | excited, thrilled | excitement, enthusiasm | begeistert, enthusiastisch | Begeisterung, Enthusiasmus
emotion:excited | enthusiastic, exhilarated | exhilaration | euphorisch | Euphorie
emotion:contemptuous | contemptuous | contempt | verächtlich | Verachtung
emotion:contemptuous | scornful | scorn | geringschätzig | Geringschätzung
emotion:frustrated | frustrated | frustration | frustriert | Frustration, Frust
emotion:proud | proud | pride | stolz | Stolz
emotion:ashamed | ashamed, embarrassed | shame, embarrassment | beschämt, verlegen | Scham, Verlegenheit
emotion:guilty | guilty, remorseful | guilt, remorse | schuldbewusst, reumütig | Schuld, Reue
emotion:amused | amused | amusement | amüsiert, belustigt | Belustigung, Heiterkeit
emotion:interested | interested, curious | interest, curiosity | interessiert, neugierig | Interesse, Neugier
emotion:confused | confused, puzzled | confusion | verwirrt, ratlos | Verwirrung, Ratlosigkeit
emotion:disappointed | disappointed | disappointment | enttäuscht | Enttäuschung
emotion:relieved | relieved | relief | erleichtert | Erleichterung
emotion:desperate | desperate | despair | verzweifelt | Verzweiflung
emotion:desperate | hopeless | desperation | hoffnungslos | Hoffnungslosigkeit
emotion:jealous | jealous, envious | jealousy, envy | eifersüchtig, neidisch | Eifersucht, Neid
emotion:confident | confident, self-assured | confidence | selbstsicher, zuversichtlich | Selbstsicherheit, Zuversicht
emotion:sarcastic | sarcastic, ironic | sarcasm | sarkastisch, ironisch | Sarkasmus, Ironie
emotion:sarcastic | mocking | irony | spöttisch | Spott
emotion:hopeful | hopeful, optimistic | hope, optimism | hoffnungsvoll, optimistisch | Hoffnung, Optimismus
emotion:lonely | lonely, abandoned | loneliness | einsam, verlassen | Einsamkeit
emotion:suffering | hurt, tormented | pain, suffering | verletzt, gequält | Schmerz, Leid
emotion:grateful | grateful, thankful | gratitude | dankbar | Dankbarkeit
emotion:impatient | impatient | impatience | ungeduldig | Ungeduld
emotion:irritated | irritated, annoyed | irritation, annoyance | gereizt, genervt | Gereiztheit, Verärgerung
emotion:serious | serious, grave | seriousness | ernst, ernsthaft | Ernst
emotion:friendly | friendly, kind | friendliness, kindness | freundlich, nett | Freundlichkeit
emotion:threatening | threatening, menacing | menace, a threat | drohend, bedrohlich | Bedrohung, Drohung
emotion:polite | polite, courteous | politeness | höflich | Höflichkeit
emotion:passionate | passionate, fervent | passion, fervour | leidenschaftlich, inbrünstig | Leidenschaft, Inbrunst
emotion:anxious | anxious, nervous, uneasy | anxiety | nervös, unruhig | Nervosität
emotion:anxious | worried, concerned | worry | besorgt, beunruhigt | Sorge
emotion:tender | tender, loving | tenderness | zärtlich, liebevoll | Zärtlichkeit
emotion:tender | affectionate, caring | love | innig | Liebe
arousal:low | tired, exhausted, weary | tiredness | müde, erschöpft | Müdigkeit
arousal:low | sleepy, subdued | exhaustion | schläfrig, gedämpft | Erschöpfung
arousal:high | agitated, energetic | agitation | aufgeregt, erregt | Erregung
arousal:high | worked-up | energy | energiegeladen | Energie
valence:high | positive, content | positive emotion | positiv, zufrieden | positive Emotion
valence:high | pleased | contentment | erfreut | Zufriedenheit
valence:low | negative, displeased | negative emotion, displeasure | negativ, unzufrieden | negative Emotion, Unmut
dominance:high | dominant, commanding | dominance | dominant, gebieterisch | Dominanz
dominance:high | assertive | authority | bestimmend | Autorität
dominance:low | submissive, timid | submission | unterwürfig, schüchtern | Unterwürfigkeit
dominance:low | meek | timidity | kleinlaut | Schüchternheit
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
machine | a machine, a computer | eine Maschine/einer Maschine, ein Computer/eines Computers
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
    found += [Facet(meaning, "likeness", english, german) for (meaning,), english, german in read_table(LIKENESSES)]
    found += [Facet(meaning, "deed", english, german) for (meaning,), english, german in read_table(DEEDS)]
    found += measures()
    for (meaning,), adjectives, nouns, adjektive, nomen in read_table(EMOTIONS):
        found.append(Facet(meaning, "emotion", adjectives, adjektive))
        found.append(Facet(meaning, "feeling", nouns, nomen))
    found += [Facet(f"speaker:{name}", "speaker", english, german) for (name,), english, german in read_table(SPEAKERS)]
    return found
