"""German endings of adjectives."""

STEMS = {"hoch": "hoh", "dunkel": "dunkl"}


def inflect(adjective: str, ending: str) -> str:
    """
    An adjective with an ending.

    Args:
        adjective (`str`): Its basic form, with or without adverbs before it.
        ending (`str`): `"e"`, `"er"`, `"em"`, `"es"`.

    >>> inflect("sehr hoch", "e"), inflect("leise", "er")
    ('sehr hohe', 'leiser')
    """
    for basic, stem in STEMS.items():
        if adjective.endswith(basic):
            return adjective.removesuffix(basic) + stem + ending
    return adjective.removesuffix("e") + ending
