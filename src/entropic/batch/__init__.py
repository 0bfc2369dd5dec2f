"""Clusters as files, and what is handed to them: sections, scripts, commands.  Pure: nothing here starts anything."""
