"""Publishing a checkpoint on the Hub: whole, in one commit, and never over another model without being told."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha1
from pathlib import Path

from huggingface_hub import (
    CommitInfo,
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    get_token,
)
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import validate_repo_id
from transformers.utils import logging

from .plan import CARD, RECORDS, TOKENIZER_FILES, Plan, PlannedFile, plan


logger = logging.get_logger(__name__)

NO_MODEL = (".gitattributes", CARD)
"""What a repository may hold and still count as empty: the Hub makes the first, its pages offer to make the second."""
MODEL_SUFFIXES = (".safetensors", ".bin", ".h5", ".msgpack", ".pt", ".pth", ".ckpt", ".py", ".json")
LOG_IN = "run `hf auth login`, or set HF_TOKEN to a token that may write (https://huggingface.co/settings/tokens)"


@dataclass(frozen=True)
class RemoteBranch:
    """
    What a repository holds at a branch.

    Args:
        private (`bool`): Whether only its owners see the repository.
        commit (`str`, *optional*): The branch's latest commit; `None` if there is no such branch yet.
        files (`dict[str, RepoFile]`): By path.
    """

    private: bool
    commit: str | None
    files: dict[str, RepoFile]

    @property
    def holds_a_model(self) -> bool:
        """Whether anything is there that a push might overwrite."""
        return not set(self.files) <= set(NO_MODEL)


def look(repo_id: str, revision: str | None = None, token: str | None = None) -> RemoteBranch | None:
    """
    What is on the Hub now. Only reads.

    Args:
        repo_id (`str`): `"user/name"`.
        revision (`str`, *optional*): A branch; by default main.
        token (`str`, *optional*): By default the one of `hf auth login` or `HF_TOKEN`, if there is one.

    Returns:
        [`RemoteBranch`] or `None` if there is no such repository that the token may see.

    Raises:
        ValueError: The name is no repository's, the revision is a tag, or the Hub cannot be asked.
    """
    check_name(repo_id)
    branch = revision or "main"
    with explained(repo_id, looking=True):
        api = HfApi(token=token)
        try:
            private = bool(api.repo_info(repo_id).private)
            refs = api.list_repo_refs(repo_id)
        except RepositoryNotFoundError:
            return None
        commit = {each.name: each.target_commit for each in refs.branches}.get(branch)
        listed = api.list_repo_tree(repo_id, recursive=True, revision=commit) if commit else ()
        files = {each.path: each for each in listed if isinstance(each, RepoFile)}
    if commit is None and branch in {each.name for each in refs.tags}:
        raise ValueError(f"{branch!r} of {repo_id} is a tag, which stays where it is; name a branch.")
    return RemoteBranch(private, commit, files)


def publish(
    folder: str | Path,
    repo_id: str,
    private: bool = False,
    revision: str | None = None,
    overwrite: bool = False,
    token: str | None = None,
    message: str | None = None,
) -> CommitInfo:
    """
    Upload a whole checkpoint to the Hub: model, processor, code, card, thresholds.

    Everything goes in one commit on top of what was seen there, so an upload that is interrupted leaves the repository
    as it was, and of two pushes at once the later fails. What is there already is not uploaded again; if all of it is,
    there is no new commit.

    Args:
        folder (`str` or `Path`): The checkpoint, see [`~hub_plan.plan`].
        repo_id (`str`): `"user/name"`; made if it does not exist.
        private (`bool`, defaults to `False`): Whether a new repository is private. An existing one keeps what it is.
        revision (`str`, *optional*): A branch, by default main. A new one starts without the files of main.
        overwrite (`bool`, defaults to `False`): Whether to replace another model. Files of it that the new one does
            not have are deleted in the same commit; pictures, other documents and folders of the repository stay.
        token (`str`, *optional*): By default the one of `hf auth login` or `HF_TOKEN`.
        message (`str`, *optional*): Of the commit.

    Returns:
        `CommitInfo`: The new commit, or the one that holds the same.

    Raises:
        ValueError: The folder is not a whole checkpoint; a model is there and `overwrite` is false; the repository is
            public and `private` is asked for; or the Hub refused or could not be reached, with its error as cause.
    """
    check_name(repo_id)
    if not (token or get_token()):
        raise ValueError(f"There is no token to write to {repo_id} with: {LOG_IN}.")
    upload = plan(folder)
    api = HfApi(token=token)
    there = look(repo_id, revision, token)
    if there is None:
        with explained(repo_id):
            api.create_repo(repo_id, private=private)
        there = look(repo_id, revision, token)
        if there is None:
            raise ValueError(f"{repo_id} was made, but the token cannot see it: {LOG_IN}.")
    elif private and not there.private:
        raise ValueError(f"{repo_id} exists and is public: make it private in its settings first, or choose a new one.")
    branch = revision or "main"
    if there.commit is None:
        there, overwrite = _new_branch(api, repo_id, branch, token), True
    changed, stale = differences(upload, there)
    if not changed and not stale:
        logger.warning(f"{repo_id} at {branch} holds exactly this already: there is no new commit.")
        return CommitInfo(f"{api.endpoint}/{repo_id}/commit/{there.commit}", message or "", "", str(there.commit))
    if there.holds_a_model and not overwrite:
        raise ValueError(
            f"{repo_id} at {branch} already holds {len(there.files)} files, among them "
            f"{', '.join(sorted(set(there.files) - set(NO_MODEL))[:3])}. Replace them with `overwrite` (--overwrite), "
            "or name another repository or revision."
        )
    if ".gitignore" in there.files:
        raise ValueError(f"{repo_id} has a .gitignore, which would keep files out unsaid: delete it there first.")
    operations = [CommitOperationDelete(path_in_repo=name) for name in stale]
    additions = [CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=file.path) for file in changed]
    with explained(repo_id):
        return api.create_commit(
            repo_id,
            [*operations, *additions],
            commit_message=message or "Upload model, processor, code and card",
            revision=branch,
            parent_commit=there.commit,
        )


def differences(upload: Plan, there: RemoteBranch) -> tuple[list[PlannedFile], list[str]]:
    """Which files a push would add or replace, and which of a model that was there before it would delete."""
    changed = [file for file in upload.files if not _same(file, there.files.get(file.name))]
    gone = set(there.files) - {file.name for file in upload.files} - set(NO_MODEL)
    return changed, sorted(name for name in gone if _is_of_a_model(name))


def _is_of_a_model(name: str) -> bool:
    return "/" not in name and (name.endswith(MODEL_SUFFIXES) or name in RECORDS or name in TOKENIZER_FILES)


def _same(file: PlannedFile, remote: RepoFile | None) -> bool:
    """Whether a file is on the Hub with the same content, by the digests that git and LFS go by."""
    if remote is None or remote.size != file.size:
        return False
    if remote.lfs is not None:
        with file.path.open("rb") as content:
            return file_digest(content, "sha256").hexdigest() == remote.lfs.sha256
    return sha1(b"blob %d\0" % file.size + file.path.read_bytes()).hexdigest() == remote.blob_id


def _new_branch(api: HfApi, repo_id: str, branch: str, token: str | None) -> RemoteBranch:
    """A branch from the repository's first commit, so that nothing of main's model is in it."""
    with explained(repo_id):
        first = api.list_repo_commits(repo_id)[-1].commit_id
        api.create_branch(repo_id, branch=branch, revision=first)
    made = look(repo_id, branch, token)
    if made is None or made.commit is None:
        raise ValueError(f"The branch {branch!r} of {repo_id} was made, but is not there: try again.")
    return made


def check_name(repo_id: str) -> None:
    """
    Makes sure that a repository may be called so, without asking the Hub.

    Args:
        repo_id (`str`): `"user/name"`.

    Raises:
        ValueError: The Hub takes no such name, or it does not say whose the repository is.
    """
    validate_repo_id(repo_id)
    if repo_id.count("/") != 1:
        raise ValueError(f"{repo_id!r} does not say whose the repository is: give user/name.")


@contextmanager
def explained(repo_id: str, looking: bool = False) -> Iterator[None]:
    """
    Turns what the Hub and the connection to it raise into a `ValueError` that says what to do, with the original as
    its cause.

    Args:
        repo_id (`str`): What is asked for.
        looking (`bool`, defaults to `False`): Whether nothing is to be written.
    """
    try:
        yield
    except Exception as error:  # of the network: classes of whatever client huggingface_hub uses
        raise ValueError(_explanation(repo_id, error, looking)) from error


def _explanation(repo_id: str, error: Exception, looking: bool) -> str:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, HfHubHTTPError):
        cause = cause.__cause__  # an upload in a thread wraps what the Hub said
    status = cause.response.status_code if cause is not None else None
    if isinstance(error, OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE is set, so {repo_id} cannot be reached: unset it."
    if status == 403 and looking:
        return f"The token may not see {repo_id}: use one of its owner, or ask the owner for access; {LOG_IN}."
    if looking and status not in (401, 404):
        return f"{repo_id} could not be reached, or the Hub refused ({error}). Try again."
    if status == 400:
        return f"The Hub refused what was to go to {repo_id}, which is as it was: {error}"
    if status == 401:
        return f"The Hub does not know the token that {repo_id} was asked for with: {LOG_IN}."
    if status == 403:
        return f"The token may not write to {repo_id}: use one of its owner that may write; {LOG_IN}."
    if status == 404:
        return f"There is no {repo_id} that the token may see: check the name, and {LOG_IN}."
    if status in (409, 412):
        return f"{repo_id} was changed by somebody else meanwhile: look at what is there now and try again."
    return (
        f"{repo_id} could not be reached, or the Hub refused ({error}). What it held is whole, because a commit is "
        "made as one or not at all: try again."
    )
