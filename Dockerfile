# The demo study on a bare Debian:
#
#     docker build --tag negmerge .
#     docker run --name demo negmerge
#     docker cp demo:/negmerge/results/demo/report.html .
#
# pip's usual torch for Linux is the one for CUDA, which is much larger than the one for CPUs. For
# the latter, give the address of PyTorch's CPU index, which PyTorch's installation page names:
# `docker build --build-arg PIP_EXTRA_INDEX_URL=ADDRESS ...`.
#
# Tests compare this file with the repository. It was never built: no docker was at hand.
FROM python:3.12-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /negmerge
COPY . .

ARG PIP_EXTRA_INDEX_URL
RUN make .venv/.ready

# To continue an interrupted study: `docker start --attach demo`.
CMD ["make", "study"]
