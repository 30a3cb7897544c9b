"""Stems of the words that an evaluation asks for as unseen: no caption or generated description may hold them."""

import re


TEST = (
    "squeak|bass|falsett|gravel|growl|tinny|childlike|giant|gigant|thunder|splitting|faint|percepti|bellow"
    "|breath(s|e|ed|ing|less|lessly)?\\b|breakneck|sluggish|rattl|draw(s|n|ing)? out|syllabl|drawl|dron(e|es|ed|ing)\\b"
    "|unvar|animat|vivid|dynami|robot|deadpan|soar|dip(s|ped|ping)?\\b|notes?\\b|yell(s|ed|ing)?\\b|fired|hectic|placid"
    "|drows|hurried|rapid|pieps|brumm|donner|vernehm|brüll|wisper|rasant|schlepp|gewehr|silbe|schwung|bewegt|leier|starr|temperament"
    "|überdreh|träg(e|en|er|es|em|heit)?\\b|hektisch"
)
"""For results. Captions hold relatives of three, which no stem finds and the card has: "child", "hurries", "piept"."""

VALIDATION = (
    "treble|throat|subterran|chirp|birds?\\b|bears?\\b|quiek|fistel|grab|zwitscher|vogel|bär|blaring|deafen|muted|feeble"
    "|roar|voice down|ohrenbetäub|gellen|verhalten|unhörbar|leibeskr|tuschel|lightning|snail|gabbl|dawdl|blitz|schneck"
    "|komma\\b|zeitlupe|colour|swing|lifeless|mechani|theatr|undulat|impassiv|inflect|farbig|nuanc|leblos|wogen|hölzern"
    "|stumpf|frantic|fever|languid|letharg|hype|mellow|aufgekratzt|fieber|rasend|schlaff|dösig"
)
"""For choosing settings."""


def held_out_words(text: str) -> list[str]:
    """Return the held-out words of a text, as far as their stems; `"breathy"` is not `"breath"`."""
    return [found[0] for found in re.finditer(f"\\b\\w*?({TEST}|{VALIDATION})", text.lower())]
