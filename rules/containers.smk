# The image of `--sdm apptainer`, made from the Dockerfile. It holds the conda environments, for
# `--sdm conda apptainer`, and a Python with all packages, for `--sdm apptainer`.
import os


containerized: config.get("container", "negmerge.sif")


# A job imports the library of this checkout where the container sees it, not the one in the image.
os.environ.update(APPTAINERENV_PYTHONPATH=str(LIBRARY.parent))
