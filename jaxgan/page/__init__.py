"""The page that shows runs: `report.html`, one file that asks no network for anything."""
