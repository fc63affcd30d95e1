# Tables, figures and the report, for which nothing is computed again.


rule table:
    input:
        unpack(in_study(artefacts.table_records, exhibit("table"))),
        published=published_cells,
    output:
        md="results/{study}/tables/{table}.md",
        csv=report(
            "results/{study}/tables/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"study": "{study}", "table": "{table}"},
        ),
        tex="results/{study}/tables/{table}.tex",
    log:
        "results/{study}/logs/table/{table}.log",
    benchmark:
        "results/{study}/benchmarks/table/{table}.tsv"
    localrule: True
    conda:
        "../envs/reporting.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=minutes(work.small),
        estimate_s=seconds(work.small),
    params:
        code=code("table"),
        name="{table}",
        table=lambda wildcards: exhibit("table")(wildcards).model_dump(),
    message:
        "table: {wildcards.table}"
    script:
        "../workflow/scripts/table.py"


rule figure:
    input:
        unpack(in_study(artefacts.figure_data, exhibit("figure"))),
    output:
        png=report(
            "results/{study}/figures/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            labels={"study": "{study}", "figure": "{figure}"},
        ),
        pdf="results/{study}/figures/{figure}.pdf",
        csv="results/{study}/figures/{figure}.csv",
    log:
        "results/{study}/logs/figure/{figure}.log",
    benchmark:
        "results/{study}/benchmarks/figure/{figure}.tsv"
    localrule: True
    conda:
        "../envs/reporting.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=minutes(work.small),
        estimate_s=seconds(work.small),
    params:
        code=code("figure"),
        figure=lambda wildcards: exhibit("figure")(wildcards).model_dump(),
    message:
        "figure: {wildcards.figure}"
    script:
        "../workflow/scripts/figure.py"


rule dag:
    output:
        dag="results/{study}/dag.mmd",
    log:
        "results/{study}/logs/dag.log",
    benchmark:
        "results/{study}/benchmarks/dag/dag.tsv"
    localrule: True
    conda:
        "../envs/reporting.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=minutes(work.small),
        estimate_s=seconds(work.small),
    params:
        code=code("dag"),
        snakefile=shipped(Path(workflow.main_snakefile)),
        study=lambda wildcards: study(wildcards).model_dump(),
    message:
        "dag: {wildcards.study}"
    script:
        "../workflow/scripts/dag.py"


rule report:
    input:
        unpack(in_study(artefacts.report_parts, study)),
        dag="results/{study}/dag.mmd",
        prepared=preparation_times,
        template=shipped(LIBRARY / "reporting/templates/report.html.j2"),
    output:
        html="results/{study}/report.html",
    log:
        "results/{study}/logs/report.log",
    benchmark:
        "results/{study}/benchmarks/report/report.tsv"
    localrule: True
    conda:
        "../envs/reporting.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=minutes(work.small),
        estimate_s=seconds(work.small),
    params:
        code=code("report"),
        name="{study}",
        study=lambda wildcards: study(wildcards).model_dump(),
    message:
        "report: {wildcards.study}"
    script:
        "../workflow/scripts/report.py"
