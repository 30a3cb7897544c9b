"""
Shows what of a checkpoint would go to the Hub, and with --push uploads it, in one commit.

    python examples/push_to_hub.py build/my-model user/my-model
    python examples/push_to_hub.py build/my-model user/my-model --private --push

A checkpoint is what training leaves, or the classifier/ that examples/run_clep_dg.py leaves. A model that is on the Hub
already is replaced only with --overwrite. Log in with `hf auth login`, or set HF_TOKEN.
"""

import argparse
import shlex
import sys

from smoothclap_trainer.hub.plan import Plan, plan
from smoothclap_trainer.hub.push import check_name, differences, look, publish


def show(upload: Plan) -> None:
    """Print every file with its size and what it is, and what stays."""
    width = max(len(file.name) for file in upload.files)
    for file in upload.files:
        print(f"{file.name:<{width}}  {file.size:>13,}  {file.what}")
    print(f"{len(upload.files)} files, {upload.size:,} bytes.")
    if upload.left_out:
        print(f"Not uploaded: {', '.join(upload.left_out)}.")


def state(upload: Plan, repo_id: str, revision: str | None, overwrite: bool) -> str:
    """What is on the Hub, in a sentence, or why it could not be asked."""
    try:
        there = look(repo_id, revision)
    except ValueError as error:
        return f"The Hub was not asked what {repo_id} holds now: {error}"
    if there is None:
        return f"There is no {repo_id} yet, or none that you may see: it would be made."
    where = f"{repo_id} ({'private' if there.private else 'public'}) at {revision or 'main'}"
    if there.commit is None:
        return f"{where}: there is no such branch yet; it would be made."
    if not there.holds_a_model:
        return f"{where} holds no model yet."
    changed, stale = differences(upload, there)
    if not changed and not stale:
        return f"{where} holds exactly this already."
    gone = f", {len(stale)} deleted ({', '.join(stale)})" if stale else ""
    cure = "" if overwrite else " That needs --overwrite."
    return f"{where} holds {len(there.files)} files: {len(changed)} would be written{gone}.{cure}"


def main() -> None:
    """Show the plan; upload if told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder of the checkpoint, with its card")
    parser.add_argument("repo_id", metavar="user/name", help="repository; made if it does not exist")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", help="branch; default: main")
    parser.add_argument("--overwrite", action="store_true", help="replace the model that is there")
    parser.add_argument("--push", action="store_true", help="upload; without it nothing is changed anywhere")
    asked = parser.parse_args()
    try:
        check_name(asked.repo_id)
        if asked.push:
            options = {"private": asked.private, "revision": asked.revision, "overwrite": asked.overwrite}
            commit = publish(asked.folder, asked.repo_id, **options)
            print(f"The model is at {asked.repo_id}, in commit {commit.oid}: {commit.commit_url}")
            return
        upload = plan(asked.folder)
    except ValueError as error:
        sys.exit(f"error: {error}")
    show(upload)
    print(state(upload, asked.repo_id, asked.revision, asked.overwrite))
    print(f"Nothing was changed. To upload: python {shlex.join([*sys.argv, '--push'])}")


if __name__ == "__main__":
    main()
