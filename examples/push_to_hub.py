"""
Show which files of a checkpoint would be uploaded to the Hub, and with --push upload them, in one commit.

    python examples/push_to_hub.py build/my-model user/my-model
    python examples/push_to_hub.py build/my-model user/my-model --private --push

A checkpoint is what training leaves, or the classifier/ that examples/run_clep_dg.py leaves. A model that is on the Hub
already is replaced only with --overwrite. Log in with `hf auth login`, or set HF_TOKEN.
"""

import argparse
import sys

from smoothclap_trainer.hub.push import push


def main() -> None:
    """Show what would be done, or do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder of the checkpoint, with its card")
    parser.add_argument("repo_id", metavar="user/name", help="repository; made if it does not exist")
    parser.add_argument("--private", action="store_true", default=None, help="make a new repository private")
    parser.add_argument("--revision", help="branch; default: main")
    parser.add_argument("--overwrite", action="store_true", help="replace the model that is there")
    parser.add_argument("--push", action="store_true", help="upload; without it nothing is changed anywhere")
    asked = vars(parser.parse_args())
    try:
        print(push(dry_run=not asked.pop("push"), **asked).describe())
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
