# Tables, figures and the report, made from what is already computed.


rule table:
    input:
        unpack(in_study(paths.table_records, shown("table"))),
        published=lambda wildcards: [
            provided(f"config/published/{name}.csv")
            for name in shown("table")(wildcards).published
        ],
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
        **needs(work.small, mem_mb=1000),
    params:
        code=kind_code("table", plugins.TABLES),
        table=shown_table,
        caption=lambda wildcards: kind_of("table")(wildcards).caption,
    message:
        "table: {wildcards.table}"
    script:
        "../workflow/scripts/table.py"


rule figure:
    input:
        unpack(in_study(paths.figure_records, shown("figure"))),
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
        **needs(work.small, mem_mb=1000),
    params:
        code=kind_code("figure", plugins.FIGURES),
        figure=lambda wildcards: shown("figure")(wildcards).model_dump(),
        caption=lambda wildcards: kind_of("figure")(wildcards).caption,
    message:
        "figure: {wildcards.figure}"
    script:
        "../workflow/scripts/figure.py"


rule report:
    input:
        unpack(in_study(paths.report_parts, study)),
        drawing=shipped("docs/rules.svg"),
        prepared=preparation_times,
        templates=[
            shipped(str(path.relative_to(ROOT)))
            for path in sorted((LIBRARY / "reporting/templates").iterdir())
        ],
    output:
        html="results/{study}/report.html",
        summary="results/{study}/summary.txt",
    log:
        "results/{study}/logs/report.log",
    benchmark:
        "results/{study}/benchmarks/report/report.tsv"
    localrule: True
    conda:
        "../envs/reporting.yaml"
    threads: 1
    resources:
        **needs(work.small, mem_mb=1000),
    params:
        code=code(
            "report",
            **{
                folder: plugins.names(folder)
                for folder in (plugins.TABLES, plugins.FIGURES, plugins.SCENARIO_SETTINGS)
            },
        ),
        name="{study}",
        study=reported_study,
        files=lambda wildcards: paths.record_files(study(wildcards)),
        pool_sizes=lambda wildcards: {
            name: len(one.pool.changes) for name, one in study(wildcards).experiments.items()
        },
    message:
        "report: {wildcards.study}"
    script:
        "../workflow/scripts/report.py"
