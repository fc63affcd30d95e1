"""What the files in `config/` say, as typed models: studies, experiments, recipes, catalogues."""
