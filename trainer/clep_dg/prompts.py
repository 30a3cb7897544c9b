"""The wordings that acoustic contexts and emotions are put into."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


SLOT = "<ctx>"
"""Where a template takes the vectors of an acoustic context."""
EMOTION = "{emotion}"
"""Where a template takes the name of a class, as it is: its form must fit the sentence."""


@dataclass(frozen=True)
class PromptTemplates:
    """
    Three wordings: of an acoustic context, of an emotion, and of an emotion in a context.

    The defaults are the English wordings (ours, in the manner of PromptStyler's "a S* style of a [class]"; the CLEP-DG
    paper's are not known to us). [`GERMAN`] has the German ones.

    Args:
        context (`str`): With one `<ctx>`, anywhere in it, and no `{emotion}`.
        joint (`str`): With one `<ctx>` and one `{emotion}`.
        content (`str`): With one `{emotion}` and no `<ctx>`.

    Raises:
        ValueError: if a template has another number of slots.

    Example:

    ```python
    >>> from smoothclap_trainer.clep_dg.prompts import GERMAN, PromptTemplates
    >>> PromptTemplates().joint_prompts(["sad", "pleasantly surprised"])[1]
    'pleasantly surprised speech recorded in a <ctx> acoustic environment'
    >>> GERMAN.content_prompts(["traurig"])
    ['Sprache, die traurig klingt']

    ```
    """

    context: str = "speech recorded in a <ctx> acoustic environment"
    joint: str = "{emotion} speech recorded in a <ctx> acoustic environment"
    content: str = "{emotion} speech"

    def __post_init__(self) -> None:
        for name, slots, emotions in (("context", 1, 0), ("joint", 1, 1), ("content", 0, 1)):
            template = getattr(self, name)
            if (template.count(SLOT), template.count(EMOTION)) != (slots, emotions):
                wanted = " and ".join(f"{'one' if count else 'no'} {mark}" for mark, count in
                                      ((SLOT, slots), (EMOTION, emotions)))  # fmt: skip
                raise ValueError(f"The {name} template must have {wanted}; got {template!r}.")

    def joint_prompts(self, class_names: Sequence[str]) -> list[str]:
        """The joint template for each class, with its `<ctx>`.

        Raises:
            ValueError: if there is no class, or a name is no text, blank, not unique or holds `<ctx>`.
        """
        return _filled(self.joint, class_names)

    def content_prompts(self, class_names: Sequence[str]) -> list[str]:
        """The content template for each class.

        Raises:
            ValueError: as [`~PromptTemplates.joint_prompts`].
        """
        return _filled(self.content, class_names)


ENGLISH = PromptTemplates()
GERMAN = PromptTemplates(
    context="Sprache, aufgenommen in einer <ctx> akustischen Umgebung",
    joint="Sprache, die {emotion} klingt, aufgenommen in einer <ctx> akustischen Umgebung",
    content="Sprache, die {emotion} klingt",
)
"""The German wordings (ours). `{emotion}` stands where an adjective keeps its plain form: "traurig", "wütend"."""


def _filled(template: str, class_names: Sequence[str]) -> list[str]:
    if isinstance(class_names, str) or not len(class_names):
        raise ValueError(f"`class_names` is a list of at least one name, got {class_names!r}.")
    if unfit := [name for name in class_names if not isinstance(name, str) or not name.strip() or SLOT in name]:
        raise ValueError(f"Class names are words without {SLOT}; these are not: {unfit}.")
    if repeated := [name for name, times in Counter(class_names).items() if times > 1]:
        raise ValueError(
            f"Each class is called otherwise, but more than one is called {' and '.join(map(repr, repeated))}."
        )
    return [template.replace(EMOTION, name) for name in class_names]
