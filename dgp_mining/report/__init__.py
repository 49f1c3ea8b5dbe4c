"""An HTML report on a prior, and the export of fitted fields."""
