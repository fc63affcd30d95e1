# NegMerge as one DAG: from images to the tables, figures and report of a study.
#
#   data/{dataset}/images.safetensors                        prepared once for all studies, or questions.jsonl
#   results/{study}/{experiment}/base.safetensors            what is to forget: CLIP (text.safetensors: its text part)
#   results/{study}/{experiment}/heads/{dataset}.safetensors zero-shot heads
#   results/{study}/{experiment}/{task}/split.json           which images a classifier forgets
#   results/{study}/{experiment}/tokenizer.json              of a language model
#   results/{study}/{experiment}/given/original.safetensors  a language model of others, with its tokenizer
#   results/{study}/{experiment}/{task}/retrained/retrain.safetensors  and its Retrain
#   results/{study}/{experiment}/{task}/trained/{trained}.safetensors  trained from scratch: original, retrain
#   results/{study}/{experiment}/{task}/candidates/{method}.safetensors  what an unlearn method has made of it
#   results/{study}/{experiment}/{task}/finetuned/{point}.safetensors
#   results/{study}/{experiment}/{task}/vectors/{point}.safetensors  its task vector: fine-tuned minus base
#   results/{study}/{experiment}/{task}/given/{point}.safetensors    the vector of a model of others
#   results/{study}/{experiment}/{task}/merged/{method}.safetensors
#   results/{study}/{experiment}/{task}/sparsity/{table}.json  zeros of the vectors that a table shows
#   results/{study}/{experiment}/{task}/sweeps/{vector}.csv  validation of a point, or of what a method chooses among
#   results/{study}/{experiment}/{task}/selected/{method}.json  by each criterion: which candidate and coefficient
#   results/{study}/{experiment}/{task}/scores/{method}.json, outcomes/{method}.safetensors (of each image)
#   results/{study}/{experiment}/{task}/unlearned/{method}.safetensors  what was chosen, when it is asked for
#   results/{study}/tables/{table}.{md,csv,tex}, figures/{figure}.{png,pdf,csv}, report.html
#
# The path asked for names the study: results/demo/tables/table1.md.
import sys
from pathlib import Path

from snakemake.common.configfile import load_configfile
from snakemake.utils import min_version

min_version("9.12")
ROOT = Path(str(workflow.current_basedir))
if not ROOT.is_dir():
    sys.exit('error: with github(), the workflow is taken by `path="workflow/Snakefile"`')


# The user's own, in the working folder; what it leaves out is as in the one that is shipped.
if Path("config/config.yaml").is_file():

    configfile: "config/config.yaml"


for key, value in load_configfile(ROOT / "config" / "config.yaml").items():
    config.setdefault(key, value)


report: "report/workflow.rst"


wildcard_constraints:
    study=r"\w[\w.-]*",
    experiment=r"\w[\w.-]*",
    task=r"\w[\w.-]*",
    point=r"\w[\w.-]*",
    method=r"\w[\w-]*",
    vector=r"\w[\w.-]*",
    dataset=r"\w[\w.-]*",
    table=r"\w[\w.-]*",
    figure=r"\w[\w.-]*",


include: "rules/lookups.smk"
include: "rules/inputs.smk"
include: "rules/elsewhere.smk"
include: "rules/data.smk"
include: "rules/base.smk"
include: "rules/finetune.smk"
include: "rules/given.smk"
include: "rules/merge.smk"
include: "rules/unlearn.smk"
include: "rules/score.smk"
include: "rules/report.smk"


# All that the study needs from the internet, for compute nodes that have none.
rule downloads:
    input:
        all_downloads,


# If nothing can be written, or a file is missing, Snakemake itself would end with a traceback, or late.
onstart:
    require_writable(["results", config["data"]])
    checked(of_others.require)()


rule all:
    default_target: True
    input:
        f"results/{config['study']}/report.html",
