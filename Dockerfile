# The workflow in one image: `make image`. docs/install.md#in-a-container says how to use it.
#
# First the conda environments of all rules, as `snakemake --containerize` writes them;
# `python tests/containers/test_dockerfile.py` does so again. The rest is the project's own.
#
# Tests compare this file with the repository. It was never built: no docker was at hand.
#
# For jobs on a GPU, run it with --gpus all, and --ipc=host or --shm-size=8g: loader processes hand
# images over in /dev/shm, which otherwise has 64 MB.

FROM condaforge/miniforge3:latest

# Where an image is built there is no GPU, and conda would take torch without CUDA: so this is the
# newest CUDA of the driver where the image runs, or nothing for the CPU alone.
ARG CONDA_OVERRIDE_CUDA=13.0

# containerize:begin
LABEL io.github.snakemake.containerized="true"
LABEL io.github.snakemake.conda_env_hash="8f318d82548f24e9dc3d4668182d39e933420f7d0a236e024790f92e0ea52183"
# Conda environment:
#   source: envs/data.yaml
#   prefix: /conda-envs/ffd6d7d1c9fb2fa7f24a477dfe1c9f5f
#   # For `download`, `prepare` and `split`: they need no torch.
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python=3.12
#     - matplotlib-base=3.11.2 # its fonts
#     - numpy=2.4.6
#     - pillow=12.3.0
#     - pyarrow=24.0.0 # mirrors in parquet files
#     - pydantic=2.14.3 # options of sources
#     - requests=2.34.2 # downloads
#     - safetensors=0.8.0
#     - scikit-learn=1.9.1 # its digits
#     - scipy=1.17.1 # MATLAB files
#     - tqdm=4.70.1
#     - urllib3=2.8.0
RUN mkdir -p /conda-envs/ffd6d7d1c9fb2fa7f24a477dfe1c9f5f
COPY envs/data.yaml /conda-envs/ffd6d7d1c9fb2fa7f24a477dfe1c9f5f/environment.yaml
# Conda environment:
#   source: envs/language.yaml
#   prefix: /conda-envs/1bdc1347ff129fc42c28c6713ab2772c
#   # For the rules that build a language model: its tokenizer, training, fine-tuning, sweeps, searches, the
#   # greedy merge, scores. And for models and adapters that are given as a pool.
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python=3.12
#     - blake3=1.0.11
#     - numpy=2.4.6
#     - peft=0.21.2
#     - pillow=12.3.0
#     - pydantic=2.14.3
#     - pytorch=2.13.0
#     - rouge-score=0.1.2
#     - safetensors=0.8.0
#     - scipy=1.17.1
#     - tokenizers=0.23.3
#     - tqdm=4.70.1
#     - transformers=5.24.0
RUN mkdir -p /conda-envs/1bdc1347ff129fc42c28c6713ab2772c
COPY envs/language.yaml /conda-envs/1bdc1347ff129fc42c28c6713ab2772c/environment.yaml
# Conda environment:
#   source: envs/merging.yaml
#   prefix: /conda-envs/d1e3cee6ad07808a2522f9e1abea3e21
#   # For the rules that compute with weights alone: vectors, merges, negation, sparsity.
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python=3.12
#     - blake3=1.0.11
#     - numpy=2.4.6
#     - pydantic=2.14.3
#     - pytorch=2.13.0
#     - safetensors=0.8.0
#     - tqdm=4.70.1
RUN mkdir -p /conda-envs/d1e3cee6ad07808a2522f9e1abea3e21
COPY envs/merging.yaml /conda-envs/d1e3cee6ad07808a2522f9e1abea3e21/environment.yaml
# Conda environment:
#   source: envs/models.yaml
#   prefix: /conda-envs/8dc4229e8cadf8c219e0eb29f1fe77df
#   # For the rules that build a model: pre-training, heads, training, fine-tuning, unlearning, sweeps,
#   # measures, searches, the greedy merge, scores, Grad-CAM.
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python=3.12
#     - captum=0.9.0 # Grad-CAM
#     - numpy=2.4.6
#     - open-clip-torch=3.3.0
#     - pillow=12.3.0
#     - pydantic=2.14.3
#     - pytorch=2.13.0
#     - safetensors=0.8.0
#     - scikit-learn=1.9.1 # the membership attack
#     - timm=1.0.31
#     - torchvision=0.28.0
#     - tqdm=4.70.1
RUN mkdir -p /conda-envs/8dc4229e8cadf8c219e0eb29f1fe77df
COPY envs/models.yaml /conda-envs/8dc4229e8cadf8c219e0eb29f1fe77df/environment.yaml
# Conda environment:
#   source: envs/reporting.yaml
#   prefix: /conda-envs/8fcb2fabcd29fb28412e5b46a6c7abc8
#   # For the choice of coefficients, tables, figures and the report.
#   channels:
#     - conda-forge
#     - nodefaults
#   dependencies:
#     - python=3.12
#     - jinja2=3.1.6
#     - markupsafe=3.0.4
#     - matplotlib-base=3.11.2
#     - numpy=2.4.6
#     - pandas=3.1.1
#     - pydantic=2.14.3
#     - pyyaml=6.0.3
#     - safetensors=0.8.0
#     - scipy=1.17.1
RUN mkdir -p /conda-envs/8fcb2fabcd29fb28412e5b46a6c7abc8
COPY envs/reporting.yaml /conda-envs/8fcb2fabcd29fb28412e5b46a6c7abc8/environment.yaml

RUN conda env create --prefix /conda-envs/ffd6d7d1c9fb2fa7f24a477dfe1c9f5f --file /conda-envs/ffd6d7d1c9fb2fa7f24a477dfe1c9f5f/environment.yaml && \
    conda env create --prefix /conda-envs/1bdc1347ff129fc42c28c6713ab2772c --file /conda-envs/1bdc1347ff129fc42c28c6713ab2772c/environment.yaml && \
    conda env create --prefix /conda-envs/d1e3cee6ad07808a2522f9e1abea3e21 --file /conda-envs/d1e3cee6ad07808a2522f9e1abea3e21/environment.yaml && \
    conda env create --prefix /conda-envs/8dc4229e8cadf8c219e0eb29f1fe77df --file /conda-envs/8dc4229e8cadf8c219e0eb29f1fe77df/environment.yaml && \
    conda env create --prefix /conda-envs/8fcb2fabcd29fb28412e5b46a6c7abc8 --file /conda-envs/8fcb2fabcd29fb28412e5b46a6c7abc8/environment.yaml && \
    conda clean --all -y
# containerize:end

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*
RUN conda create --yes --prefix /opt/python python=3.12

WORKDIR /negmerge
COPY . .

ARG PIP_EXTRA_INDEX_URL
RUN make PYTHON=/opt/python/bin/python .venv/.ready
ENV PATH=/negmerge/.venv/bin:$PATH

# To continue an interrupted study: `docker start --attach demo`.
CMD ["make", "study"]
