"""Upload a checkpoint to the Hub: whole, in one commit, and never over another model unless asked to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha1
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import validate_repo_id
from transformers.utils import logging

from ..files import file_sha256
from .plan import CARD, RECORDS, TOKENIZER_FILES, Plan, PlannedFile, plan


logger = logging.get_logger(__name__)

NO_MODEL = {".gitattributes", CARD}
"""Files of a repository that still counts as empty: the Hub writes the first, its pages offer to write the second."""
MODEL_SUFFIXES = (".safetensors", ".bin", ".h5", ".msgpack", ".pt", ".pth", ".ckpt", ".py", ".json")
LOG_IN = "run `hf auth login`, or set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens)"
REFUSALS = {
    400: "The Hub refused the files for {repo_id}, which was not changed: {error}",
    401: "The Hub does not know the token that was used for {repo_id}: {log_in}.",
    403: "The token may not write to {repo_id}: use a token of its owner that may write; {log_in}.",
    404: "There is no {repo_id} that the token may see: check the name, and {log_in}.",
    409: "{repo_id} was changed by somebody else meanwhile: look at what is there now and try again.",
}
REFUSALS[412] = REFUSALS[409]
REFUSALS_TO_READ = {
    401: REFUSALS[401],
    403: "The token may not see {repo_id}: use one of its owner, or ask the owner for access; {log_in}.",
    404: REFUSALS[404],
}


class HubError(ValueError):
    """The Hub refused, or could not be reached."""


class Remote(StrEnum):
    """What a repository holds where a checkpoint is to go."""

    NO_REPOSITORY = "no repository"
    NO_BRANCH = "no branch"
    NO_MODEL = "no model"
    SAME = "the same"
    ANOTHER_MODEL = "another model"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PushResult:
    """
    What a push did, or would do, to what was there, `remote`: files added or replaced, and files deleted.

    `needs_overwrite` if a push would be refused. `problem` says why a dry run could not ask the Hub.
    """

    repo_id: str
    branch: str
    plan: Plan
    remote: Remote
    private: bool | None = None
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    needs_overwrite: bool = False
    problem: str | None = None
    commit: str | None = None
    url: str | None = None

    def describe(self) -> str:
        """Return the files with their sizes, and what is or would be changed on the Hub, as plain text."""
        from ..templating import render

        return render("push.txt.jinja", result=self, Remote=Remote)


@dataclass(frozen=True)
class _Branch:
    """A branch of a repository; without `commit` there is no such branch, without `private` no such repository."""

    private: bool | None = None
    commit: str | None = None
    files: dict[str, RepoFile] = field(default_factory=dict)


def push(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    token: str | None = None,
    message: str | None = None,
) -> PushResult:
    """
    Upload a whole checkpoint to the Hub: model, processor, code, card and records, in one commit or not at all.

    Of two pushes at the same time the later one fails. If everything is there already, there is no commit.

    Args:
        folder (`str` or `Path`): The checkpoint, see [`~plan.plan`].
        repo_id (`str`): `"user/name"`; made if it does not exist.
        private (`bool`, *optional*): Whether a new repository is private; an existing one has to be what is asked for.
        revision (`str`, *optional*): A branch, by default main. A new one starts without the files of main.
        overwrite (`bool`, defaults to `False`): Whether to replace another model. Files of it that the new one does
            not have are deleted; images, other documents and folders stay.
        dry_run (`bool`, defaults to `False`): Whether to change nothing, and only return what would be done.
        token (`str`, *optional*): By default the one of `hf auth login` or `HF_TOKEN`.
        message (`str`, *optional*): Of the commit.

    Raises:
        ValueError: The folder is not a whole checkpoint, or under a licence that its inputs rule out; another model is
            there and `overwrite` is false; the repository is not as `private` asks; or the Hub refused or could not be
            reached, with its error as cause.

    Example:

    ```python
    >>> from modeling_smoothclap import SMOOTHCLAP_TINY
    >>> from smoothclap_trainer.hub.push import push
    >>> result = push(SMOOTHCLAP_TINY, "user/my-model", dry_run=True)
    >>> len(result.plan.files) > 20, result.commit
    (True, None)

    ```
    """
    check_name(repo_id)
    if not (dry_run or token or get_token()):
        raise ValueError(f"There is no token to write to {repo_id} with: {LOG_IN}.")
    upload, branch = plan(folder), revision or "main"
    if unknown := upload.licences.unknown:
        logger.warning(f"The licence of {', '.join(unknown)} is not known: find it out before you share this model.")
    try:
        there = _look(repo_id, branch, token)
    except HubError as error:
        if not dry_run:
            raise
        return PushResult(repo_id, branch, upload, Remote.UNKNOWN, problem=str(error))
    result = _compare(upload, there, repo_id, branch)
    result = replace(result, needs_overwrite=result.remote is Remote.ANOTHER_MODEL and not overwrite)
    if there.private is not None and private not in (None, there.private):
        now, wanted = ("private", "public") if there.private else ("public", "private")
        raise ValueError(f"{repo_id} exists and is {now}: make it {wanted} in its settings first, or name a new one.")
    if dry_run:
        return result
    if result.needs_overwrite:
        raise ValueError(
            f"{repo_id} at {branch} already holds {len(there.files)} files, among them "
            f"{', '.join(sorted(set(there.files) - NO_MODEL)[:3])}. Replace them with `overwrite` (--overwrite), or "
            "name another repository or revision."
        )
    return _commit(result, there, bool(private), token, message or "Upload model, processor, code and card")


def _commit(result: PushResult, there: _Branch, private: bool, token: str | None, message: str) -> PushResult:
    api, repo_id, branch = HfApi(token=token), result.repo_id, result.branch
    if there.commit is None:
        _make(api, there, repo_id, branch, private)
        there = _look(repo_id, branch, token)
        if there.commit is None:
            raise ValueError(f"{repo_id} at {branch} was made, but the token cannot see it: {LOG_IN}.")
        made = _compare(result.plan, there, repo_id, branch)
        result = replace(result, private=made.private, changed=made.changed, deleted=made.deleted)
    if result.remote is Remote.SAME:
        logger.warning(f"{repo_id} at {branch} holds exactly this already: there is no new commit.")
        return replace(result, commit=there.commit, url=f"{api.endpoint}/{repo_id}/commit/{there.commit}")
    if ".gitignore" in there.files:
        raise ValueError(f"{repo_id} has a .gitignore, which would silently keep files out: delete it there first.")
    files = {file.name: file.path for file in result.plan.files}
    with explained(repo_id):
        # Not `upload_folder`, which splits large folders into several commits and checks only the first one's parent.
        info = api.create_commit(
            repo_id,
            [
                *(CommitOperationDelete(path_in_repo=name) for name in result.deleted),
                *(CommitOperationAdd(path_in_repo=name, path_or_fileobj=files[name]) for name in result.changed),
            ],
            commit_message=message,
            revision=branch,
            parent_commit=there.commit,
        )
    return replace(result, commit=info.oid, url=info.commit_url)


def _make(api: HfApi, there: _Branch, repo_id: str, branch: str, private: bool) -> None:
    """Make the repository, if there is none, and the branch, from the first commit: without the files of main."""
    with explained(repo_id):
        if there.private is None:
            api.create_repo(repo_id, private=private)
        if there.private is not None or branch != "main":
            first = api.list_repo_commits(repo_id)[-1].commit_id
            api.create_branch(repo_id, branch=branch, revision=first)


def _look(repo_id: str, branch: str, token: str | None) -> _Branch:
    """Read what is on the Hub."""
    with explained(repo_id, looking=True):
        api = HfApi(token=token)
        try:
            private = bool(api.repo_info(repo_id).private)
            refs = api.list_repo_refs(repo_id)
        except RepositoryNotFoundError:
            return _Branch()
        commit = {each.name: each.target_commit for each in refs.branches}.get(branch)
        listed = api.list_repo_tree(repo_id, recursive=True, revision=commit) if commit else ()
        files = {each.path: each for each in listed if isinstance(each, RepoFile)}
    if commit is None and branch in {each.name for each in refs.tags}:
        raise ValueError(f"{branch!r} of {repo_id} is a tag, which cannot be moved: name a branch.")
    return _Branch(private, commit, files)


def _compare(upload: Plan, there: _Branch, repo_id: str, branch: str) -> PushResult:
    """Find which files a push would add or replace, and which of a model that was there it would delete."""
    changed = tuple(file.name for file in upload.files if not _is_same(file, there.files.get(file.name)))
    gone = set(there.files) - {file.name for file in upload.files} - NO_MODEL
    deleted = tuple(sorted(name for name in gone if _is_of_a_model(name)))
    if there.commit is None:
        remote = Remote.NO_REPOSITORY if there.private is None else Remote.NO_BRANCH
    elif not changed and not deleted:
        remote = Remote.SAME
    else:
        remote = Remote.ANOTHER_MODEL if set(there.files) - NO_MODEL else Remote.NO_MODEL
    return PushResult(repo_id, branch, upload, remote, there.private, changed, deleted)


def _is_of_a_model(name: str) -> bool:
    return "/" not in name and (name.endswith(MODEL_SUFFIXES) or name in RECORDS or name in TOKENIZER_FILES)


def _is_same(file: PlannedFile, remote: RepoFile | None) -> bool:
    """Whether the Hub has the same content, by the digest of LFS for large files and of git for others."""
    if remote is None or remote.size != file.size:
        return False
    if remote.lfs is not None:
        return file_sha256(file.path) == remote.lfs.sha256
    return sha1(b"blob %d\0" % file.size + file.path.read_bytes()).hexdigest() == remote.blob_id


def check_name(repo_id: str) -> None:
    """Check, without asking the Hub, that `repo_id` is a `"user/name"`; a `ValueError` says what is wrong with it."""
    try:
        validate_repo_id(repo_id)
    except ValueError as error:
        raise ValueError(
            f"{repo_id!r} is not a name for a repository: give user/name, with letters, digits, '-', '_' and '.' only, "
            "at most 96 characters, no '-' or '.' at either end, no '--' or '..', and no '.git' at the end."
        ) from error
    if repo_id.count("/") != 1:
        raise ValueError(f"{repo_id!r} does not name the owner of the repository: give user/name.")


@contextmanager
def explained(repo_id: str, looking: bool = False) -> Iterator[None]:
    """Turn errors of the Hub and of the connection into a [`HubError`] that says what to do."""
    try:
        yield
    except Exception as error:  # of the network: classes of the client that huggingface_hub uses
        raise HubError(_explanation(repo_id, error, looking)) from error


def _explanation(repo_id: str, error: Exception, looking: bool) -> str:
    if isinstance(error, OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE is set, so {repo_id} cannot be reached: unset it."
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__  # an upload in a thread wraps the error of the Hub
    status = cause.response.status_code if cause is not None else 0
    if refusal := (REFUSALS_TO_READ if looking else REFUSALS).get(status):
        return refusal.format(repo_id=repo_id, error=error, log_in=LOG_IN)
    if looking:
        return f"The Hub could not be reached, or refused ({str(error).strip().rstrip('.')}). Check the connection."
    return (
        f"{repo_id} could not be reached, or the Hub refused ({error}). Nothing was changed, because a commit is made "
        "as a whole or not at all. Try again."
    )
