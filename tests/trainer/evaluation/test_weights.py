import hashlib
import subprocess

import pytest

from smoothclap_trainer.hub.provenance import weights_sha256


def test_of_one_file_it_is_that_files(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "config.json"):
        (tmp_path / name).write_bytes(b"something else")
    assert weights_sha256(tmp_path) == hashlib.sha256(b"weights").hexdigest()


def test_of_several_it_is_that_of_their_listing(tmp_path):
    for part in ("2-of-2", "1-of-2"):
        (tmp_path / f"model-{part}.safetensors").write_bytes(part.encode())
    (tmp_path / "adapter_model.safetensors").write_bytes(b"adapters")
    listed = subprocess.run("sha256sum *.safetensors | sha256sum", shell=True, cwd=tmp_path, capture_output=True)
    assert weights_sha256(tmp_path) == listed.stdout.decode().split()[0]


def test_without_safetensors_it_is_that_of_pickled_weights(tmp_path):
    with pytest.raises(ValueError, match=r"holds no file of weights: none is called model\*\.safetensors or adapter_"):
        weights_sha256(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"weights")
    (tmp_path / "training_args.bin").write_bytes(b"something else")
    assert weights_sha256(tmp_path) == hashlib.sha256(b"weights").hexdigest()
