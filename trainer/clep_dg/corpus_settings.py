"""A corpus of an experiment with CLEP-DG, as a YAML file says it."""

from dataclasses import dataclass, field, fields

from ..data.emotion_corpora import EMOTION_CORPORA
from ..evaluation.protocols import PROTOCOLS


@dataclass(frozen=True)
class CorpusSettings:
    """
    One corpus: a known one in its folder, or the clips of a manifest.

    Args:
        name (`str`): Of one of [`~smoothclap_trainer.data.emotion_corpora.EMOTION_CORPORA`], or of your own. A
            checkpoint whose record names it was trained on it. Where a manifest has a column `corpus`, as it is there,
            with or without more after it. It names folders of results, too.
        data_root (`str`, *optional*): Folder of a known corpus, as it is distributed.
        protocol (`str`, *optional*): Of a known corpus that has several, the one whose classes are meant.
        manifest (`str`, *optional*): What [`~smoothclap_trainer.data.own_manifest.load_manifest`] reads.
        columns (`dict[str, str]`): As in training: our column to the manifest's. The fields below name ours.
        audio_root (`str`, *optional*): As in training: where relative paths in a manifest start.
        label_column (`str`, *optional*): Column of the labels; by default `emotion`.
        thirds_of (`str`, *optional*): Instead, a column of numbers. The clips in its top third, among those of this
            corpus, are labelled "high", those in its bottom third "low"; the others are left out.
        labels (`dict[str, str]`, *optional*): Label to class. Clips of other labels are left out. By default the
            labels are the classes.
        where (`dict`): Column to the value, or the list of values, that clips must have there.
        split (`str`, defaults to `"test"`): train, validation, test, or all.
        language (`str`, *optional*): BCP-47 tag of the speech; of a manifest it has to be told.
        licence (`str`, *optional*): Of the clips of a manifest, which has to be told, too.
        synthetic (`bool`, defaults to `False`): Nobody's speech; every table will say so.

    Raises:
        ValueError: if it is neither or both, fields of the one are given for the other, or the name cannot be that of
            a folder. All faults are told.
    """

    name: str
    data_root: str | None = None
    protocol: str | None = None
    manifest: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    audio_root: str | None = None
    label_column: str | None = None
    thirds_of: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    where: dict[str, str | list[str]] = field(default_factory=dict)
    split: str = "test"
    language: str | None = None
    licence: str | None = None
    synthetic: bool = False

    def __post_init__(self) -> None:
        faults = []
        if self.name.strip() in ("", ".", "..") or "/" in self.name or "\\" in self.name:
            faults.append(
                f"{self.name!r} is no corpus name: it names folders, so it is not blank, '.' or '..' and has no slash"
            )
        if (self.data_root is None) == (self.manifest is None):
            faults.append(f"{self.name!r} needs either `data_root`, for a known corpus, or `manifest`")
        elif self.data_root is not None:
            faults += self._faults_of_known()
        else:
            for name in ("language", "licence"):
                if getattr(self, name) is None:
                    faults.append(f"{self.name!r} is a manifest, so say its `{name}`")
            if self.protocol is not None:
                faults.append(f"{self.name!r} is a manifest, which has no `protocol`")
            if self.label_column is not None and self.thirds_of is not None:
                faults.append(f"{self.name!r} takes its labels from `label_column` or `thirds_of`, not from both")
            if self.thirds_of is not None and (strange := sorted(set(self.labels) - {"high", "low"})):
                faults.append(f"`thirds_of` gives the labels high and low, but `labels` of {self.name!r} has {strange}")
        if faults:
            raise ValueError("\n".join(faults))

    def _faults_of_known(self) -> list[str]:
        if self.name not in EMOTION_CORPORA:
            return [f"{self.name!r} is no known corpus; known are {list(EMOTION_CORPORA)}, others need a `manifest`"]
        faults = []
        own = [each.name for each in fields(self) if each.name not in ("name", "data_root", "protocol")]
        if said := [name for name in own if getattr(self, name) != getattr(CorpusSettings, name, {})]:
            faults.append(f"{said} are for manifests; those of {self.name!r} are known")
        names = [protocol.name for protocol in PROTOCOLS.values() if protocol.corpus == self.name]
        if self.protocol is None and len(names) > 1:
            faults.append(f"{self.name!r} has several sets of classes, so name its `protocol`, one of {names}")
        if self.protocol is not None and self.protocol not in names:
            faults.append(f"{self.protocol!r} is no protocol of {self.name!r}, which has {names}")
        return faults
