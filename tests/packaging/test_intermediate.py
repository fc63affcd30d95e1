"""What the planner takes for intermediate is what the rules mark so."""

from workflow_text import rules

from negmerge.planning.storage import INTERMEDIATE


def test_the_rules_whose_files_may_go_are_those_that_a_plan_knows():
    outputs = {name: rule.get("output", "") for name, rule in rules().items()}
    marked = {name for name, output in outputs.items() if "intermediate(" in output}
    assert marked == set(INTERMEDIATE)
