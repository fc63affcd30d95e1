"""The files in `config/` as typed models: studies, experiments, recipes, catalogues."""
