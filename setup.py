"""Lists the packages; setup.cfg says the rest. The folder trainer/ is imported as smoothclap_trainer."""

from setuptools import find_packages, setup


rooms = [f"smoothclap_trainer.{name}" for name in find_packages("trainer")]
setup(packages=["modeling_smoothclap", "smoothclap_trainer", *rooms])
